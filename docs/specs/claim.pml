/*
 * Claiming a slot of the roster (internal/roster: claim.go, look.go, fence.go),
 * with few slots: newcomers take over what the dead leave, are killed while
 * they do, and a sleeper on some lock judges by an id of an owner long gone.
 * Labels C20 to C27 are the steps, and the names of the probe points; L2, L7, L8
 * are the sleeper's, as in lock.pml.
 *
 * Process 1 has slot 0 from the beginning, holds a lock, and is killed at some
 * moment. Processes 2, 3, ... are newcomers. The sleeper is in no danger.
 *
 *   SLOTS     of the roster (2)
 *   NEWCOMERS (2)
 *   CRASHES   how many of the newcomers are killed
 *   BOUNDS    how often the sleep may last 100 ms where that is the only way on
 *
 * C20 passes over slots whose earlier owner has still to stop, the first time round.
 *
 * M_... are mutants: each breaks one piece. CURSOR_SHARED is an earlier state
 * of the code, which had a flaw; WATCH_GENERATION an alternative.
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef NEWCOMERS
#define NEWCOMERS 2
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef BOUNDS
#define BOUNDS 0
#endif

/* How often a claim goes round; before the last time it passes over. */
#ifdef CURSOR_SHARED
#define TIMES_ROUND 1
#else
#define TIMES_ROUND 2
#endif

#define BIT(i)    (1 << (i))
#define PROCESSES (NEWCOMERS + 1)
#define FREE      0
#define DIED      255

/* A slot: its liveness word, which is FREE, DIED or a process (as its keeper's
 * thread id); its generation; and the process that step 24 wrote. */
byte live[SLOTS], generation[SLOTS], named[SLOTS];
byte cursor;

/* A keeper's robust list, for the kernel: the slot that its node lies beside,
 * and whether the node is pending or on the list. By process, from 1. */
byte aim[PROCESSES + 1];
bool pending[PROCESSES + 1], list[PROCESSES + 1];

/* Sets of processes, bit process-1. The signal; the keeper's thread has ended;
 * no thread runs any more. */
byte doomed, ended, gone;

/* The sleeper on L[0], and what woke it. */
bool asleep, woken;
byte bounds;

/* For the assertions: which slots were there to be had for all of a claim, and
 * whose each id is: (slot, generation) -> process. */
byte untaken[PROCESSES + 1];
#define IDS 8
byte whose[SLOTS * IDS];

#define ALIVE(l)   ((l) != FREE && (l) != DIED)
#define GONE(p)    (gone & BIT((p) - 1))
#define DOOMED(p)  (doomed & BIT((p) - 1))

inline wakeSleeper(slot) {
	if
	:: slot == 0 && asleep -> asleep = false; woken = true
	:: else
	fi
}

inline beginClaim() {
	for (i : 0 .. SLOTS - 1) {
		if
		:: !ALIVE(live[i]) -> untaken[me] = untaken[me] | BIT(i)
		:: else
		fi
	}
	i = 0
}

inline taken(slot) {
	for (i : 1 .. PROCESSES) {
		untaken[i] = untaken[i] & ~BIT(slot)
	}
	i = 0
}

