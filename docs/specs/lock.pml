/*
 * The lock of sync/word.go, with its gate (sync/gate.go), as processes, the
 * kernel and bad luck see it. Labels L1 to L13 are the steps, and the names of
 * the probe points. README.md says what is left out, and why.
 *
 * A goroutine's load of the word and the CAS that follows are one step here: a
 * CAS that succeeds finds what was loaded, one that fails changes nothing.
 *
 * A process ends in pieces, in any order after the signal: its keeper's thread
 * ends, which marks L; the kernel wakes one who watches L; and each of its
 * goroutines stops running. Until then a goroutine goes on.
 *
 * Size                                       Bad luck, each at any moment
 *   PROCS       processes (3)                  CRASHES  processes killed
 *   GOROUTINES  in each; above 1 with gates    STOPS    processes stopped for ever, not as owner
 *   ROUNDS      locks by each goroutine (2)    CANCELS  contexts ended
 *   HEIRS       waiters may starve             SPURIOUS sleeps ended for no reason
 *                                              LATE     an heir may be too late
 *   BOUNDS      how often a sleep may last 100 ms where that is the only way on
 *   FROZEN      a stopped sleeper may stay queued
 *   PLAIN_DEATHS  only owners are killed, when all who wait are asleep
 *   STRANGER    the kernel's wake may reach a sleeper of another lock
 *
 * M_... are mutants: each breaks one piece. HIGH_LAST and FENCE_AFTER are
 * earlier states of the code, which had a flaw.
 */
#ifndef PROCS
#define PROCS 3
#endif
#ifndef GOROUTINES
#define GOROUTINES 1
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef HEIRS
#define HEIRS 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef SPURIOUS
#define SPURIOUS 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef BOUNDS
#define BOUNDS 0
#endif
#ifndef FROZEN
#define FROZEN 0
#endif
#ifndef STRANGER
#define STRANGER 0
#endif

#define ALL    (PROCS * GOROUTINES)
#define BIT(i) (1 << (i))
#define SELF   BIT(_pid)
#define ME     (_pid / GOROUTINES + 1)

/* The word. Ids are 1 to PROCS, 0 is nobody. */
byte owner, heir;
bool W, A;

/* Sets of processes, bit id-1. dead is the liveness words: what anybody can
 * see. doomed is the signal. owed: the kernel has marked L but not yet woken;
 * strange: it has woken a sleeper of another lock. */
byte doomed, dead, owed, strange, stopped, gates;

/* Sets of goroutines. low and high are who is queued on the word's halves. */
byte low, high, woken, cancelled, gone, finished;
byte watched[ALL];      /* whose L a goroutine is queued on */

/* For the assertions: who is in the critical section, and whether what the
 * lock guards may be half-changed. */
byte inside;
bool broken;

byte bounds;

#define DEAD(id)    (dead & BIT((id) - 1))
#define THREADS(id) ((BIT(GOROUTINES) - 1) << (((id) - 1) * GOROUTINES))
#define GONE(id)    ((gone & THREADS(id)) == THREADS(id))
#define MINE        (asked && heir == ME)
#define KEPT        (heir != 0 && !MINE && !DEAD(heir))

/* What a look would lead to: taking the lock. */
#define HELPS       (owner == 0 && (!KEPT || LATE) || owner != 0 && DEAD(owner))

/* futex_wake(queue, 1): of several sleepers any. A sleeper is queued in several
 * places; it can be picked in one of them after it was woken in another. */
#define PICK(queue, t) queue & BIT(t) -> queue = queue & ~BIT(t); woken = woken | BIT(t); hit = true
inline wakeOne(queue) {
	if
	:: PICK(queue, 0)
	:: PICK(queue, 1)
#if PROCS * GOROUTINES > 2
	:: PICK(queue, 2)
#endif
#if PROCS * GOROUTINES > 3
	:: PICK(queue, 3)
#endif
	:: else -> hit = false
	fi
}

/* futex_wake(L[id], 1), by the kernel. */
#define PICKL(id, t) watched[t] == id -> watched[t] = 0; woken = woken | BIT(t)
inline wakeOneWatcher(id) {
	if
	:: PICKL(id, 0)
	:: PICKL(id, 1)
#if PROCS * GOROUTINES > 2
	:: PICKL(id, 2)
#endif
#if PROCS * GOROUTINES > 3
	:: PICKL(id, 3)
#endif
	:: else
	fi
}

/* futex_wake(L[id], all). */
inline passOn(id) {
#ifdef M_NO_PASS_ON
	skip;
#else
	for (i : 0 .. ALL - 1) {
		if
		:: PICKL(id, i)
		:: else
		fi
	}
	i = 0
#endif
}

inline dequeue(t) {
	low = low & ~BIT(t); high = high & ~BIT(t); woken = woken & ~BIT(t); watched[t] = 0
}

/* The attempt is over, one way or the other. */
inline forget() {
	slept = false; asked = false; blocker = 0; saw = 0; marked = false; hit = false;
	cancelled = cancelled & ~SELF;
	if
	:: through -> through = false; gates = gates & ~BIT(ME - 1)
	:: else
	fi
}

