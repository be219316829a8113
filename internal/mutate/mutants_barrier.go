package main

const (
	barrier      = "sync/barrier.go"
	barrierRound = "sync/barrierround.go"
	barrierCell  = "sync/barriercell.go"
)

// noBarrierBound has sleepers at a barrier look again after an hour.
var noBarrierBound = []edit{{barrierCell, "bound = idle(s)", "bound = 1 << 42"}}

// barrierMutants break Barrier.
var barrierMutants = []mutant{
	{
		name:  "Barrier: the dead inside are not looked for",
		edits: []edit{{barrierCell, "id != me && member(v, g) && !roster.Look(id).Alive {", "id == me && member(v, g) && !roster.Look(id).Alive {"}},
		pkg:   "sync", test: "TestBarrierPartyKilledBeforeTheLast", limit: hang,
	},
	{
		name:  "Barrier: sleepers do not look for the dead",
		edits: []edit{{barrierCell, "case member(v, g):\n\t\t\treturn true, 0", "case member(v, g):"}},
		pkg:   "sync", test: "TestBarrierNeedsNoLooks/a_party_dies", limit: hang,
	},
	{
		name:    "Barrier: sleepers do not watch the others",
		edits:   []edit{{barrierCell, "s.WatchLife(sight)", "_ = sight"}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/a_party_dies", limit: hang,
	},
	{
		name:    "Barrier: a new member is not announced",
		edits:   []edit{{barrierCell, "if countOf(v) == 0 {\n\t\t\tb.members", "if countOf(v) == 0 && false {\n\t\t\tb.members"}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/a_party_dies", limit: hang,
	},
	{
		name:    "Barrier: a new member wakes, but does not count",
		edits:   []edit{{barrierCell, "b.members.Add(1)", "_ = 0"}},
		without: noBarrierBound,
		pkg:     "sync", tags: "crash", test: "TestBarrierMemberComesBeforeSleep", limit: hang,
	},
	{
		name:    "Barrier: sleepers do not learn of new members",
		edits:   []edit{{barrierCell, "s.Watch(&b.members, b.members.Load())", ""}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/a_member_dies", limit: hang,
	},
	{
		// Either would do here: who finds its cell gone announces itself anew.
		name: "Barrier: sleepers neither fence the dead nor empty their cells",
		edits: []edit{
			{barrierCell, "fences.Passed(id)", "true"},
			{barrierCell, "case passed && !member(v, b.load().generation()): // as in vacate\n\t\t\tcell.CompareAndSwap(v, 0)\n", ""},
		},
		without: noBarrierBound,
		pkg:     "sync", tags: "crash", test: "TestBarrierLateThread", limit: hang,
	},
	{
		name:  "Barrier: Reset leaves a damaged state",
		edits: []edit{{barrier, "b.change(seen, w) // else", "// else"}},
		pkg:   "sync", test: "TestBarrierDamaged",
	},
	{
		name:    "Barrier: sleepers sleep for long beside the dying",
		edits:   []edit{{barrierCell, "bound = min(bound, stopping)", "_ = stopping"}},
		without: noBarrierBound,
		pkg:     "sync", tags: "crash", test: "TestBarrierLateThread", limit: hang,
	},
	{
		name:  "Barrier: sleepers wait at the fence",
		edits: []edit{{barrierCell, "fences.Passed(id)", "roster.Fence(context.Background(), id) == nil"}},
		pkg:   "sync", test: "TestBarrierDoesNotWaitForTheDeadToStop", limit: hang,
	},
	{
		name:  "Barrier: Reset goes by what a cell said before the fence",
		edits: []edit{{barrierCell, "id != 0 && !roster.Look(id).Alive; id = ownerOf(cell.Load()) {", "id != 0 && !roster.Look(id).Alive; id = 0 {\n\t\t\tv := cell.Load()"}, {barrierCell, "// that context never ends\n\t\t\tv := cell.Load()\n", "\n"}},
		pkg:   "sync", test: "TestBarrierResetForgetsLateRegistration",
	},
	{
		name:  "Barrier: Reset passes over cells that say nothing",
		edits: []edit{{barrierCell, "for id := ownerOf(cell.Load()); id != 0 &&", "for id := ownerOf(cell.Load()); countOf(cell.Load()) != 0 &&"}},
		pkg:   "sync", test: "TestBarrierResetForgetsLateRegistration", limit: hang,
	},
	{
		name:  "Barrier: registered members do not count",
		edits: []edit{{barrierCell, "return v&cellRegistered != 0 || ", "return "}},
		pkg:   "sync", test: "TestBarrierMemberKilled", limit: hang,
	},
	{
		name:  "Barrier: counted before the mark",
		edits: []edit{{barrierRound, "if err := b.enter(me, w.generation()); err != nil {\n\t\t\treturn 0, err\n\t\t}\n", ""}, {barrierRound, "if b.change(w, next) {\n\t\t\treturn w, nil", "if b.change(w, next) {\n\t\t\treturn w, b.enter(me, w.generation())"}},
		pkg:   "sync", tags: "crash", test: "TestBarrierKillAtEachStep/bar302/wait/last", limit: hang,
	},
	{
		name:  "Barrier: a mark without its generation",
		edits: []edit{{barrierCell, "v&cellEntered != 0 && v&cellGeneration>>countShift == uint64(g)", "v&cellEntered != 0"}},
		pkg:   "sync", test: "TestBarrierPartyKilledAfterwards",
	},
	{
		name:  "Barrier: counted by a store",
		edits: []edit{{barrierRound, "if b.change(w, next) {\n\t\t\treturn w, nil", "if b.state.Store(uint64(next)); true {\n\t\t\treturn w, nil"}},
		pkg:   "sync", test: "TestBarrierOfGoroutines", limit: hang,
	},
	{
		name:  "Barrier: the end of the action makes whole what broke meanwhile",
		edits: []edit{{barrierRound, "if w.over(g) {\n\t\t\treturn ErrBroken\n\t\t}\n\t\tprobe.At(probe.Bar306)", "probe.At(probe.Bar306)"}},
		pkg:   "sync", test: "TestBarrierKilledWhileActing/another_party", limit: hang,
	},
	{
		name:  "Barrier: an action that panics breaks nothing",
		edits: []edit{{barrierRound, "if !done {", "if !done && recover() == nil {"}},
		pkg:   "sync", test: "TestBarrierActionFails/act_and_panic", limit: hang,
	},
	{
		name:  "Barrier: who is cut off by a reset takes its round for complete",
		edits: []edit{{barrierRound, "if cut != 0 && since(g, ", "if cut == 1 && since(g, "}},
		pkg:   "sync", test: "TestBarrierStoppedDuringReset",
	},
	{
		name:  "Barrier: a cut is remembered for ever",
		edits: []edit{{barrierRound, "\t\t\tb.forgetCut()\n", ""}},
		pkg:   "sync", test: "TestBarrierGenerationComesAgain",
	},
	{
		name:  "Barrier: a break of the round that comes after",
		edits: []edit{{barrierRound, "if w.over(g) {\n\t\t\treturn false", "if w.status() == statusBroken {\n\t\t\treturn false"}},
		pkg:   "sync", tags: "crash", test: "TestBarrierStopAtEachStep/bar307/wait-cancel", limit: hang,
	},
	{
		name:    "Barrier: the end of a round wakes nobody",
		edits:   []edit{{barrier, "if w&barrierW != 0 && next.over(w.generation()) {", "if w&barrierW != 0 && next.status() == statusBroken {"}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/complete", limit: hang,
	},
	{
		name:    "Barrier: a break wakes nobody",
		edits:   []edit{{barrier, "if w&barrierW != 0 && next.over(w.generation()) {", "if w&barrierW != 0 && next.generation() != w.generation() {"}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/abort", limit: hang,
	},
	{
		name:    "Barrier: acting forgets who sleeps",
		edits:   []edit{{barrierRound, "statusActing) | w&barrierW", "statusActing)"}},
		without: noBarrierBound,
		pkg:     "sync", test: "TestBarrierNeedsNoLooks/complete_with_an_action", limit: hang,
	},
	{
		name:  "Barrier: a round holds up the one before at the gate",
		edits: []edit{{barrierRound, "enterRound(ctx, lowHalf(&b.state), g)", "enterRound(ctx, lowHalf(&b.state), 0)"}},
		pkg:   "sync", test: "TestBarrierSlowAtTheGate", limit: hang,
	},
	{
		name:  "Barrier: reset keeps the dead",
		edits: []edit{{barrier, "\tb.bury(w)\n", ""}},
		pkg:   "sync", test: "TestBarrierMemberKilled", limit: hang,
	},
	{
		name:  "Barrier: no place is given up",
		edits: []edit{{barrierCell, "if !b.sweep() {", "if true {"}},
		pkg:   "sync", test: "TestBarrierPlaces", limit: hang,
	},
	{
		name:  "Barrier: a member's place is given away",
		edits: []edit{{barrierCell, "if countOf(v) == 0 || member(v, b.load().generation()) {", "if countOf(v) == 0 {"}},
		pkg:   "sync", test: "TestBarrierPlaces", limit: hang,
	},
	{
		name:  "Barrier: a context that has ended breaks nothing",
		edits: []edit{{barrierRound, "err != nil && b.fail(g) {", "err != nil {"}},
		pkg:   "sync", test: "TestBarrierEndedContext", limit: hang,
	},
}
