package main

const (
	roster     = "internal/roster"
	claim      = roster + "/claim.go"
	look       = roster + "/look.go"
	fence      = roster + "/fence.go"
	memory     = roster + "/layout_unsafe.go"
	robustPage = "unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)"
)

// rosterMutants break who is known to be alive.
var rosterMutants = []mutant{
	{
		name:  "claim does not raise the generation",
		edits: []edit{{claim, "s.generation.Add(1)", "s.generation.Load()"}},
		pkg:   roster, test: "TestReclaim",
	},
	{
		name:  "claim of a living slot",
		edits: []edit{{claim, "s.alive(seen) || i < n", "i < n"}},
		pkg:   roster, test: "TestFull",
	},
	{
		name:  "claim by store",
		edits: []edit{{claim, "if !s.live.CompareAndSwap(seen, live) {", "if s.live.Store(live); false {"}},
		pkg:   roster, tags: "crash", test: "TestOvertakenClaimer",
	},
	{
		name:  "claim without the pending entry",
		edits: []edit{{claim, "list.pending.Store(list.node())\n", "\n"}},
		pkg:   roster, tags: "crash", test: "TestKilledClaimer",
	},
	{
		name:  "claim does not wait for the earlier owner",
		edits: []edit{{claim, "_ = fence(context.Background(), s.owner())", "_ = context.Background"}},
		pkg:   roster, test: "TestClaimWaitsForLastWrite",
	},
	{
		name:  "claim waits where another slot is at rest",
		edits: []edit{{claim, " || i < n && !s.stopped() {", " {"}},
		pkg:   roster, test: "TestClaimPassesOverTheDying",
	},
	{
		name:  "claim wakes nobody",
		edits: []edit{{claim, "futex.Wake(&s.live, futex.All) //", "_ = futex.All //"}},
		pkg:   roster, tags: "crash", test: "TestSleeperOnClaimedSlot", limit: hang,
	},
	{
		name:  "the robust list is not registered",
		edits: []edit{{claim, "if list.register() == nil {", "if true {"}},
		pkg:   roster, test: "TestSlotBytes",
	},
	{
		name:  "the robust list stays empty",
		edits: []edit{{claim, "list.next.Store(list.node())\n", "\n"}},
		pkg:   roster, test: "TestSlotBytes",
	},
	{
		name:  "FUTEX_WAITERS is not preset",
		edits: []edit{{claim, "live |= waiters\n", "\n"}},
		pkg:   roster, test: "TestDeath",
	},
	{
		name:  "the robust list lies in private memory",
		edits: []edit{{memory, robustPage, "unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)"}},
		pkg:   roster, tags: "crash", test: "TestMemoryTakenAtDeath",
	},
	{
		name:  "a forked process keeps the identity",
		edits: []edit{{memory, "_ = unix.Madvise(page, unix.MADV_WIPEONFORK)", ""}},
		pkg:   roster, test: "TestFork",
	},
	{
		name:  "a claim in vain leaves its robust list",
		edits: []edit{{claim, "list.drop()", ""}},
		pkg:   roster, test: "TestFailedJoinsCostNothing",
	},
	{
		name:  "a claim in vain leaves its file open",
		edits: []edit{{roster + "/open.go", "_ = t.file.Close() // the error at hand says more\n\t}\n\treturn claimed", "}\n\treturn claimed"}},
		pkg:   roster, test: "TestFailedJoinsCostNothing",
	},
	{
		name:  "Join returns a name without the table",
		edits: []edit{{roster + "/keeper.go", "id != 0 && joined.Load() != nil {", "id != 0 {"}},
		pkg:   roster, test: "TestNameBeforeTable",
	},
	{
		name:  "Look does not compare generations",
		edits: []edit{{look, "if s.generation.Load()&genMask != id.generation() {\n\t\treturn Sight{}", "if id == 0 {\n\t\treturn Sight{}"}},
		pkg:   roster, test: "TestReclaim",
	},
	{
		name:  "PassOn wakes one",
		edits: []edit{{look, "futex.Wake(s.Word, futex.All)", "futex.Wake(s.Word, 1)"}},
		pkg:   roster, test: "TestPassOn", limit: hang,
	},
	{
		name:  "the fence does not look at the threads",
		edits: []edit{{fence, "case gone(err) || err == nil && thread.exiting():", "case gone(err) || err == nil:"}},
		pkg:   roster, test: "TestFence",
	},
	{
		name:  "the fence does not know programs by their stacks",
		edits: []edit{{fence, "process.stack != o.stack:", "process.stack == 1:"}},
		pkg:   roster, test: "TestFenceKnowsPrograms",
	},
	{
		name:  "the fence takes an unknown stack for another",
		edits: []edit{{fence, "process.stack != 0 && o.stack != 0 && process", "process"}},
		pkg:   roster, test: "TestFenceKnowsPrograms",
	},
	{
		name:  "the fence believes a partial list of threads",
		edits: []edit{{fence, "if len(tids) < count {\n\t\treturn running, nil\n\t}\n", ""}},
		pkg:   roster, test: "TestPartialListOfThreads",
	},
	{
		// It is needed where the other program's stack cannot be seen.
		name:    "who asks at the fence again and again begins anew each time",
		edits:   []edit{{roster + "/fences.go", "f.vigils[id] = v", ""}},
		without: []edit{{roster + "/fence.go", "process.stack != 0 && o.stack != 0 && process.stack != o.stack", "false"}},
		pkg:     roster, test: "TestFencesRemember", limit: hang,
	},
}
