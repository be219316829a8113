package main

const (
	way     = shm + "/way.go"
	pipeEnd = shm + "/pipeend.go"
	pipe    = shm + "/pipe.go"
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
		edits: []edit{{pipe, "probe.At(probe.Put33)\n\tp.out[w.own.units()&uint32(len(p.out)-1)] = v\n\tw.commitSend(1, 1)\n", "at := w.own.units() & uint32(len(p.out)-1)\n\tw.commitSend(1, 1)\n\tprobe.At(probe.Put33)\n\tp.out[at] = v\n"}},
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