/* The lock is held, and a death was told or not. */
inline enter(told_) {
	told = told_;
	assert(told == broken);
	inside = inside | SELF;
	assert(inside == SELF);
	forget()
}

/* The heir alone watches the upper half. */
inline watchHeir() {
	atomic {
		if
		:: asked && heir == ME -> high = high | SELF
		:: asked && heir != ME -> goto L8
		:: !asked
		fi
	}
}

active [ALL] proctype Goroutine()
{
	byte round, i;
	bool slept, asked, through;     /* of one attempt: may have consumed a wake, was made heir, is through the gate */
	byte blocker;                   /* the living process in the way, whose L is watched */
	byte saw; bool marked;          /* owner and A as step 6 left them */
	bool told, hit, wakeHeir, wakeOther;
{	skip;
again:	atomic {
		if
		:: round == ROUNDS -> goto done
		:: else -> round++
		fi;
L1:		if
		:: owner == 0 && heir == 0 && !W && !A -> owner = ME; enter(false); goto critical
		:: else
		fi;
#ifdef M_NO_GATE
		through = true
#else
		through = (GOROUTINES == 1)     /* a gate for one is no gate */
#endif
	}

L2:	atomic {
		if
		:: owner != 0 && DEAD(owner) ->
			blocker = owner;
#if !defined(FENCE_AFTER) && !defined(M_NO_FENCE)
			if
			:: !GONE(owner) -> goto L5
			:: else
			fi;
#endif
L4:			assert(doomed & BIT(owner - 1));
			owner = ME;
#ifdef M_STEAL_DROPS_W
			W = false;
#else
			W = true;
#endif
#ifndef M_NO_A
			A = true;
#endif
			broken = true;
			if
			:: MINE -> heir = 0
			:: else
			fi;
#ifdef FENCE_AFTER
			goto L5
#else
			enter(true); goto critical
#endif
		:: owner == 0 && (!KEPT || LATE) ->
L3:			W = W || (heir != 0 && !MINE);
#ifndef M_NO_INHERIT
			W = W || slept;
#endif
			owner = ME; heir = 0; enter(A); goto critical
#ifdef M_STEAL_LIVE
		:: owner != 0 && owner != ME -> goto L4
#endif
		:: owner != 0 && !DEAD(owner) -> blocker = owner
		:: owner == 0 && KEPT -> blocker = heir
		fi;
		if
		:: cancelled & SELF -> goto L13
		:: else
		fi;
		if
		:: !through -> goto gate
		:: else
		fi;
L6:		W = true;
		if
		:: HEIRS && heir == 0 -> heir = ME      /* it starves */
		:: true
		fi;
		asked = (heir == ME); saw = owner; marked = A
	}

	/* futex_waitv compares and queues word by word. */
L7:
#ifndef HIGH_LAST
	watchHeir();
#endif
	atomic {
		if
		:: owner == saw && W && A == marked -> low = low | SELF
		:: else -> goto L8
		fi
	}
	atomic {
		if
		:: !DEAD(blocker) -> watched[_pid] = blocker
		:: else -> goto L8
		fi
	}
#ifdef HIGH_LAST
	watchHeir();
#endif
	atomic {
		if
		:: woken & SELF
		:: cancelled & SELF
		:: timeout && HELPS && saw == 0           /* 5 ms */
		:: timeout && HELPS && saw != 0 && bounds < BOUNDS -> bounds++
		fi;
		goto L8
	}
L8:	atomic {
		dequeue(_pid);
		slept = true;
		if
		:: DEAD(blocker) -> passOn(blocker)
		:: else
		fi;
		goto L2
	}

	/* The fence: until no thread of the dead process runs any more. */
L5:	atomic {
		GONE(blocker);
#ifdef FENCE_AFTER
		enter(true); goto critical
#else
		goto L2
#endif
	}

gate:	atomic {
		if
		:: !(gates & BIT(ME - 1)) -> gates = gates | BIT(ME - 1); through = true; goto L2
		:: cancelled & SELF -> forget(); goto again
		fi
	}

	/* The context has ended. */
L13:	atomic {
		if
#ifdef M_NO_GIVE_BACK
		:: true -> forget(); goto again
#endif
		:: !slept -> forget(); goto again
		:: slept && owner == 0 ->
#ifndef M_HEIR_STAYS
			if
			:: MINE -> heir = 0; W = false
			:: else
			fi;
#endif
			forget(); wakeOther = true; goto wake
		:: slept && owner != 0 ->
#ifndef M_HEIR_STAYS
			if
			:: MINE -> heir = 0
			:: else
			fi;
#endif
			W = true; forget(); goto again
		fi
	}

critical:
	atomic {
		if
		:: told && owner == ME ->
L9:			A = false; broken = false
		:: true
		fi;
		told = false
	}
#ifdef M_WAKE_FIRST
	atomic { if :: W -> wakeOne(low) :: else fi; hit = false };
#endif
L10:	atomic {
#ifdef M_UNLOCK_STORES
		inside = inside & ~SELF;
		wakeOther = W; owner = 0; heir = 0; W = false;
		goto wake;
#endif
		if
		:: owner == ME && heir == 0 && !W && !A -> owner = 0; inside = inside & ~SELF; goto again
		:: owner == ME && (heir != 0 || W || A) ->
L11:			wakeHeir = (heir != 0); wakeOther = W;
			owner = 0; inside = inside & ~SELF;
			if
			:: heir == 0 -> W = false
			:: else
			fi;
#if defined(M_NO_WAKE) || defined(M_WAKE_FIRST)
			wakeHeir = false; wakeOther = false;
#endif
#ifdef M_HEIR_NOT_WOKEN
			wakeHeir = false;
#endif
			goto wake
		:: owner != ME ->                           /* stolen from the dead: a panic */
			assert(doomed & BIT(ME - 1)); inside = inside & ~SELF; goto again
		fi
	}
wake:
L12:	atomic {
		if
		:: wakeHeir -> wakeHeir = false; wakeOne(high);
			if
			:: hit -> hit = false; wakeOther = false; goto again
			:: else
			fi
		:: else
		fi
	}
	atomic {
		if
		:: wakeOther -> wakeOther = false; wakeOne(low); hit = false
		:: else
		fi;
		goto again
	}
done:	finished = finished | SELF
} unless {
	atomic {
		(gone & SELF) || (stopped & BIT(ME - 1));
		round = 0; slept = false; asked = false; through = false; blocker = 0; saw = 0; marked = false;
		told = false; hit = false; wakeHeir = false; wakeOther = false; i = 0
	}
	if
	:: gone & SELF
	:: !(gone & SELF) ->
endStopped:	false
	fi
} }

