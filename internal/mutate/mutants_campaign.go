package main

import "time"

// campaignMutants break primitives in ways that a campaign of random kills must
// notice, and a crowd. Which step fails is for the other tests to find out.
var campaignMutants = []mutant{
	{
		name:  "kills, RWMutex: what a dead reader left is not taken away",
		edits: []edit{{rwwait, "probe.At(probe.RW204)\n\t\tcell.CompareAndSwap(w, 0)\n", "\n"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/RWMutex", limit: campaignHang,
	},
	{
		name:  "kills, RWMutex: a reader does not look at the word again",
		edits: []edit{{rwcells, "return rw.word.Load() != 0\n", "return false\n"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/RWMutex", limit: campaignHang,
	},
	{
		name:  "kills, RWMutex: no death with the word is told",
		edits: []edit{{rwwait, "if holds(err) && rw.dirty.Load() == 0 {", "if holds(err) {"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/RWMutex", limit: campaignHang,
	},
	{
		name:  "kills, Semaphore: a dead first in line is an error",
		edits: []edit{{"sync/line.go", "markConsistent(turn)\n\t\treturn nil", "markConsistent(turn)"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Semaphore", limit: campaignHang,
	},
	{
		name:  "kills, Semaphore: permits are taken by load and store",
		edits: []edit{{semaphore, "if s.state.CompareAndSwap(w, w-n) {\n\t\t\treturn true", "if s.state.Store(w - n); true {\n\t\t\treturn true"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Semaphore", limit: campaignHang,
	},
	{
		name:  "kills, BoundedSemaphore: what others claim does not count",
		edits: []edit{{boundedRequest, "r.b.sum() <= r.b.limit.Load() {", "r.b.held()+r.n <= r.b.limit.Load() {"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/BoundedSemaphore", limit: campaignHang,
	},
	{
		name:  "kills, BoundedSemaphore: the dead keep their permits",
		edits: []edit{{boundedCells, "cells[i].CompareAndSwap(w, 0)", "cells[i].CompareAndSwap(w, w)"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/BoundedSemaphore", limit: campaignHang,
	},
	{
		name:  "kills, Cond: what the dead were given is lost",
		edits: []edit{{cond, "c.SignalN(int(grantedOf(w)))", ""}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Cond", limit: campaignHang,
	},
	{
		name:  "kills, Cond: a cancelled waiter keeps its signal",
		edits: []edit{{condline, "if p.granted && grantedOf(w) > 0 {", "if p.granted && !p.gaveUp && grantedOf(w) > 0 {"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Cond", limit: campaignHang,
	},
	{
		name:    "kills, Event: Set wakes nobody",
		edits:   []edit{{syncEvent, "futex.Wake(&e.word, futex.All)", "_ = futex.All"}},
		without: eventForever,
		pkg:     "sync", tags: "stress", test: "TestStressRandomKills/Event", limit: campaignHang,
	},
	{
		name:  "kills, Barrier: reset keeps the dead",
		edits: []edit{{barrier, "\tb.bury(w)\n", ""}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Barrier", limit: campaignHang,
	},
	{
		name:  "kills, Once: no second look",
		edits: []edit{{once, "if o.done.Load() == onceDone {\n\t\treturn nil", "if o.done.Load() == 2 {\n\t\treturn nil"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Once", limit: campaignHang,
	},
	{
		name:  "kills, Once: a death is not told",
		edits: []edit{{once, "if err := f(died); err != nil {", "if err := f(nil); err != nil {"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/Once", limit: campaignHang,
	},
	{
		name:  "kills, WaitGroup: a death is not told",
		edits: []edit{{groupChange, "w.state.Load()|groupLost)", "w.state.Load())"}},
		pkg:   "sync", tags: "stress", test: "TestStressRandomKills/WaitGroup", limit: campaignHang,
	},
	{
		name:  "crowd: a gate for each goroutine",
		edits: []edit{{gate, "g := shard.gates[key]\n", "g := (*gate)(nil)\n"}},
		pkg:   "sync", tags: "stress", test: "TestStressBlockedCrowd/Event",
	},
	{
		name:  "crowd: who waits on a Cond sleeps in the kernel",
		edits: []edit{{condwait, "select {\n\tcase <-p.turn:\n\tcase <-ctx.Done():\n\t\tp.giveUp()\n\t\treturn\n\t}\n\tgranted", "granted"}},
		pkg:   "sync", tags: "stress", test: "TestStressBlockedCrowd/Cond",
	},
}

// campaignHang is as hang, for a campaign that takes up to ten seconds otherwise.
const campaignHang = 30 * time.Second
