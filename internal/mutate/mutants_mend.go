package main

const (
	pool        = proc + "/pool.go"
	poolJob     = proc + "/pooljob.go"
	poolSpan    = proc + "/poolspan.go"
	poolStats   = proc + "/poolstats.go"
	poolWorker  = proc + "/poolworker.go"
	registerErr = proc + "/registererror.go"
	mapCall     = proc + "/map.go"
	poolCall    = proc + "/poolcall.go"
	part        = proc + "/part.go"
	lastWords   = proc + "/lastwords.go"
	records     = "internal/chunk/records.go"
)

// undo is a mutant that takes back what was once mended in a pool.
func undo(name, file, old, changed, test string) mutant {
	return mutant{name: "pool mend: " + name, edits: []edit{{file, old, changed}}, pkg: proc, test: test, limit: 2 * hang}
}

// mendMutants take back, one by one, what reviews of the pool have found.
var mendMutants = []mutant{
	// Workers.
	undo("who cannot be heard lives on", proc+"/process.go", "p.name, p.pid, err)\n\t\t\t}\n\t\t\tp.Kill()\n", "p.name, p.pid, err)\n\t\t\t}\n", "TestResultThatCannotBeReceived"),
	undo("who has closed its socket lives on", proc+"/process.go", "if p.handle != nil {\n\t\t\t\tp.Kill()", "if false {\n\t\t\t\tp.Kill()", "TestWorkerClosesItsSocket"),
	undo("who cannot hear is told to have been asked", proc+"/child.go", "e.ask(fmt.Errorf(\"hear the parent: %w\", err))", "e.ask(errTerminated)", "TestArgumentThatCannotBeReceived/task"),
	undo("the logger is told under the lock", poolWorker, "if p.o.Logger != nil {", "p.mu.Lock()\n\tdefer p.mu.Unlock()\n\tif p.o.Logger != nil {", "TestLoggerAsksThePool"),
	undo("refused workers end a pool that has others", poolWorker, "return w.proc != nil }", "return false }", "TestWorkersThatAreRefused"),
	undo("workers that die early end a pool that has others", poolWorker, "return w.proc != nil && w.ready }", "return false }", "TestLeavingInTheInitialiser/by_a_signal_from_elsewhere"),
	undo("a moment's refusal ends a pool", poolWorker, "case <-p.ready:\n\tdefault:\n\t\tp.barrenDeath(w, err)", "default:\n\t\tp.barrenDeath(w, err)", "TestAllWorkersAreRefusedForAMoment"),
	undo("a pool bears refusals for ever", poolWorker, "since >= mostRefused {", "since < 0 {", "TestAllWorkersAreRefused"),
	undo("a task's death counts as none's", poolWorker, "w.tasks == w.before && !hadTask && ", "w.tasks == w.before && ", "TestInputsThatCrashWorkers"),
	undo("status 0 is no death", poolWorker, "expected = !hadTask && (died.Code == 0 || w.leaving)", "expected = died.Code == 0 || w.leaving", "TestInputsThatCrashWorkers"),
	undo("an early death is the initialiser's", poolWorker, "if !w.entered {", "if false {", "TestWorkersThatDieEarly"),
	undo("an initialiser that is let go has failed", poolWorker, "case w.ready || w.leaving:", "case w.ready:", "TestLeavingInTheInitialiser/with_an_error_of_its_own"),
	undo("an initialiser that a signal ends has failed", poolWorker, "case told && died.Code != -int(unix.SIGTERM):", "case told && died.Code != int(unix.SIGTERM):", "TestLeavingInTheInitialiser/by_a_signal_from_elsewhere"),
	undo("a dismissal between two processes is the next one's", poolWorker, "w.leaving = false\n\tw.pool.board.Forget(w.index)", "w.leaving = false", "TestDismissalBetweenTwoProcesses"),
	undo("who was dismissed may stay", poolWorker, "w.pool.board.Dismiss(w.index)\n\t\tw.hurryLater()", "w.pool.board.Dismiss(w.index)", "TestCloseWhenWorkersDoNotLeave"),
	undo("who was dismissed is hurried in a task", poolWorker, "case w.proc == nil || p.holds(w):", "case w.proc == nil:", "TestCloseWhenWorkersDoNotLeave"),
	undo("nobody looks when a worker should be ready", poolWorker, "!w.ready && !w.leaving {\n\t\tp.fail", "false {\n\t\tp.fail", "TestInitTimeout"),
	undo("who is ready still has a limit", poolWorker, "w.proc == proc && !w.ready && !w.leaving", "w.proc == proc", "TestInitTimeout"),
	undo("NewPool outlasts its context", pool, "case <-ctx.Done(): // Init may not look at its context\n", "case <-make(chan int):\n", "TestInitialiserOutlivesTheContext"),
	undo("a worker for each processor", pool, "p.target = runtime.GOMAXPROCS(0)", "p.target = runtime.NumCPU()", "TestDefaultWorkers"),
	undo("the error of Exit is lost", pool, "return p.exit\n", "return nil\n", "TestExitFails"),
	undo("all workers start at once", pool, "p.alone = true", "p.alone = false", "TestPoolHeadStart"),
	undo("the first worker stays alone when there is more to do", poolPublish, "if len(p.free) < chunk.Slots-1 {", "if false {", "TestPoolHeadStart"),
	undo("the first worker stays alone when there is nothing to do", pool, "time.AfterFunc(headStart, func() {", "time.AfterFunc(1000*headStart, func() {", "TestPoolHeadStartEnds"),
	undo("a signal hurries the last function", poolChild, "r.bound(r.last, o.Exit, exitJob)", "r.bound(r.life, o.Exit, exitJob)", "TestContextOfExit"),
	undo("nobody can hurry the last function", poolChild, "r.endLast(context.Cause(r.life))", "", "TestContextOfExit"),
	undo("who was asked to end begins a task", poolChild, "!leave && ctx.Err() == nil", "!leave", "TestNoTaskAfterTheEnd"),
	undo("a worker has no name", poolChild, "nameProcess(\"worker \" + strconv.Itoa(o.Index))", "_ = strconv.Itoa", "TestNameForPeople"),

	// Results of processes.
	undo("the waiter's error is the process's", proc+"/process.go", "if err := c.wait(ctx); err != nil {\n\t\tvar none R", "if err := c.wait(ctx); err != nil {\n\t\tc.take = func() (R, error) { var none R; return none, err }\n\t\tvar none R", "TestProcessEndsAsTheContextDoes"),

	// Standard error.
	undo("a death waits for who reads standard error", lastWords, "case <-time.After(lastWordsWait):", "case <-time.After(time.Hour):", "TestStderrThatNobodyTakes"),
	{
		name:  "pool mend: a death waits for who writes to standard error",
		edits: []edit{{lastWords, "left -= n", "left -= 0"}},
		without: []edit{
			{lastWords, "_ = l.pipe.SetReadDeadline(time.Unix(1, 0)) // a pipe has deadlines\n", ""},
			{lastWords, "case <-time.After(lastWordsWait):", "case <-time.After(time.Hour):"},
		},
		pkg: proc, test: "TestStderrOfProcessLeftBehind", limit: 2 * hang,
	},
	undo("an old panic is the cause of every death", lastWords, "return code == exitPanic || code == -int(unix.SIGABRT)", "return code != 0", "TestWorkersOldPanic"),

	// What a worker cannot have written.
	undo("a verdict is anybody's", poolSlot, "(w.State() == chunk.Killed) != s.condemned", "false", "TestDamagedPool/the_parent's_verdict"),
	undo("what is ready may be somebody's", publish, "w.Done() == 0 && w.Worker() == 0", "w.Done() == 0", "TestDamagedPool/ready,_of_a_worker"),
	undo("the limit is the worker's", publish, "w.Limit() == items && ", "", "TestDamagedPool/done,_but_there_were_3_items"),
	undo("a record that changes is believed", poolCall, "if len(sent) == 0 {", "if false {", "TestRecordThatChanges"),

	// Calls.
	undo("the last one first", poolJob, "p.jobs.PushBack(j)", "p.jobs.PushFront(j)", "TestSubmittedTasksInOrder"),
	undo("an argument panics inside the call", proc+"/future.go",
		"e, bad := f.encode(arg, nil) // before the job begins: a method of the argument may panic\n\tc, err := f.begin(ctx, p, nil, &job{eager: true})",
		"c, err := f.begin(ctx, p, nil, &job{eager: true})\n\te, bad := f.encode(arg, nil)", "TestSubmitArgumentPanics"),
	undo("a long error leaves no room for others", records, "+after*recordHead <= Room", "+0*after <= Room", "TestManyErrorsInChunk"),
	undo("Map keeps results that nobody gets", mapCall, "if out == nil {\n\t\t\topened.close()", "if false {\n\t\t\topened.close()", "TestResultsThatNobodyGets"),
	undo("Reduce keeps results that nobody gets", part, "combined := false", "combined := true", "TestResultsThatNobodyGets"),
	undo("Progress leaves a For at work", part, "defer func() { <-c.job.over }() // whatever happens, also if Progress panics\n", "", "TestForProgressPanics"),
	undo("For keeps results", part, "arg, o, outcome[R].drop)", "arg, o, func(outcome[R]) {})", "TestResultsThatNobodyGets"),
	undo("Stream keeps results that are early", mapCall, "for _, r := range early {\n\t\t\t\tr.drop()", "for range early {", "TestEarlyResultsOfStream"),
	undo("inputs that cannot travel have no window", poolJob, "for j.stopped == nil && j.put > j.taken &&", "for bad == nil && j.stopped == nil && j.put > j.taken &&", "TestWindowOfInputsThatCannotTravel"),
	undo("Map has no window", mapCall, "max(1, min(mapBlock, tuned.Window/4))", "mapBlock", "TestWindowOfMap"),
	undo("a context keeps what is over", poolJob, "j.detach()\n", "", "TestContextForgetsTasks"),
	undo("a future without a task is waited for", proc+"/ascompleted.go", "f == nil || f.done == nil", "f == nil", "TestAsCompletedOfNothing"),
	undo("an input that ends its goroutine panics", proc+"/feeder.go", "goexit: v == nil", "goexit: false", "TestInputGoexit"),
	undo("an input's panic hides its error", proc+"/feeder.go", "err, _ := p.value.(error)\n\treturn err", "return nil", "TestInputGoexit"),
	undo("an error's panic takes the worker along", poolChild, "if err != nil {\n\t\tf := failureOf(err)\n\t\tfailed = &f\n\t}\n\treturned = true", "returned = true\n\tif err != nil {\n\t\tf := failureOf(err)\n\t\tfailed = &f\n\t}", "TestErrorPanics"),
	undo("an argument stays open", proc+"/function.go", "if closeAll != nil {\n\t\t\tcloseAll()\n\t\t}\n\t\treturn result, err", "_ = closeAll\n\t\treturn result, err", "TestArgumentsAreClosed"),
	undo("an empty call leaves no time behind", poolJob, "p.board.Kick(&p.kicked) // it counts the time from now on", "", "TestIdleTimeoutAfterEmptyCall"),
	undo("who is not ready is idle", poolRun, "default:\n\t\treturn 0\n", "default:\n\t\treturn time.Since(p.idle)\n", "TestIdleTimeoutBeginsWithTheFirstWorker"),
	undo("a short limit in a busy pool", poolPublish, "soon := 0 < j.timeout && j.timeout < sweepPeriod && j.out == 1", "soon := false", "TestShortTimeLimitInBusyPool"),
	undo("the end of a call drops what is committed", poolJob, "p.gather(j)", "", "TestMapKeepsWhatItHas"),
	undo("the end of the pool drops what is committed", pool, "p.gather(nil)", "", "TestMapKeepsWhatItHasAtTheEndOfThePool"),
	undo("the end of a call drops what is delivered", poolJob, "if !j.patient {\n\t\tclose", "if true {\n\t\tclose", "TestMapKeepsWhatItHas"),
	undo("who was asked before has its own error", poolJudge, "if s.asked >= s.taken && !p.deliver(n, w, nil) {", "if false {", "TestTimeoutsInOneChunk"),
	undo("what was withdrawn is enough", poolSpan, "len(p.free) < chunk.Slots && ", "", "TestInputBehindWithdrawnChunks"),
	undo("who has stopped takes the turn of another", poolPublish, "idle = max(0, idle-1)", "", "TestTurnOfWhoHasStopped"),
	undo("who looks for results forgets its context", proc+"/poolattend.go", " && ctx.Err() == nil", "", "TestGetLooksAtItsContext"),
	undo("For counts parts", part, "c.total, c.counts = n, true", "c.total = n", "TestProgress"),

	// What is told.
	undo("the first registered error hides the others", registerErr, "all = append(all, registeredError{t.name, body})", "return []registeredError{{t.name, body}}", "TestRegisteredErrors"),
	undo("who died is not among the slowest", poolSlot, "hadTask = true\n\t\t\tp.noteLost(n, word)", "hadTask = true", "TestSlowestTasksThatLostTheirWorkers"),
	undo("who was killed is not among the slowest", poolJudge, "s.condemned = true\n\tp.noteLost(n, w)", "s.condemned = true", "TestSlowestTasksThatLostTheirWorkers"),
	undo("the first input stands for all", poolStats, "for range item {", "for range 0 {", "TestSlowestTasksThatLostTheirWorkers"),
}
