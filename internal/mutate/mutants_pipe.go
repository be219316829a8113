package main

const (
	way     = shm + "/way.go"
	pipeEnd = shm + "/pipeend.go"
	pipe    = shm + "/pipe.go"
	hand    = shm + "/pipehand.go"
)

// pipeMutants break how a pipe wakes and ends.
var pipeMutants = []mutant{
	{
		name:  "pipe: send wakes nobody",
		edits: []edit{{way, "e.wake(futex.All)", "_ = futex.All"}},
		pkg:   shm, tags: "crash", test: "TestPipeNeedsNoLooks/slots", limit: hang,
	},
	{
		name:  "pipe: send commits before it writes",
		edits: []edit{{pipe, "probe.At(probe.Put33)\n\t*p.out.at(w.own) = v\n\tw.commitSend(1, 1)\n", "at := w.own\n\tw.commitSend(1, 1)\n\tprobe.At(probe.Put33)\n\t*p.out.at(at) = v\n"}},
		pkg:   shm, tags: "crash", test: "TestPipeKilledAtEachStep/slots/put-33-trysend-10-after-",
	},
	{
		name:  "pipe: the end before the last messages",
		edits: []edit{{way, "case w.spare > 0:\n\t\t\treturn w.spare, nil\n\t\tcase ended:\n\t\t\treturn 0, io.EOF\n", "case ended:\n\t\t\treturn 0, io.EOF\n\t\tcase w.spare > 0:\n\t\t\treturn w.spare, nil\n"}},
		pkg:   shm, tags: "crash", test: "TestPipeKilledAtEachStep/slots/put-35-send-10-after-",
	},
	{
		name:  "pipe: the other end's process is not watched",
		edits: []edit{{pipeEnd, "list.WatchLife(w.peer)", "_ = list"}},
		pkg:   shm, tags: "crash", test: "TestPipeKilledAtEachStep/slots/put-33-send-10-after-", limit: hang,
	},
	{
		name:  "pipe: nobody asks whether a token has hung up",
		edits: []edit{{pipeEnd, "gone = w.end.hungUp()", "gone = false && w.end.hungUp()"}},
		pkg:   shm, tags: "crash", test: "TestPipeEndLost", limit: hang,
	},
	{
		name:  "pipe: the sender does not see that the end was closed",
		edits: []edit{{way, "case gone || w.words.items.closing():\n\t\t\tw.spare = 0", "case gone && !w.words.items.closing():\n\t\t\tw.spare = 0"}},
		pkg:   shm, tags: "crash", test: "TestPipeNeedsNoLooks/slots", limit: hang,
	},
	{
		name:  "pipe: close tells nobody",
		edits: []edit{{pipeEnd, "e.alarm(eventClosing)", "_ = 0"}},
		pkg:   shm, tags: "crash", test: "TestPipeNeedsNoLooks/slots", limit: hang,
	},
	{
		name:  "pipe: the sender does not see that the other end has changed hands",
		edits: []edit{{way, "&& w.words.items.word.Load()&^eventSleeper == w.quiet", "&& !w.words.items.closing()"}},
		pkg:   shm, tags: "crash", test: "TestPipeKilledAtEachStep/slots/put-32-send-10-after-",
	},
	{
		name:  "pipe: broken once only",
		edits: []edit{{pipeEnd, "w.peer.Word, w.peer.Seen = &never, 1 //", "w.peer.Word, w.peer.Seen = &never, 0 //"}},
		pkg:   shm, tags: "crash", test: "TestPipeKilledAtEachStep/slots/get-45-recv-after-send-1-2",
	},
}

// handMutants break how an end changes hands, and what is asked of the dead.
var handMutants = []mutant{
	{
		name:  "pipe: the end while a thread of the dead sender runs",
		edits: []edit{{way, "switch err := w.fencePeer(ctx); {", "switch err := ctx.Err(); {"}},
		pkg:   shm, test: "TestPipeEndWaitsForLateThreads",
	},
	{
		name:  "pipe: an end is given anew while a thread of the dead one runs",
		edits: []edit{{hand, "if err := awaitStop(id); err != nil { // from now on", "if err := error(nil); err != nil { // from now on"}},
		pkg:   shm, test: "TestPipeEndGivenAnewWaitsForLateThreads",
	},
	{
		name:  "queue: an entry is taken over while a thread of the dead one runs",
		edits: []edit{{member, "if !t.fence(over, i, id) {", "if over == nil {"}},
		pkg:   shm, test: "TestQueueMemberWaitsForLateThreads", limit: hang,
	},
	{
		name:  "pipe: an end that was not sent stays on its way",
		edits: []edit{{hand, "CompareAndSwap(h.held|endTransit, h.state)", "CompareAndSwap(0, h.state)"}},
		pkg:   shm, tags: "crash", test: "TestPipeEndStoppedAtEachStep/slots/hand-74,-the-other-end-waits-with-nothing",
	},
	{
		name:  "pipe: an end that was sent is taken back",
		edits: []edit{{"internal/wire/frame.go", "\t\tm.sent.Store(true)\n", ""}},
		pkg:   shm, tags: "crash", test: "TestPipeEndStoppedAtEachStep/slots/hand-70,-the-other-end-waits-with-nothing",
	},
	{
		name:  "pipe: nobody is told that an end is on its way",
		edits: []edit{{hand, "probe.At(probe.Hand71)\n\te.alarm(0)\n", "probe.At(probe.Hand71)\n"}},
		pkg:   shm, tags: "crash", test: "TestPipeEndKilledAtEachStep/slots/hand-76,-the-other-end-waits-with-recv", limit: hang,
	},
	{
		name:  "pipe: an end that was sent is still used",
		edits: []edit{{way, "return w.end.usable()\n", "return w.end.usable() || !w.end.closed()\n"}},
		pkg:   shm, test: "TestPipeSentEndIsNotUsed",
	},
	{
		name:  "pipe: an end is sent while a call uses it",
		edits: []edit{{hand, "if !e.busy() {", "if !e.busy() || !e.closed() {"}},
		pkg:   shm, test: "TestPipeEndIsSentAfterCalls",
	},
	{
		name:  "pipe: an end is received twice in one process",
		edits: []edit{{hand, "case alive && old&endTransit == 0:", "case alive && old&endTransit == 0 && id != roster.Me():"}},
		pkg:   shm, test: "TestPipeEndIsReceivedOnce",
	},
	{
		name:  "pipe: who waits at an end that is sent is not woken",
		edits: []edit{{hand, "\te.alarm(0)\n\tfor end :=", "\tfor end :="}},
		pkg:   shm, test: "TestPipeEndIsSentWhileSomebodyWaits",
	},
	{
		name:  "pipe: close takes the memory away from a call",
		edits: []edit{{pipeEnd, "err := e.awaitIdle()\n", "err := error(nil)\n"}},
		pkg:   shm, test: "TestPipeClosedInACall",
	},
	{
		name:  "pipe: what a spoiled message has opened stays open",
		edits: []edit{{shm + "/travel.go", "wire.Undo(func() { _ = p.Close() })", "_ = 0"}},
		pkg:   shm, test: "TestReceiveFailsFurtherOn",
	},
}
