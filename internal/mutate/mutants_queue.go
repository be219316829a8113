package main

const (
	shm     = "shm"
	ring    = shm + "/ring.go"
	ringPut = shm + "/ringput.go"
	ringGet = shm + "/ringget.go"
	ringEnd = shm + "/ringend.go"
	event   = shm + "/event.go"
	wait    = shm + "/wait.go"
	member  = shm + "/member.go"
	queue   = shm + "/queue.go"
)

// queueMutants break how a queue wakes, ends, and counts. Their tests take the
// net of periodic looks away themselves: what is lost hangs.
var queueMutants = []mutant{
	{
		name:  "queue: put wakes nobody",
		edits: []edit{{ringPut, "w.items.wake(int(items))", ""}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/put", limit: hang,
	},
	{
		name:  "queue: get wakes nobody",
		edits: []edit{{ringGet, "w.room.wake(int(items) * r.wakes)", ""}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/get", limit: hang,
	},
	{
		name: "queue: put wakes after it has unlocked",
		edits: []edit{{ringPut, "probe.At(probe.Put35)\n\tif w.items.word.Load()&eventSleeper != 0 {\n\t\tw.items.wake(int(items))\n\t}\n\tprobe.At(probe.Put36)\n\tw.put.Unlock()\n",
			"w.put.Unlock()\n\tprobe.At(probe.Put35)\n\tif w.items.word.Load()&eventSleeper != 0 {\n\t\tw.items.wake(int(items))\n\t}\n\tprobe.At(probe.Put36)\n"}},
		pkg: shm, tags: "crash", test: "TestQueueStoppedAtEachStep/slots/put-35-tryput-10",
	},
	{
		name:  "queue: who woke one of many does not set the flag again",
		edits: []edit{{event, "if futex.Wake(&e.word, n) >= n {\n\t\te.word.Or(eventSleeper)\n\t}", "futex.Wake(&e.word, n)"}},
		pkg:   shm, test: "TestQueueWakesOneAfterTheOther", limit: hang,
	},
	{
		name:  "queue: a wake does not raise the sequence",
		edits: []edit{{event, "(w+eventStep)&^eventSleeper", "w&^eventSleeper"}},
		pkg:   shm, tags: "crash", test: "TestSequence", limit: hang,
	},
	{
		name:  "queue: a sleeper does not look again",
		edits: []edit{{wait, "if changed() {\n\t\tw.sleeper.Forget()", "if false {\n\t\tw.sleeper.Forget()"}},
		pkg:   shm, tags: "crash", test: "TestChangeBeforeSleep/an-item-wait-51", limit: hang,
	},
	{
		name:  "queue: a sleeper does not look for the last producer again",
		edits: []edit{{ringGet, "return look() || r.orphaned()", "return look()"}},
		pkg:   shm, tags: "crash", test: "TestChangeBeforeSleep/last-producer-dies-wait-51", limit: hang,
	},
	{
		name:  "queue: a producer about to sleep looks at the second half of a close",
		edits: []edit{{ringPut, "position(r.words.head.Load()) != seen || r.words.items.closing()", "position(r.words.head.Load()) != seen || r.words.room.closing()"}},
		pkg:   shm, tags: "crash", test: "TestChangeBeforeSleep/closer-dies-half-way-wait-51", limit: hang,
	},
	{
		name:  "queue: put commits before it writes",
		edits: []edit{{queue, "probe.At(probe.Put33)\n\t*q.slots.at(tail) = v\n\tq.ring.commitPut(tail, 1, 1)\n", "q.ring.commitPut(tail, 1, 1)\n\tprobe.At(probe.Put33)\n\t*q.slots.at(tail) = v\n"}},
		pkg:   shm, tags: "crash", test: "TestQueueKilledAtEachStep/slots/put-33-put-10",
	},
	{
		name:  "queue: get commits before it reads",
		edits: []edit{{queue, "probe.At(probe.Get43)\n\t*v = *q.slots.at(head)\n\tq.ring.commitGet(head, 1, 1)\n", "q.ring.commitGet(head, 1, 1)\n\tprobe.At(probe.Get43)\n\t*v = *q.slots.at(head)\n"}},
		pkg:   shm, tags: "crash", test: "TestQueueKilledAtEachStep/slots/get-43-get",
	},
	{
		name:  "queue: put does not look at head again",
		edits: []edit{{ringPut, "head = position(w.head.Load())\n\t\tw.headSeen = uint64(head)\n", ""}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/work", limit: hang,
	},
	{
		name:  "queue: get does not look at tail again",
		edits: []edit{{ringGet, "tail := position(w.tail.Load())\n\t\t\tw.tailSeen = uint64(tail)\n", "tail := position(w.tailSeen)\n"}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/work", limit: hang,
	},
	{
		name:  "queue: closed and empty has ended, without a seal",
		edits: []edit{{ringEnd, "if state&eventSealed != 0 {", "if state&eventClosing != 0 {"}},
		pkg:   shm, tags: "crash", test: "TestCloseWaitsForPutUnderWay",
	},
	{
		name:  "queue: the last producer's death is not noticed",
		edits: []edit{{member, "if w >= producerStep && roster.Look(roster.ID(w&roster.Mask)).Alive {", "if w >= producerStep {"}},
		pkg:   shm, tags: "crash", test: "TestQueueKilledAtEachStep/slots/put-33-put-10-registered", limit: hang,
	},
	{
		name:  "queue: the last producer goes in silence",
		edits: []edit{{shm + "/queuetask.go", "q.ring.words.items.alarm(0) //", "_ = 0 //"}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/deregister", limit: hang,
	},
	{
		name:  "queue: a member leaves in silence",
		edits: []edit{{member, "\tt.words.items.alarm(0)\n", ""}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/detach", limit: hang,
	},
	{
		name:  "queue: a member comes in silence",
		edits: []edit{{member, "\t\twords.items.alarm(0)\n", ""}},
		pkg:   shm, tags: "crash", test: "TestNewcomerIsWatched", limit: hang,
	},
	{
		name:  "queue: a sleeper does not watch the members",
		edits: []edit{{member, "} else if !w.WatchLife(life) {", "} else if w == nil {"}},
		pkg:   shm, tags: "crash", test: "TestQueueKilledAtEachStep/slots/put-35-put-10", limit: hang,
	},
	{
		name:  "queue: who recovers a lock wakes nobody",
		edits: []edit{{ring, "told.word.Or(eventSleeper)\n", ""}},
		pkg:   shm, tags: "crash", test: "TestRecovererOfQueueWakes", limit: hang,
	},
	{
		name:  "queue: who gives up keeps the wake",
		edits: []edit{{wait, "w.event.passOn()", ""}},
		pkg:   shm, test: "TestQueueGiveUp", limit: hang,
	},
	{
		name:  "queue: who gives up clears the flag, without the lock",
		edits: []edit{{wait, "w.event.passOn()", "w.event.wake(1)"}},
		pkg:   shm, test: "TestQueueGiveUp", limit: hang,
	},
	{
		name:  "queue: a dead member's entry counts",
		edits: []edit{{member, "id != 0 && roster.Look(id).Alive {\n\t\t\tw := m.tasks.Load()", "id != 0 {\n\t\t\tw := m.tasks.Load()"}},
		pkg:   shm, tags: "crash", test: "TestQueueKilledAtEachStep/slots/done-60-done-1-got", limit: hang,
	},
	{
		name:  "queue: an entry is taken over with its tasks",
		edits: []edit{{member, "m.tasks.Store(0) //", "_ = 0 //"}},
		pkg:   shm, test: "TestQueueDeadMembersEntry", limit: hang,
	},
	{
		name:  "queue: done wakes nobody",
		edits: []edit{{member, "t.words.finished.wake(futex.All)", "_ = futex.All"}},
		pkg:   shm, test: "TestQueueNeedsNoLooks/slots/done", limit: hang,
	},
	{
		name: "queue: got is counted after the commit",
		edits: []edit{
			{ringGet, "\tif r.counted {\n\t\tr.members.got(items) // before 44: the count may be too high for a moment, never too low\n\t}\n", ""},
			{ringGet, "\tprobe.At(probe.Get46)\n\tw.get.Unlock()\n", "\tw.get.Unlock()\n\tprobe.At(probe.Get46)\n\tif r.counted {\n\t\tr.members.got(items)\n\t}\n"},
		},
		pkg: shm, tags: "crash", test: "TestJoinSeesItemUnderWay",
	},
}
