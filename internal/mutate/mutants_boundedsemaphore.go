package main

const (
	bounded        = "sync/boundedsemaphore.go"
	boundedCells   = "sync/boundedcells.go"
	boundedRequest = "sync/boundedrequest.go"
)

// boundedSemaphoreMutants break BoundedSemaphore.
var boundedSemaphoreMutants = []mutant{
	{
		name:  "BoundedSemaphore: what others claim does not count",
		edits: []edit{{boundedRequest, "r.b.sum() <= r.b.limit.Load() {", "r.b.held()+r.n <= r.b.limit.Load() {"}},
		pkg:   "sync", tags: "crash", test: "TestStopAtEachStepOfSemaphores/bound244",
	},
	{
		name:  "BoundedSemaphore: top is not raised",
		edits: []edit{{boundedCells, "!b.top.CompareAndSwap(top, below)", "!b.top.CompareAndSwap(top, below-1)"}},
		pkg:   "sync", test: "TestBoundedSemaphore", limit: hang,
	},
	{
		name:  "BoundedSemaphore: the dead keep their permits",
		edits: []edit{{boundedCells, "cells[i].CompareAndSwap(w, 0)", "cells[i].CompareAndSwap(w, w)"}},
		pkg:   "sync", test: "TestBoundedSemaphoreHolderKilled", limit: hang,
	},
	{
		name:  "BoundedSemaphore: permits come back while the dead still write",
		edits: []edit{{boundedCells, "fences.Passed(ownerOf(w))", "true"}},
		pkg:   "sync", test: "TestPermitWaitsForLastWrite",
	},
	{
		name: "BoundedSemaphore: the first waits at the fence",
		edits: []edit{
			{boundedCells, "import (\n", "import (\n\t\"context\"\n"},
			{boundedCells, "fences.Passed(ownerOf(w))", "roster.Fence(context.Background(), ownerOf(w)) == nil"},
		},
		pkg: "sync", test: "TestBoundedSemaphoreDoesNotWaitForTheDeadToStop", limit: hang,
	},
	{
		name:    "BoundedSemaphore: the first does not watch the holders",
		edits:   []edit{{boundedRequest, "s.WatchLife(sight)", "_ = sight"}},
		without: noBound,
		pkg:     "sync", test: "TestBoundedSemaphoreHolderKilled", limit: hang,
	},
	{
		name:    "BoundedSemaphore: release wakes nobody",
		edits:   []edit{{bounded, "probe.At(probe.Bound253)\n\t\t\tb.wake()", "probe.At(probe.Bound253)"}},
		without: noBound,
		pkg:     "sync", test: "TestNewcomersStandInLine/bounded", limit: hang,
	},
	{
		name:    "BoundedSemaphore: a claim taken back wakes nobody",
		edits:   []edit{{boundedRequest, "if !first {\n\t\tr.b.wake()\n\t}\n", ""}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestClaimTakenBackWakes", limit: hang,
	},
	{
		name:    "BoundedSemaphore: the first does not say that it sleeps",
		edits:   []edit{{boundedRequest, "r.b.line.Store(lineSleeps)", "r.b.line.Store(lineClosed)"}},
		without: noBound,
		pkg:     "sync", test: "TestNewcomersStandInLine/bounded", limit: hang,
	},
	{
		name:  "BoundedSemaphore: the first says only once that it sleeps",
		edits: []edit{{boundedRequest, "if spun {", "if spun && r.b.line.Load() == lineClosed {"}},
		pkg:   "sync", test: "TestFirstSaysAgainThatItSleeps/bounded", limit: hang,
	},
	{
		name:  "BoundedSemaphore: newcomers overtake the line",
		edits: []edit{{boundedRequest, "r.b.line.Load() == lineOpen && r.look(false)", "r.look(true)"}},
		pkg:   "sync", test: "TestNewcomersStandInLine/bounded",
	},
	{
		name:  "BoundedSemaphore: a look that failed is a no",
		edits: []edit{{bounded, "if !r.quick() && !r.try() {", "if !r.quick() {"}},
		pkg:   "sync", tags: "crash", test: "TestTryOutlastsClaim", limit: hang,
	},
	{
		name:  "BoundedSemaphore: who is refused a place in line is refused",
		edits: []edit{{boundedRequest, "if r.b.line.Load() == lineSleeps && firstLives(&r.b.turn) || !p.more() {", "if p.more() {"}},
		pkg:   "sync", tags: "crash", test: "TestTryOutlastsTry",
	},
	{
		name:  "BoundedSemaphore: more can be released than are held",
		edits: []edit{{bounded, "if uint64(heldOf(w)) < uint64(n) {", "if uint64(heldOf(w)) < 0*uint64(n) {"}},
		pkg:   "sync", test: "TestSemaphoreMisuse/bounded",
	},
}
