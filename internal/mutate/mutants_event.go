package main

const syncEvent = "sync/event.go"

// eventForever takes the bound of a waiter's sleep away.
var eventForever = []edit{{syncEvent, "s.Sleep(idle(s))", "s.Sleep(longestSleep * 36000)"}}

// eventMutants break Event.
var eventMutants = []mutant{
	{
		name:    "Event: Set wakes nobody",
		edits:   []edit{{syncEvent, "futex.Wake(&e.word, futex.All)", "_ = futex.All"}},
		without: eventForever,
		pkg:     "sync", test: "TestEventWaiterKilledThenSet", limit: hang,
	},
	{
		name:    "Event: Set wakes one",
		edits:   []edit{{syncEvent, "futex.Wake(&e.word, futex.All)", "futex.Wake(&e.word, 1)"}},
		without: eventForever,
		pkg:     "sync", test: "TestEventWaiterKilledThenSet", limit: hang,
	},
	{
		name:  "Event: a waiter goes by set alone",
		edits: []edit{{syncEvent, "return w&eventSet != 0 || (w^first)/eventCount != 0", "return w&eventSet != 0 || first == 1<<31"}},
		pkg:   "sync", test: "TestEventSetAndClearedFast", limit: hang,
	},
	{
		name:  "Event: a waiter begins behind the gate",
		edits: []edit{{syncEvent, "defer gate.leave()\n", "defer gate.leave()\n\tfirst = e.word.Load()\n"}},
		pkg:   "sync", test: "TestEventSetAndClearedFast", limit: hang,
	},
	{
		name:  "Event: who waits for the next Set holds up who was slow at the gate",
		edits: []edit{{syncEvent, "enterRound(ctx, &e.word, first/eventCount)", "enterGate(ctx, &e.word)"}},
		pkg:   "sync", test: "TestEventSlowAtTheGate", limit: hang,
	},
	{
		name:    "Event: a waiter does not announce itself",
		edits:   []edit{{syncEvent, "if w&eventW == 0 && !e.word.CompareAndSwap(w, w|eventW) {\n\t\t\tcontinue\n\t\t}\n\t\ts.Watch(&e.word, w|eventW)", "s.Watch(&e.word, w)"}},
		without: eventForever,
		pkg:     "sync", test: "TestEventWaiterKilledThenSet", limit: hang,
	},
	{
		name:    "Event: Set of a set event only looks",
		edits:   []edit{{syncEvent, "if !e.word.CompareAndSwap(w, next) {", "if w != next && !e.word.CompareAndSwap(w, next) {"}},
		without: eventForever,
		pkg:     "sync", test: "TestEventSetOfSetEventPublishes", limit: hang,
	},
	{
		name:    "Event: who waits for several things does not announce itself",
		edits:   []edit{{syncEvent, "if w&eventW == 0 && !e.word.CompareAndSwap(w, w|eventW) {\n\t\t\tcontinue\n\t\t}\n\t\tlist.Watch(&e.word, w|eventW)", "list.Watch(&e.word, w)"}},
		without: []edit{{syncEvent, "list.Bound(longestIdle)", ""}},
		pkg:     "sync", test: "TestEventAwait", limit: hang,
	},
	{
		name:    "Event: W goes before the wake",
		edits:   []edit{{syncEvent, "next = (w + eventCount) | eventSet", "next = (w + eventCount)&^eventW | eventSet"}},
		without: eventForever,
		pkg:     "sync", tags: "crash", test: "TestEventSetterKilledBeforeWake", limit: hang,
	},
	{
		name:    "Event: Clear leaves the sleepers of a dead setter",
		edits:   []edit{{syncEvent, "if w&eventSet != 0 && w&eventW != 0 {", "if w&eventSet != 0 && w == 0 {"}},
		without: eventForever,
		pkg:     "sync", tags: "crash", test: "TestEventSetterKilledBeforeWake", limit: hang,
	},
	{
		name:  "Event: W stays after the wake",
		edits: []edit{{syncEvent, "e.word.CompareAndSwap(next, next&^eventW)", "_ = next"}},
		pkg:   "sync", test: "TestEventAsksNothing",
	},
	{
		name:  "Event: Set always wakes",
		edits: []edit{{syncEvent, "if w&eventW != 0 {\n\t\t\te.wake", "if w&eventW != 0 || true {\n\t\t\te.wake"}},
		pkg:   "sync", test: "TestEventAsksNothing",
	},
}
