package main

const (
	rwmutex = "sync/rwmutex.go"
	rwwait  = "sync/rwwait.go"
	rwcells = "sync/rwcells.go"
)

// rwMutexMutants break RWMutex.
var rwMutexMutants = []mutant{
	{
		name:  "RWMutex: a reader does not look at the word again",
		edits: []edit{{rwcells, "return rw.word.Load() != 0\n", "return false\n"}},
		pkg:   "sync", tags: "crash", test: "TestRWMutexReaderLooksAgain", limit: hang,
	},
	{
		name:  "RWMutex: a reader that backs off stays counted",
		edits: []edit{{rwwait, "probe.At(probe.RW216)\n\t\trw.uncount(me)\n\t}", "probe.At(probe.RW216)\n\t}"}},
		pkg:   "sync", tags: "crash", test: "TestRWMutexReaderBacksOff", limit: hang,
	},
	{
		name:    "RWMutex: a reader that backs off wakes nobody",
		edits:   []edit{{rwcells, "if countOf(c) == 1 {\n\t\t\trw.wake(cell)\n\t\t}\n", ""}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestRWMutexReaderBacksOff", limit: hang,
	},
	{
		name:  "RWMutex: RUnlock wakes nobody",
		edits: []edit{{rwmutex, "rw.wake(cell)\n", "_ = cell\n"}},
		pkg:   "sync", test: "TestRWMutexReaderWakes", limit: hang,
	},
	{
		name:    "RWMutex: a writer does not watch its readers' lives",
		edits:   []edit{{rwwait, "s.WatchLife(reader)\n\t\tprobe", "_ = reader\n\t\tprobe"}},
		without: noBound,
		pkg:     "sync", test: "TestRWMutexReaderKilled", limit: hang,
	},
	{
		name:  "RWMutex: what a dead reader left is not taken away",
		edits: []edit{{rwwait, "probe.At(probe.RW204)\n\t\tcell.CompareAndSwap(w, 0)\n", "\n"}},
		pkg:   "sync", test: "TestRWMutexReaderKilled", limit: hang,
	},
	{
		name:  "RWMutex: a reader waits at the fence for a cell",
		edits: []edit{{rwwait, "fences.Passed(ownerOf(w))", "roster.Fence(context.Background(), ownerOf(w)) == nil"}},
		pkg:   "sync", test: "TestRWMutexCellBeforeTheDeadStop", limit: hang,
	},
	{
		name:  "RWMutex: a reader takes the cell of the dying",
		edits: []edit{{rwwait, "fences.Passed(ownerOf(w))", "true"}},
		pkg:   "sync", test: "TestRWMutexCellBeforeTheDeadStop", limit: hang,
	},
	{
		name:  "RWMutex: a writer does not wait for readers",
		edits: []edit{{rwwait, "if err := rw.drain(ctx); err != nil {", "if err := error(nil); err != nil {"}},
		pkg:   "sync", test: "TestRWMutexReadersShare",
	},
	{
		name:  "RWMutex: a cell is claimed without its bit",
		edits: []edit{{rwcells, "rw.used[i/64].Or(1 << (i % 64))\n", "\n"}},
		pkg:   "sync", test: "TestRWMutexReadersShare",
	},
	{
		name:  "RWMutex: dirty before the readers have left",
		edits: []edit{{rwwait, "\tif err := rw.drain(ctx); err != nil {", "\tstoreRelaxed(&rw.dirty, 1)\n\tif err := rw.drain(ctx); err != nil {"}},
		pkg:   "sync", test: "TestRWMutexAnnouncerKilled",
	},
	{
		name:  "RWMutex: every death with the word is told",
		edits: []edit{{rwwait, "if holds(err) && rw.dirty.Load() == 0 {", "if holds(err) && rw.dirty.Load() == 2 {"}},
		pkg:   "sync", test: "TestRWMutexAnnouncerKilled",
	},
	{
		name:  "RWMutex: no death with the word is told",
		edits: []edit{{rwwait, "if holds(err) && rw.dirty.Load() == 0 {", "if holds(err) {"}},
		pkg:   "sync", test: "TestRWMutexWriterKilled",
	},
	{
		name:  "RWMutex: dirty is cleared once the word is free",
		edits: []edit{{rwmutex, "\tif w&wordA == 0 {\n", "\trw.letGo(me)\n\tif w&wordA == 0 {\n"}, {rwmutex, "storeRelaxed(&rw.dirty, 0)\n\t}\n\trw.letGo(me)\n", "rw.dirty.Store(0)\n\t}\n"}},
		pkg:   "sync", tags: "crash", test: "TestRWMutexKillAtEachStep",
	},
	{
		name:  "RWMutex: a reader who is told has the lock",
		edits: []edit{{rwwait, "if err == nil {\n\t\terr = rw.countWithWord(ctx, me)\n", "if err == nil || holds(err) {\n\t\t_ = rw.countWithWord(ctx, me)\n"}},
		pkg:   "sync", test: "TestRWMutexWriterKilled", limit: hang,
	},
	{
		name:  "RWMutex: who gives up keeps the word",
		edits: []edit{{rwwait, "\t\trw.letGo(roster.Me())\n\t\treturn err\n", "\t\treturn err\n"}},
		pkg:   "sync", test: "TestRWMutexWaitingWriter", limit: hang,
	},
	{
		name:  "RWMutex: RUnlock takes what is not there",
		edits: []edit{{rwcells, "if countOf(c) == 0 {\n\t\t\treturn false\n\t\t}\n", ""}},
		pkg:   "sync", test: "TestRWMutexMisuse",
	},
	{
		name:  "RWMutex: a full table does not wait",
		edits: []edit{{rwwait, "if cell := rw.claim(me); cell != nil {", "if cell := rw.claim(me); cell == nil {\n\t\t\treturn nil\n\t\t} else {"}},
		pkg:   "sync", test: "TestRWMutexOverflow",
	},
}