#ifdef PLAIN_DEATHS
#define WAITS(t, id) (watched[t] == (id) && !(woken & BIT(t)) || (finished | THREADS(id)) & BIT(t))
#if PROCS * GOROUTINES == 2
#define PLAIN(id) (owner == (id) && WAITS(0, id) && WAITS(1, id))
#elif PROCS * GOROUTINES == 3
#define PLAIN(id) (owner == (id) && WAITS(0, id) && WAITS(1, id) && WAITS(2, id))
#else
#define PLAIN(id) (owner == (id) && WAITS(0, id) && WAITS(1, id) && WAITS(2, id) && WAITS(3, id))
#endif
#else
#define PLAIN(id) true
#endif

/* World is the kernel, and bad luck. Bad luck may end before it has done its
 * worst: otherwise whoever is stuck could still be killed, and would not count
 * as stuck. */
#define RUNNING(id) !((doomed | stopped) & BIT((id) - 1)) && (finished & THREADS(id)) != THREADS(id)
#define FAULTS(id) \
	:: atomic { luck && crashes < CRASHES && RUNNING(id) && PLAIN(id) -> crashes++; doomed = doomed | BIT((id) - 1) } \
	:: atomic { luck && stops < STOPS && RUNNING(id) && owner != (id) -> \
		stops++; stopped = stopped | BIT((id) - 1); leave(id) } \
	:: atomic { doomed & BIT((id) - 1) && !DEAD(id) -> dead = dead | BIT((id) - 1); owed = owed | BIT((id) - 1) } \
	:: atomic { owed & BIT((id) - 1) -> owed = owed & ~BIT((id) - 1); \
		if :: wakeOneWatcher(id) :: STRANGER -> strange = strange | BIT((id) - 1) fi } \
	:: atomic { strange & BIT((id) - 1) -> strange = strange & ~BIT((id) - 1); passOn(id) }
#define TROUBLE(t) \
	:: atomic { luck && cancels < CANCELS && RUNNING((t) / GOROUTINES + 1) && !((cancelled | inside | finished) & BIT(t)) -> \
		cancels++; cancelled = cancelled | BIT(t) } \
	:: atomic { luck && spurious < SPURIOUS && low & BIT(t) && !(woken & BIT(t)) -> spurious++; woken = woken | BIT(t) } \
	:: atomic { doomed & BIT((t) / GOROUTINES) && !(gone & BIT(t)) -> \
		gone = gone | BIT(t); inside = inside & ~BIT(t); dequeue(t) }

/* SIGSTOP takes a sleeper off its queues, with what woke it just before. One
 * that is frozen in another way may stay there, to swallow a wake on each. */
inline leave(id) {
	for (i : 0 .. ALL - 1) {
		if
		:: THREADS(id) & BIT(i) -> if :: dequeue(i) :: FROZEN fi
		:: else
		fi
	}
	i = 0
}

active proctype World()
{
	byte crashes, stops, cancels, spurious, i;
	bool luck = (CRASHES + STOPS + CANCELS + SPURIOUS > 0);
end:	do
	:: luck -> luck = false
	FAULTS(1)
	FAULTS(2)
#if PROCS > 2
	FAULTS(3)
#endif
	TROUBLE(0)
	TROUBLE(1)
#if PROCS * GOROUTINES > 2
	TROUBLE(2)
#endif
#if PROCS * GOROUTINES > 3
	TROUBLE(3)
#endif
	od
}
