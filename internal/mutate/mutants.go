package main

import (
	"cmp"
	"slices"
	"time"
)

// An edit replaces a text that occurs once in a file.
type edit struct{ file, old, new string }

// A mutant is the code with one thing broken.
type mutant struct {
	name  string
	edits []edit

	// Pieces of the protocol back each other up. To see that one does its part,
	// the other is taken away; the test passes without the other alone.
	without []edit

	pkg   string
	tags  string
	test  string        // what must catch it
	limit time.Duration // after which the test counts as hanging; 0 is usualLimit
}

const usualLimit = 20 * time.Second

// patience is the mutant's limit.
func (m mutant) patience() time.Duration { return cmp.Or(m.limit, usualLimit) }

// hang is the limit where hanging is what is expected: the test takes a fraction
// of a second otherwise.
const hang = 5 * time.Second

var mutants = slices.Concat(lockMutants, heirMutants,
	rwMutexMutants, semaphoreMutants, boundedSemaphoreMutants, condMutants, eventMutants, barrierMutants, onceMutants, waitGroupMutants,
	campaignMutants, rosterMutants, queueMutants, pipeMutants, handMutants, poolMutants, mendMutants, childMutants)

const (
	word    = "sync/word.go"
	mutex   = "sync/mutex.go"
	rmutex  = "sync/rmutex.go"
	sleeper = "sync/sleeper.go"
	await   = "internal/await/await.go"
	gate    = "sync/gate.go"
)

// noBound takes the bound of sleeps away, which turns everything that is lost
// into a delay of 100 ms.
var noBound = []edit{{word, "longestSleep = 100 * time.Millisecond", "longestSleep = time.Hour"}}

