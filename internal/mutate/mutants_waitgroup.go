package main

const (
	groupAPI    = "sync/waitgroup.go"
	groupChange = "sync/waitgroupchange.go"
	groupWait   = "sync/waitgroupwait.go"
)

// waitGroupMutants break WaitGroup.
var waitGroupMutants = []mutant{
	{
		name:    "WaitGroup: the end of a round wakes nobody",
		edits:   []edit{{groupChange, "if ends || newOwner {", "if newOwner {"}},
		without: noBound,
		pkg:     "sync", test: "TestWaitGroupWaiterKilled", limit: hang,
	},
	{
		name:    "WaitGroup: a new owner wakes nobody",
		edits:   []edit{{groupChange, "if ends || newOwner {", "if _ = newOwner; ends {"}},
		without: noBound,
		pkg:     "sync", test: "TestWaitGroupClaimerKilledWhileOthersSleep", limit: hang,
	},
	{
		name: "WaitGroup: it wakes after the change",
		edits: []edit{
			{groupChange, "\tif ends || newOwner {\n\t\tw.rouse()\n\t}\n", ""},
			{groupChange, "\t\tw.write(cell, cellNext, next)\n\t\tw.recordCell.Store(0)\n\t}\n}\n\n// write does", "\t\tw.write(cell, cellNext, next)\n\t\tw.recordCell.Store(0)\n\t}\n\tif ends || newOwner {\n\t\tw.rouse()\n\t}\n}\n\n// write does"},
		},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestWaitGroupKillAtEachStep",
	},
	{
		name:    "WaitGroup: W goes before the wake",
		edits:   []edit{{groupChange, "w.seq.Store(seq + groupSeq)\n", "w.seq.Store((seq + groupSeq) &^ groupW)\n"}},
		without: noBound,
		pkg:     "sync", tags: "crash", test: "TestWaitGroupKillAtEachStep", limit: hang,
	},
	{
		name:  "WaitGroup: the record is not looked at",
		edits: []edit{{groupChange, "if next := w.recordCell.Load(); next != 0 {", "if next := uint64(0); next != 0 {"}},
		pkg:   "sync", tags: "crash", test: "TestWaitGroupKillAtEachStep",
	},
	{
		name:  "WaitGroup: the record is kept after recovery",
		edits: []edit{{groupChange, "w.recordCell.Store(0)\n\t}\n\tw.mu.MarkConsistent()", "}\n\tw.mu.MarkConsistent()"}},
		pkg:   "sync", tags: "crash", test: "TestWaitGroupRecordGoes",
	},
	{
		name:    "WaitGroup: a sleeper watches no owner",
		edits:   []edit{{groupChange, "s.WatchLife(sight)", "_ = sight"}},
		without: noBound,
		pkg:     "sync", test: "TestWaitGroupMemberKilled", limit: hang,
	},
	{
		name:  "WaitGroup: a death is not passed on",
		edits: []edit{{groupWait, "s.PassOn()", "s.Forget()"}},
		pkg:   "sync", test: "TestWaitGroupDeathIsPassedOn", limit: hang,
	},
	{
		name:  "WaitGroup: a death is not told",
		edits: []edit{{groupChange, "w.state.Load()|groupLost)", "w.state.Load())"}},
		pkg:   "sync", test: "TestWaitGroupMemberKilled",
	},
	{
		name:  "WaitGroup: Done takes what nobody has claimed first",
		edits: []edit{{groupAPI, "mine := min(n, claimed)", "mine := min(claimed, n-min(n, unclaimedOf(state)))"}},
		pkg:   "sync", test: "TestWaitGroupMemberKilled",
	},
	{
		name:  "WaitGroup: Add does not void the dead first",
		edits: []edit{{groupAPI, "_ = w.bury(nil) // so that the numbers are right, and waiters know; those of the dying still count\n", "\n"}},
		pkg:   "sync", test: "TestWaitGroupAddVoidsDeadFirst",
	},
	{
		name:  "WaitGroup: no rounds",
		edits: []edit{{groupChange, "next += groupRound", "next += 0"}},
		pkg:   "sync", test: "TestWaitGroupReusedAtOnce", limit: hang,
	},
	{
		name:  "WaitGroup: a round holds up the one before at the gate",
		edits: []edit{{groupWait, "enterRound(ctx, &w.seq, uint32(first))", "enterGate(ctx, &w.seq)"}},
		pkg:   "sync", test: "TestWaitGroupSlowAtTheGate", limit: hang,
	},
	{
		name:  "WaitGroup: who looks for the dead waits at the fence with mu held",
		edits: []edit{{groupChange, "roster.Fence(ended, owner) != nil", "roster.Fence(context.Background(), owner) != nil"}},
		pkg:   "sync", test: "TestWaitGroupServesWhileTheDeadStop", limit: hang,
	},
	{
		name:  "WaitGroup: Reset does not wait for the dying",
		edits: []edit{{groupAPI, "if dying := w.bury(nil); dying != 0 {", "if dying := w.bury(nil); dying != dying {"}},
		pkg:   "sync", test: "TestWaitGroupServesWhileOneWaitsForTheDead/to_reset", limit: hang,
	},
	{
		// Who only asks learns of a process that runs another program by its stack, which
		// not all may see.
		name:    "WaitGroup: who has waited at the fence does not give back",
		edits:   []edit{{groupChange, "cell != nil && countOf(cell.Load()) != 0 {\n\t\tw.giveBack(cell, owner)", "cell != nil {"}},
		without: []edit{{"internal/roster/fence.go", "process.stack != 0 && o.stack != 0 && process.stack != o.stack", "false"}},
		pkg:     "sync", test: "TestProcessThatHasBecomeAnother/group", limit: hang,
	},
}
