package main

const semaphore = "sync/semaphore.go"

// semaphoreMutants break Semaphore.
var semaphoreMutants = []mutant{
	{
		// With a moment in between, so that one run of the test is enough.
		name: "Semaphore: permits are taken by load and store",
		edits: []edit{{semaphore,
			"if s.state.CompareAndSwap(w, w-n) {\n\t\t\treturn true",
			"for range 1000 {\n\t\t\t_ = s.state.Load()\n\t\t}\n\t\tif s.state.Store(w - n); true {\n\t\t\treturn true"}},
		pkg: "sync", test: "TestSemaphoreInParallel/semaphore", limit: hang,
	},
	{
		name:    "Semaphore: release wakes nobody",
		edits:   []edit{{semaphore, "futex.Wake(lowHalf(&s.state), 1)\n", "_ = futex.All\n"}},
		without: noBound,
		pkg:     "sync", test: "TestNewcomersStandInLine/semaphore", limit: hang,
	},
	{
		name:    "Semaphore: the first does not say that it sleeps",
		edits:   []edit{{semaphore, "CompareAndSwap(w, w|semaphoreLine)", "CompareAndSwap(w, w)"}, {semaphore, "uint32(w|semaphoreLine)", "uint32(w)"}},
		without: noBound,
		pkg:     "sync", test: "TestNewcomersStandInLine/semaphore", limit: hang,
	},
	{
		name:  "Semaphore: newcomers overtake the line",
		edits: []edit{{semaphore, "if w&unless != 0 || ", "if "}},
		pkg:   "sync", test: "TestNewcomersStandInLine/semaphore",
	},
	{
		name:  "Semaphore: the line stays closed",
		edits: []edit{{semaphore, "CompareAndSwap(w, w&^semaphoreLine)", "CompareAndSwap(w, w)"}},
		pkg:   "sync", tags: "crash", test: "TestKillAtEachStepOfSemaphores/sem235",
	},
	{
		name:  "Semaphore: a dead first in line is an error",
		edits: []edit{{"sync/line.go", "markConsistent(turn)\n\t\treturn nil", "markConsistent(turn)"}},
		pkg:   "sync", test: "TestSemaphoreWaiterKilled/semaphore",
	},
	{
		name:  "Semaphore: there is no largest number",
		edits: []edit{{semaphore, "if w&semaphorePermits+uint64(n) > s.max() {", "if w&semaphorePermits+uint64(n) > MaxPermits {"}},
		pkg:   "sync", test: "TestSemaphoreMisuse/semaphore",
	},
	{
		name:  "Semaphore: a second Init fills it again",
		edits: []edit{{semaphore, "case set == uint64(max):\n\t\t\treturn nil", "case set == uint64(max):\n\t\t\ts.state.Store(w&^semaphorePermits | uint64(permits))\n\t\t\treturn nil"}},
		pkg:   "sync", test: "TestSemaphore",
	},
	{
		name:  "Semaphore: who waits keeps Init out",
		edits: []edit{{semaphore, "if set == 0 && w&semaphorePermits != 0 {", "if set == 0 && w != 0 {"}},
		pkg:   "sync", test: "TestSemaphoreWaitsForInit",
	},
	{
		name:    "Semaphore: Init wakes nobody",
		edits:   []edit{{semaphore, "case s.put(w, w|uint64(max)", "case s.state.CompareAndSwap(w, w|uint64(max)"}},
		without: noBound,
		pkg:     "sync", test: "TestSemaphoreWaitsForInit", limit: hang,
	},
	{
		name:    "Semaphore: a new name wakes nobody",
		edits:   []edit{{semaphore, "futex.Wake(&s.giver, 1)", ""}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestKillAtEachStepOfSemaphores/sem239", limit: hang,
	},
	{
		name:    "Semaphore: who releases is not watched",
		edits:   []edit{{semaphore, "sleeper.WatchLife(sight)", ""}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestKillAtEachStepOfSemaphores/sem239/heldbythelastgiver", limit: hang,
	},
	{
		name:    "Semaphore: a late thread of who released is not minded",
		edits:   []edit{{semaphore, "bound = lateThread", ""}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestLateGiver", limit: hang,
	},
	{
		name:  "Semaphore: what can never be is waited for",
		edits: []edit{{semaphore, "if err := s.possible(n); err != nil { // there was no max before Init\n\t\t\treturn err\n\t\t}", ""}},
		pkg:   "sync", test: "TestSemaphoreWaitsForInit", limit: hang,
	},
	{
		name:  "line: the next one waits at the fence",
		edits: []edit{{"sync/line.go", "acquireFrom(ctx, turn, func(context.Context, roster.ID) error { return nil })", "acquire(ctx, turn)"}},
		pkg:   "sync", test: "TestNextIsFirstBeforeTheDeadStop/semaphore", limit: hang,
	},
	{
		name:  "line: a late thread lets go the next one's place",
		edits: []edit{{"sync/line.go", " && ownerOf(turn.Load()) == me {", " {"}},
		pkg:   "sync", test: "TestNextIsFirstBeforeTheDeadStop/bounded",
	},
}