// lockMutants break taking, releasing and marking a lock.
var lockMutants = []mutant{
	{
		name:  "an unknown refusal of futex_waitv is an error",
		edits: []edit{{"internal/futex/futex.go", "default:\n\t\t\tnoWaitV.Store(true)", "default:\n\t\t\treturn benign(errno)\n\t\tcase unix.ENOSYS, unix.EPERM:\n\t\t\tnoWaitV.Store(true)"}},
		pkg:   "internal/futex", test: "TestWaitVRefused",
	},
	{
		// With a moment in between, so that one run of the test is enough.
		name: "lock by load and store",
		edits: []edit{{mutex,
			"if *roster.Self == 0 || !m.word.CompareAndSwap(0, *roster.Self) {\n\t\tm.lockSlow()",
			"if *roster.Self != 0 && m.word.Load() == 0 {\n\t\tfor range 100 {\n\t\t\t_ = m.word.Load()\n\t\t}\n\t\tm.word.Store(*roster.Self)\n\t} else {\n\t\tm.lockSlow()"}},
		pkg: "sync", test: "TestExclusion/mutex", limit: time.Minute,
	},
	{
		name:  "unlock by store, fast path",
		edits: []edit{{mutex, "if *roster.Self == 0 || !m.word.CompareAndSwap(*roster.Self, 0) {", "if m.word.Store(0); *roster.Self == 0 {"}},
		pkg:   "sync", tags: "crash", test: "TestLateUnlock/lock10",
	},
	{
		name:  "unlock by store, slow path",
		edits: []edit{{word, "if !word.CompareAndSwap(w, next) {\n\t\t\tcontinue\n\t\t}\n\t\tprobe.At(probe.Lock12)", "word.Store(next)\n\t\tprobe.At(probe.Lock12)"}},
		pkg:   "sync", tags: "crash", test: "TestLateUnlock/lock11",
	},
	{
		name:  "unlock wakes nobody",
		edits: []edit{{word, "if w&wordW != 0 {\n\t\t\tfutex.Wake(lowHalf(word), 1)\n\t\t}", ""}},
		pkg:   "sync", test: "TestUnlockWakes", limit: hang,
	},
	{
		name:  "unlock keeps W",
		edits: []edit{{word, "next := w & wordA\n", "next := w & (wordA | wordW)\n"}},
		pkg:   "sync", test: "TestUncontendedAsksNothing",
	},
	{
		name: "held with waiters, always",
		edits: []edit{{mutex,
			"if *roster.Self == 0 || !m.word.CompareAndSwap(0, *roster.Self) {\n\t\tm.lockSlow()",
			"if *roster.Self == 0 || !m.word.CompareAndSwap(0, *roster.Self|wordW) {\n\t\tm.lockSlow()"}},
		pkg: "sync", test: "TestUncontendedAsksNothing",
	},
	{
		name:  "waiter spins: sleeps on a value that is not there",
		edits: []edit{{word, "sleep(s, word, next, ", "sleep(s, word, next^wordW, "}},
		pkg:   "sync", test: "TestWaiterSleeps",
	},
	{
		name:  "steal drops W",
		edits: []edit{{word, "withHeir(uint64(a.me)|wordW|wordA, ", "withHeir(uint64(a.me)|wordA, "}},
		pkg:   "sync", test: "TestRecovererWakes", limit: hang,
	},
	{
		name:  "steal keeps W only if it was there",
		edits: []edit{{word, "withHeir(uint64(a.me)|wordW|wordA, ", "withHeir(uint64(a.me)|w&wordW|wordA, "}},
		pkg:   "sync", test: "TestRecovererWakes", limit: hang,
	},
	{
		name:  "who was woken takes the lock without W",
		edits: []edit{{word, "if a.slept {\n\t\t\tnext |= wordW\n\t\t}\n", ""}},
		pkg:   "sync", test: "TestWokenOneWakesTheNext", limit: hang,
	},
	{
		name:  "steal without the mark",
		edits: []edit{{word, "withHeir(uint64(a.me)|wordW|wordA, ", "withHeir(uint64(a.me)|wordW, "}},
		pkg:   "sync", test: "TestMarkStays",
	},
	{
		name:    "steal from a live owner after one sleep",
		edits:   []edit{{word, "if owner.Alive {", "if owner.Alive && !a.slept {"}},
		without: []edit{{word, "a.fence(ctx, id)", "error(nil)"}}, // which waits for who lives
		pkg:     "sync", test: "TestHolderStopped",
	},
	{
		name:  "steal without the fence",
		edits: []edit{{word, "a.fence(ctx, id)", "error(nil)"}},
		pkg:   "sync", test: "TestRecovererWaitsForLastWrite",
	},
	{
		name:  "a marked lock is taken without a word",
		edits: []edit{{word, "if w&wordA != 0 {\n\t\t\treturn", "if w&wordA != 0 && a.slept {\n\t\t\treturn"}},
		pkg:   "sync", test: "TestMarkStays",
	},
	{
		name:  "unlock drops the mark",
		edits: []edit{{word, "next := w & wordA\n", "next := uint64(0)\n"}},
		pkg:   "sync", test: "TestMarkStays",
	},
	{
		name:  "MarkConsistent does nothing",
		edits: []edit{{word, "word.CompareAndSwap(w, w&^wordA)", "word.CompareAndSwap(w, w)"}},
		pkg:   "sync", test: "TestHolderKilled",
	},
	{
		name:  "Lock panics with the lock held",
		edits: []edit{{mutex, "release(&m.word, roster.Me())", ""}},
		pkg:   "sync", test: "TestMarkStays", limit: hang,
	},
	{
		name: "TryLock takes an abandoned lock",
		edits: []edit{{word, "if word.CompareAndSwap(0, uint64(me)) {\n\t\treturn true",
			"if word.CompareAndSwap(0, uint64(me)) || word.CompareAndSwap(wordA, wordA|uint64(me)) {\n\t\treturn true"}},
		pkg: "sync", test: "TestMarkStays",
	},
	{
		name:  "who gives up keeps the wake",
		edits: []edit{{word, "if ownerOf(w) == 0 {\n\t\t\tfutex.Wake(lowHalf(a.word), 1)\n\t\t}\n", ""}},
		pkg:   "sync", test: "TestGiveUp", limit: hang,
	},
	{
		name:  "who gives up does not see to it that others are woken",
		edits: []edit{{word, "if ownerOf(w) != 0 {\n\t\t\tnext |= wordW\n\t\t}\n", ""}},
		pkg:   "sync", test: "TestGiveUp",
	},
	{
		name:    "sleeper does not watch the owner",
		edits:   []edit{{sleeper, "s.WatchLife(blocker)\n", "\n"}},
		without: noBound,
		pkg:     "sync", test: "TestDeathWakes", limit: hang,
	},
	{
		name:    "sleeper does not watch its context",
		edits:   []edit{{await, "words := append(s.words, futex.Watch(&s.cancelled, 0))", "words := s.words"}},
		without: noBound,
		pkg:     "sync", test: "TestLockContext", limit: hang,
	},
	{
		name:  "a death is not passed on",
		edits: []edit{{word, "s.PassOn()\n", "\n"}},
		pkg:   "sync", test: "TestDeathIsPassedOn", limit: hang,
	},
	{
		name:  "LockContext never gives up",
		edits: []edit{{word, "if err := ctx.Err(); err != nil {\n\t\t\ta.giveUp()\n\t\t\treturn err\n\t\t}\n", ""}},
		pkg:   "sync", test: "TestLockContext", limit: hang,
	},
	{
		// Either look alone is enough: an ended context never sleeps.
		name: "LockContext with an ended context waits",
		edits: []edit{
			{word, "if err := ctx.Err(); err != nil {\n\t\treturn err\n\t}\n\tif lockBudget", "if lockBudget"},
			{word, "if err := ctx.Err(); err != nil {\n\t\t\ta.giveUp()\n\t\t\treturn err\n\t\t}\n", ""},
		},
		pkg: "sync", test: "TestLockContext", limit: hang,
	},
	{
		name:  "LockContext with an ended context takes no dead owner's lock",
		edits: []edit{{word, "a := attempt{word: word, me: me, fence: fence}\n", "if err := ctx.Err(); err != nil {\n\t\treturn err\n\t}\n\ta := attempt{word: word, me: me, fence: fence}\n"}},
		pkg:   "sync", test: "TestMarkStays",
	},
	{
		name:  "one gate for all locks",
		edits: []edit{{gate, "shard := &gateShards[", "word = nil\n\tshard := &gateShards["}},
		pkg:   "sync", test: "TestGatePerLock", limit: hang,
	},
	{
		name:  "RMutex: key without the roster id",
		edits: []edit{{rmutex, "return uint64(me)<<34 | ", "return "}},
		pkg:   "sync", test: "TestRMutexBelongsToProcess",
	},
	{
		name:  "RMutex: key without the goroutine id",
		edits: []edit{{rmutex, "uint64(goid.Get())&(1<<34-1)\n}", "uint64(goid.Get())>>63\n}"}},
		pkg:   "sync", test: "TestRMutexBelongsToGoroutine",
	},
	{
		name:  "RMutex: depth of the dead owner",
		edits: []edit{{rmutex, "r.depth = 1\n", "r.depth++\n"}},
		pkg:   "sync", test: "TestDepthDiesWithOwner",
	},
	{
		name:  "RMutex: holder stays after unlock",
		edits: []edit{{rmutex, "storeRelaxed(&r.holder, 0)\n", "\n"}},
		pkg:   "sync", test: "TestExclusion/rmutex", limit: time.Minute,
	},
}

