package main

const (
	proc        = "proc"
	poolRun     = proc + "/poolrun.go"
	poolSlot    = proc + "/poolslot.go"
	poolJudge   = proc + "/pooljudge.go"
	poolPublish = proc + "/poolpublish.go"
	poolChild   = proc + "/poolchild.go"
	claimed     = "internal/chunk/claim.go"
	publish     = "internal/chunk/publish.go"
)

// noReplacement leaves the place of a dead worker empty: who comes new looks by
// himself.
var noReplacement = []edit{{proc + "/poolworker.go", "if w.deaths < 2 {", "if w.processes > 0 {\n\t\treturn time.Hour\n\t}\n\tif w.deaths < 2 {"}}

// poolMutants break the pool's chunks. The tests in which workers are killed take
// the net of sweeps away themselves: what is lost hangs.
var poolMutants = []mutant{
	{
		name: "pool: claim by store",
		edits: []edit{{claimed,
			"b.slots[slot].word.CompareAndSwap(uint64(word), uint64(word.with(Running, w.index, 0)))",
			"b.slots[slot].word.Swap(uint64(word.with(Running, w.index, 0)))|1 != 0"}},
		pkg: proc, tags: "crash", test: "TestPoolWorkerStoppedAtEachStep/1/chunk_113",
	},
	{
		name:  "pool: who comes too late does not help head on",
		edits: []edit{{claimed, "b.head.CompareAndSwap(head, head+1)\n\t\tif mine {", "if mine {\n\t\t\tb.head.CompareAndSwap(head, head+1)"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/2/chunk_114", limit: hang,
	},
	{
		name: "pool: commit before the result is written",
		edits: []edit{{poolChild,
			"r.write(c, result, failed)\n\t\tif more, leave := r.commit(c, ctx.Err() != nil); !more {",
			"more, leave := r.commit(c, ctx.Err() != nil)\n\t\tr.write(c, result, failed)\n\t\tif !more {"}},
		pkg: proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/1/item_116",
	},
	{
		name:  "pool: nobody marks what is finished",
		edits: []edit{{claimed, "w.board.words.finished[c.slot/64].Or(1 << (c.slot % 64))\n", ""}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/2/chunk_110", limit: hang,
	},
	{
		name:  "pool: a worker sleeps without a second look",
		edits: []edit{{claimed, "if something() {\n\t\t\tbit.And(^mine)", "if false {\n\t\t\tbit.And(^mine)"}},
		pkg:   proc, tags: "crash", test: "TestPoolChangeBeforeWorkerSleeps/rest_131", limit: hang,
	},
	{
		name:  "pool: the parent pauses without a second look",
		edits: []edit{{publish, "if !ready() {", "if ready(); true {"}},
		pkg:   proc, tags: "crash", test: "TestPoolChangeBeforeParentsStep/pause_170", limit: hang,
	},
	{
		name:  "pool: verdict by store",
		edits: []edit{{publish, "return b.words.slots[slot].word.CompareAndSwap(uint64(w), uint64(w.with(Killed, w.Worker(), w.Done())))", "return b.words.slots[slot].word.Swap(uint64(w.with(Killed, w.Worker(), w.Done()))) != 0"}},
		pkg:   proc, tags: "crash", test: "TestPoolChangeBeforeParentsStep/verdict_160", limit: hang,
	},
	{
		name:  "pool: items are taken back by store",
		edits: []edit{{publish, "return b.words.slots[slot].word.CompareAndSwap(uint64(w), uint64(cut))", "return b.words.slots[slot].word.Swap(uint64(cut)) != 0"}},
		pkg:   proc, tags: "crash", test: "TestPoolChangeBeforeParentsStep/cut_163", limit: hang,
	},
	{
		name:  "pool: a commit that fails does not read again",
		edits: []edit{{claimed, "c.word = now // with a smaller limit", "return false, true"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerStoppedAtEachStep/4/item_117", limit: hang,
	},
	{
		name:  "pool: no verdict on who stands",
		edits: []edit{{poolJudge, "p.workers[w.Worker()].kill()\n", ""}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerStoppedAtEachStepWithTimeLimit/item_116", limit: 2 * hang,
	},
	{
		name:  "pool: no sweep",
		edits: []edit{{poolRun, "now.Sub(p.swept) >= sweepPeriod", "now.Sub(p.swept) >= 1000*sweepPeriod"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerStoppedAtEachStep/1/item_118", limit: hang,
	},
	{
		name:  "pool: a sweep wakes nobody",
		edits: []edit{{poolRun, "if p.board.Backlog() > 0 {", "if false {"}},
		pkg:   proc, tags: "crash", test: "TestPoolSleeperStopped/chunk_113", limit: hang,
	},
	{
		name:  "pool: what the dead one had committed is lost",
		edits: []edit{{poolSlot, "if !p.deliver(n, word, missing) {", "if missing == nil {"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/1/item_118", limit: hang,
	},
	{
		name:  "pool: what was behind the dead one's item is lost",
		edits: []edit{{poolSlot, "p.handBack(n, from)\n", ""}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/1/item_116", limit: hang,
	},
	{
		name:  "pool: the dead one's item is done again without a retry",
		edits: []edit{{poolSlot, "if word.State() == chunk.Running || word.State() == chunk.Killed {", "if word.State() == chunk.Killed {"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/map/1/item_117",
	},
	{
		name:  "pool: the attempt is charged to those behind",
		edits: []edit{{poolSlot, "p.slots[n].items, p.slots[n].attempts-1) }", "p.slots[n].items, p.slots[n].attempts) }"}},
		pkg:   proc, tags: "crash", test: "TestPoolChargesTheItemInHand",
	},
	{
		name:    "pool: a death wakes no other worker",
		edits:   []edit{{poolSlot, "p.board.WakeOne()\n", ""}},
		without: noReplacement,
		pkg:     proc, tags: "crash", test: "TestPoolSleeperKilled/chunk_113", limit: hang,
	},
	{
		name:    "pool: the dead one counts as asleep",
		edits:   []edit{{publish, "b.words.asleep[worker/64].And(^(uint64(1) << (worker % 64)))\n", ""}},
		without: noReplacement,
		pkg:     proc, tags: "crash", test: "TestPoolSleeperKilled/rest_134", limit: hang,
	},
	{
		name:  "pool: a parent that a dead worker was about to wake sleeps on",
		edits: []edit{{publish, "b.words.need.Swap(0)\n\tfutex.Wake(&b.words.need, 1) //", "if b.words.need.Swap(0) != 0 {\n\t\tfutex.Wake(&b.words.need, 1)\n\t} //"}},
		pkg:   proc, tags: "crash", test: "TestPoolWorkerKilledAtEachStep/submit/2/item_120", limit: hang,
	},
	{
		name:  "pool: who asks late ends the next item",
		edits: []edit{{claimed, "return word == NewWord(Running, w.index, item, word.Limit(), tag)", "return word.State() == Running && item <= word.Limit()"}},
		pkg:   "internal/chunk", test: "TestTwoViewsOfABoard",
	},
	{
		name:  "pool: a cancelled context is the next task's",
		edits: []edit{{poolChild, "if r.asked.Load() != nameOf(slot, tag, c.Item()) {", "if r.asked.Load() == nameOf(slot, tag, c.Item())+1 {"}},
		pkg:   proc, test: "TestCancelRunningTask",
	},
	{
		name:  "pool: results that were stored come once more",
		edits: []edit{{poolSlot, "results = results[size:]\n", ""}},
		pkg:   proc, test: "TestMapOfPlainTypes", limit: hang,
	},
	{
		name:  "pool: a claim notes no time",
		edits: []edit{{claimed, "w.record.began.Store(int64(w.clock))\n", ""}},
		pkg:   proc, tags: "crash", test: "TestPoolTimeLimitIsThatOfTheItem",
	},
	{
		name:  "pool: a commit notes no time",
		edits: []edit{{claimed, "w.record.began.Store(int64(Now()))\n", ""}},
		pkg:   proc, tags: "crash", test: "TestPoolTimeLimitIsThatOfTheItem",
	},
}
