package main

const once = "sync/once.go"

// onceMutants break Once.
var onceMutants = []mutant{
	{
		name:  "Once: done before the function has run",
		edits: []edit{{once, "if err := f(died); err != nil {", "o.done.Store(onceDone)\n\tif err := f(died); err != nil {"}},
		pkg:   "sync", test: "TestOnceAtOnce",
	},
	{
		name:  "Once: no second look",
		edits: []edit{{once, "if o.done.Load() == onceDone {\n\t\treturn nil", "if o.done.Load() == 2 {\n\t\treturn nil"}},
		pkg:   "sync", test: "TestOnceAtOnce",
	},
	{
		name:  "Once: a panic counts",
		edits: []edit{{once, "probe.At(probe.Once326)\n", "o.done.Store(onceDone)\n"}},
		pkg:   "sync", test: "TestOnceUnfinished",
	},
	{
		name:  "Once: an error counts",
		edits: []edit{{once, "if err := f(died); err != nil {\n\t\treturn err\n\t}\n", "err = f(died)\n"}, {once, "o.done.Store(onceDone)\n\treturn nil", "o.done.Store(onceDone)\n\treturn err"}},
		pkg:   "sync", test: "TestOnceToldUntilDone",
	},
	{
		name:  "Once: a death is told once",
		edits: []edit{{once, "probe.At(probe.Once326)\n", "if died != nil {\n\t\t\to.mu.MarkConsistent()\n\t\t}\n"}},
		pkg:   "sync", test: "TestOnceToldUntilDone",
	},
	{
		name:  "Once: the lock is not held while the function runs",
		edits: []edit{{once, "if err := f(died); err != nil {", "o.mu.Unlock()\n\terr = f(died)\n\to.mu.Lock()\n\tif err != nil {"}},
		pkg:   "sync", test: "TestOnceAtOnce",
	},
}