// heirMutants break how a lock is kept for one who has waited long.
var heirMutants = []mutant{
	{
		name:  "nobody becomes heir",
		edits: []edit{{word, "if starving && heirOf(seen.word) == 0 {", "if starving && heirOf(seen.word) != 0 {"}},
		pkg:   "sync", test: "TestLockIsKeptForHeir", limit: hang,
	},
	{
		name:  "unlock forgets the heir",
		edits: []edit{{word, "next = withHeir(w&(wordW|wordA), heir)", "next = w & (wordW | wordA)"}},
		pkg:   "sync", test: "TestLockIsKeptForHeir",
	},
	{
		name:  "the heir stays when it has the lock",
		edits: []edit{{word, "next := uint64(a.me) | w&(wordA|wordW)\n", "next := uint64(a.me) | w&^uint64(roster.Mask)\n"}},
		pkg:   "sync", test: "TestLockIsKeptForHeir",
	},
	{
		name:  "the heir is never late",
		edits: []edit{{word, "return time.Since(a.keptSince) >= reservation", "return false"}},
		pkg:   "sync", test: "TestLockIsKeptForHeir", limit: hang,
	},
	{
		name:  "nothing is kept for the heir",
		edits: []edit{{word, "if heir.Alive && !a.late(w) {", "if heir.Alive && !a.late(w) && a.slept {"}},
		pkg:   "sync", test: "TestTryLeavesLockToHeir", limit: hang,
	},
	{
		name:  "unlock does not wake the heir",
		edits: []edit{{word, "if heir != 0 && futex.Wake(", "if heir == 0 && futex.Wake("}},
		pkg:   "sync", test: "TestUnlockWakesHeir", limit: hang,
	},
	{
		name:  "unlock wakes nobody if the heir does not sleep",
		edits: []edit{{word, "if heir != 0 && futex.Wake(highHalf(word), 1) > 0 {", "if futex.Wake(highHalf(word), 1); heir != 0 {"}},
		pkg:   "sync", test: "TestUnlockWakesHeir", limit: hang,
	},
	{
		name:  "W is lost when an heir is passed over",
		edits: []edit{{word, "next |= wordW // others may be waiting for the heir to take it", ""}},
		pkg:   "sync", test: "TestHeirKilled",
	},
}
