package main

const (
	cond     = "sync/cond.go"
	condwait = "sync/condwait.go"
	condline = "sync/condline.go"
)

// condNoBound does for the sleeps of a Cond what noBound does for those of a lock.
var condNoBound = []edit{{"sync/holders.go", "return min(max(s.Waited()-time.Second, longestSleep), longestIdle)", "return time.Hour + 0*s.Waited()"}}

// condMutants break Cond.
var condMutants = []mutant{
	{
		name:  "Cond: a signal may go to the dead",
		edits: []edit{{cond, "if !roster.Look(ownerOf(w)).Alive {", "if w == 0 {"}},
		pkg:   "sync", test: "TestCondWaiterKilledThenSignal", limit: hang,
	},
	{
		name:  "Cond: what the dead were given is lost",
		edits: []edit{{cond, "c.SignalN(int(grantedOf(w)))", ""}},
		pkg:   "sync", test: "TestCondSignalledWaiterKilled", limit: hang,
	},
	{
		name:  "Cond: void before passing on",
		edits: []edit{{cond, "probe.At(probe.Cond282)\n\t\tc.SignalN(int(grantedOf(w)))\n\t\tprobe.At(probe.Cond283)\n\t\tif cell.CompareAndSwap(w, 0) {", "if cell.CompareAndSwap(w, 0) {\n\t\t\tprobe.At(probe.Cond282)\n\t\t\tc.SignalN(int(grantedOf(w)))\n\t\t\tprobe.At(probe.Cond283)"}},
		pkg:   "sync", tags: "crash", test: "TestCondKillRecovererAtEachStep/cond282", limit: hang,
	},
	{
		name:    "Cond: signal wakes nobody",
		edits:   []edit{{cond, "futex.Wake(highHalf(cell), futex.All)", "_ = futex.All"}},
		without: condNoBound,
		pkg:     "sync", test: "TestCondBroadcast", limit: hang, // where more wait than may look first
	},
	{
		name:  "Cond: broadcast grants one each",
		edits: []edit{{cond, "grant(&c.cells[i], math.MaxUint16)", "grant(&c.cells[i], math.MaxUint16>>15)"}},
		pkg:   "sync", test: "TestCondBroadcast",
	},
	{
		name:  "Cond: the turn does not go round",
		edits: []edit{{cond, "c.start.Store(at + 1)", "c.start.Store(at)"}},
		pkg:   "sync", test: "TestCondTurnGoesRound", limit: hang,
	},
	{
		name:    "Cond: who came later is not watched",
		edits:   []edit{{condwait, "s.Watch(&c.members, members)", "_ = members"}},
		without: condNoBound,
		pkg:     "sync", test: "TestCondNewcomerKilled", limit: hang,
	},
	{
		name:    "Cond: who signals is not watched",
		edits:   []edit{{cond, "c.join(me) //", "_ = me //"}},
		without: condNoBound,
		pkg:     "sync", tags: "crash", test: "TestCondKillAtEachStep/cond281", limit: hang,
	},
	{
		name:    "Cond: other waiters are not watched",
		edits:   []edit{{condwait, "others = append(others, owner)", ""}},
		without: condNoBound,
		pkg:     "sync", test: "TestCondSignalledWaiterKilled", limit: hang,
	},
	{
		name:  "Cond: nobody looks at the lock",
		edits: []edit{{condwait, "if w&wordA != 0 || ownerOf(w) != 0 && !holder.Alive || ctx.Err() != nil {", "if ctx.Err() != nil {"}},
		pkg:   "sync", test: "TestCondSignallerKilledWithLock", limit: hang,
	},
	{
		name:  "Cond: who learns of a death tells nobody",
		edits: []edit{{condwait, "c.Broadcast()\n", "\n"}},
		pkg:   "sync", test: "TestCondDeathWakesAll", limit: hang,
	},
	{
		name:  "Cond: waits before it has announced itself",
		edits: []edit{{condwait, "p := c.announce(roster.Me())\n\tprobe.At(probe.Cond272)\n\tdeep := unlockAll(l, depth)\n", "deep := unlockAll(l, depth)\n\tprobe.At(probe.Cond272)\n\tp := c.announce(roster.Me())\n"}},
		pkg:   "sync", tags: "crash", test: "TestCondStopAtEachStep/cond272",
	},
	{
		name:  "Cond: the depth is forgotten",
		edits: []edit{{condwait, "*depth = deep\n", "_ = deep\n"}},
		pkg:   "sync", test: "TestCondRestoresDepth",
	},
	{
		name:  "Cond: a cancelled waiter keeps its signal",
		edits: []edit{{condline, "if p.granted && grantedOf(w) > 0 {", "if p.granted && !p.gaveUp && grantedOf(w) > 0 {"}},
		pkg:   "sync", test: "TestCondCancel",
	},
	{
		name:  "Cond: a cancelled waiter never was signalled",
		edits: []edit{{condline, "check.Acquire(p.cell)\n\treturn p.granted", "check.Acquire(p.cell)\n\treturn p.granted && !p.gaveUp"}},
		pkg:   "sync", test: "TestCondCancel",
	},
	{
		name:  "Cond: the watcher leaves its post empty",
		edits: []edit{{condline, "l.appoint(p.at.Next())", ""}},
		pkg:   "sync", test: "TestCondCancelOneOfSeveral", limit: hang,
	},
	{
		name:  "Cond: a late thread counts in another's cell",
		edits: []edit{{condline, "counted = ownerOf(w) == roster.Me() && waitingOf(w) > 0", "counted = ownerOf(w) <= roster.Mask && waitingOf(w) > 0"}},
		pkg:   "sync", test: "TestCondLateThread",
	},
	{
		name:  "Cond: the youngest first",
		edits: []edit{{condline, "p.at = l.queue.PushBack(p)", "p.at = l.queue.PushFront(p)"}},
		pkg:   "sync", test: "TestCondOldestFirst", limit: hang,
	},
	{
		name:  "Cond: each goroutine sleeps in the kernel",
		edits: []edit{{condwait, "select {\n\tcase <-p.turn:\n\tcase <-ctx.Done():\n\t\tp.giveUp()\n\t\treturn\n\t}\n\tgranted", "granted"}},
		pkg:   "sync", test: "TestCondCrowd",
	},
	{
		name:  "Cond: without room it waits for ever",
		edits: []edit{{condwait, "noRoom = 10 * time.Millisecond", "noRoom = time.Hour"}},
		pkg:   "sync", test: "TestCondWithoutRoom", limit: hang,
	},
}