proctype Newcomer(byte me)
{
	byte tries, index, seen, mine, i;
{	skip;
	atomic {
		beginClaim();
#ifndef CURSOR_SHARED
		index = cursor; cursor = (cursor + 1) % SLOTS
#endif
	}

C20:	atomic {
		if
		:: tries == TIMES_ROUND * SLOTS -> assert(untaken[me] == 0); goto out
		:: else
		fi;
#ifdef CURSOR_SHARED
		index = cursor; cursor = (cursor + 1) % SLOTS;
#else
		if
		:: tries > 0 -> index = (index + 1) % SLOTS
		:: else
		fi;
#endif
		tries++;
		seen = live[index];
		if
		:: ALIVE(seen) -> goto C20
		:: !ALIVE(seen) && tries <= (TIMES_ROUND - 1) * SLOTS && named[index] != 0 && !GONE(named[index]) -> goto C20
		:: else -> aim[me] = index
		fi
	}
C21:
#ifndef M_NO_PENDING
	pending[me] = true;
#endif
#ifdef M_GENERATION_FIRST
	generation[index]++;
#endif
C22:	atomic {
		if
#ifdef M_CLAIM_STORES
		:: true -> live[index] = me; taken(index)
#else
		:: live[index] == seen -> live[index] = me; taken(index)
		:: live[index] != seen -> goto lost
#endif
		fi
	}
#ifndef M_NO_FENCE
	(named[index] == 0 || GONE(named[index]));
#endif
C23:
#ifdef M_GENERATION_FIRST
	mine = generation[index];
#else
	atomic { generation[index]++; mine = generation[index] };
#endif
#ifndef M_NO_WAKE
	wakeSleeper(index);
#endif
C24:	named[index] = me;
#ifdef M_PENDING_OFF_FIRST
C26:	pending[me] = false;
C25:	list[me] = true;
#else
C25:	list[me] = true;
C26:	pending[me] = false;
#endif
C27:	atomic { assert(whose[index * IDS + mine] == 0); whose[index * IDS + mine] = me }
	/* At any later moment: whom nobody killed is alive to all who look. */
	assert(DOOMED(me) || live[index] == me && generation[index] == mine);
	goto out;

lost:	atomic { pending[me] = false; goto C20 }

out:	skip
} unless {
	atomic { ended & BIT(me - 1); tries = 0; index = 0; seen = 0; mine = 0; i = 0 }
} }

/* Who waits for a lock whose word names slot 0, generation 1. */
proctype Sleeper()
{
	byte seen, former;
L2:	seen = live[0];
	if
	:: generation[0] != 1 -> goto dead
	:: generation[0] == 1 && !ALIVE(seen) -> goto dead
	:: generation[0] == 1 && ALIVE(seen)
	fi;
#ifdef WATCH_GENERATION
#define SAME (live[0] == seen && generation[0] == 1)
#else
#define SAME (live[0] == seen)
#endif
L7:	atomic {
		if
		:: SAME -> asleep = true
		:: !SAME -> goto L8
		fi
	}
	atomic {
		if
		:: woken
		:: timeout && bounds < BOUNDS && (generation[0] != 1 || !ALIVE(live[0])) -> bounds++
		fi
	}
L8:	atomic { asleep = false; woken = false; seen = 0; goto L2 }

dead:	assert(DOOMED(1));
	/* The fence: roster.Fence. */
#ifdef M_FENCE_LOOKS_LATE
	if
	:: generation[0] != 1 -> goto fenced
	:: else
	fi;
	former = named[0];
#else
	former = named[0];
	if
	:: generation[0] != 1 -> goto fenced
	:: else
	fi;
#endif
	(GONE(former));
fenced:	assert(GONE(1))
}

/* World is the kernel, and bad luck, which may end early. */
#define KILL(p) \
	:: atomic { luck && crashes < CRASHES && !DOOMED(p) -> crashes++; doomed = doomed | BIT((p) - 1) } \
	KERNEL(p)
#define KERNEL(p) \
	:: atomic { DOOMED(p) && !(ended & BIT((p) - 1)) -> ended = ended | BIT((p) - 1); walk(p) } \
	:: atomic { owed & BIT((p) - 1) -> owed = owed & ~BIT((p) - 1); wakeSleeper(aim[p]) } \
	:: atomic { DOOMED(p) && !GONE(p) -> gone = gone | BIT((p) - 1) }

/* The end of a keeper's thread: the kernel walks its list. */
inline walk(p) {
	if
	:: (list[p] || pending[p]) && live[aim[p]] == p -> live[aim[p]] = DIED; owed = owed | BIT(p - 1)
	:: else
	fi;
	for (i : 0 .. SLOTS - 1) {
		assert(live[i] != p)
	}
	i = 0
}

proctype World()
{
	byte crashes, owed, i;
	bool luck = (CRASHES > 0);
end:	do
	:: luck -> luck = false
	:: !DOOMED(1) -> doomed = doomed | BIT(0)
	KERNEL(1)
	KILL(2)
#if NEWCOMERS > 1
	KILL(3)
#endif
#if NEWCOMERS > 2
	KILL(4)
#endif
	od
}

init {
	byte p;
	atomic {
		live[0] = 1; generation[0] = 1; named[0] = 1; list[1] = true; whose[1] = 1;
		run World();
		run Sleeper();
		for (p : 2 .. PROCESSES) {
			run Newcomer(p)
		}
		p = 0
	}
}
