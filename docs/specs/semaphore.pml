/*
 * The BoundedSemaphore of sync/boundedsemaphore.go and sync/boundedrequest.go.
 * Labels Q241 to Q253 are the steps, and the names of the probe points. README.md
 * says what is left out, and why.
 *
 * The line is an ideal lock: what lock.pml shows of it is taken for granted. Each
 * process has one goroutine, and the cell of its number.
 *
 * A process ends in pieces, in any order after the signal: its keeper's thread
 * ends, which marks L; the kernel wakes who watches L; and its goroutine stops
 * running. Until then that goes on.
 *
 * Size                                        Bad luck, each at any moment
 *   PROCS    processes (3; 2 to 4)            CRASHES  processes killed
 *   LIMIT    permits (2)                      CANCELS  contexts ended
 *   LARGE    what the first process asks for (2); the others ask for 1
 *   ROUNDS   requests by each process (1)
 *   TRIES    set of processes that only try, bit by bit (0)
 *   BOUNDS   sleeps that may last until their bound (0)
 *   LATE     1: a dead first is followed before it has stopped. It goes on until it surveys
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef PROCS
#define PROCS 3
#endif
#ifndef LIMIT
#define LIMIT 2
#endif
#ifndef LARGE
#define LARGE 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef TRIES
#define TRIES 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef BOUNDS
#define BOUNDS 0
#endif
#ifndef LATE
#define LATE 0
#endif

#define BIT(i)   (1 << (i))
#define SELF     BIT(_pid)
#define ME       (_pid + 1)
#define WANTS(i) ((i) == 0 -> LARGE : 1)

/* The memory. turn is an id, 1 to PROCS; 0 is nobody. For seq stands "somebody has
 * raised it since the first in line read it". */
byte claimed[PROCS], held[PROCS];
byte turn, line;
bool raised;

/* Sets of processes. dead is the liveness words: what anybody can see. doomed is the
 * signal. owed: the kernel has marked L but not yet woken. voided: their cells have
 * been taken away. */
byte doomed, dead, owed, gone, cancelled, finished, voided;

/* The sleep of who is first: the L's on which it is queued, and whether on seq. */
byte watched;
bool queued, woken;
byte bounds;

/* For the assertions: what each process holds of which a thread still runs; who
 * tries; and for whom there was a moment, since it began, that excuses a no. */
byte has[PROCS];
byte trying, excused;

#define DEAD(id) (dead & BIT((id) - 1))
#define GONE(id) (gone & BIT((id) - 1))
#define FREE     (turn == 0 || (DEAD(turn) && (LATE || GONE(turn))))

#define CLAIMS(i) (claimed[i] != 0 && !(dead & BIT(i)))
#define HOLDS(i)  ((dead & gone & BIT(i)) -> 0 : held[i])
#if PROCS > 3
#define ALL(a)    (a[0] + a[1] + a[2] + a[3])
#define UNDER_WAY (CLAIMS(0) || CLAIMS(1) || CLAIMS(2) || CLAIMS(3))
#define IN_USE    (HOLDS(0) + HOLDS(1) + HOLDS(2) + HOLDS(3))
#elif PROCS > 2
#define ALL(a)    (a[0] + a[1] + a[2])
#define UNDER_WAY (CLAIMS(0) || CLAIMS(1) || CLAIMS(2))
#define IN_USE    (HOLDS(0) + HOLDS(1) + HOLDS(2))
#else
#define ALL(a)    (a[0] + a[1])
#define UNDER_WAY (CLAIMS(0) || CLAIMS(1))
#define IN_USE    (HOLDS(0) + HOLDS(1))
#endif

#ifdef M_NO_FENCE
#define STOPPED(i) true
#else
#define STOPPED(i) (gone & BIT(i))
#endif

#ifdef M_LINE_ONCE
#define LINE_ONCE true
#else
#define LINE_ONCE false
#endif

/* After each event that can be an excuse. */
#define EXCUSE(i) \
	if \
	:: trying & BIT(i) && (IN_USE + WANTS(i) > LIMIT || line == 2 && turn != (i) + 1 && !FREE) -> \
		excused = excused | BIT(i) \
	:: else \
	fi
#if PROCS > 3
#define EXCUSES EXCUSE(0); EXCUSE(1); EXCUSE(2); EXCUSE(3)
#elif PROCS > 2
#define EXCUSES EXCUSE(0); EXCUSE(1); EXCUSE(2)
#else
#define EXCUSES EXCUSE(0); EXCUSE(1)
#endif

/* line == 2: seq++, wake one. Only who is first sleeps. */
#ifdef M_NO_WAKE
#define WAKE true
#else
#define WAKE if :: queued -> woken = true :: else fi
#endif
#define WAKE_FIRST(next) \
	atomic { if :: line == 2 :: else -> goto next fi }; \
	raised = true; \
	atomic { WAKE; goto next }

active [PROCS] proctype Process()
{
	byte round, i, sum;
	bool first, sleeps, found, claims, brief;
{	skip;
again:	atomic {
		first = false; sleeps = false; found = false; claims = false; brief = false; i = 0; sum = 0;
		trying = trying & ~SELF; excused = excused & ~SELF;
		if
		:: round == ROUNDS -> goto done
		:: else -> round++
		fi;
		if
		:: TRIES & SELF -> trying = trying | SELF; EXCUSES
		:: else
		fi
	}

Q241:	atomic {
		if
		:: line != 0 -> goto Q246
		:: else
		fi
	}

	/* A look. */
Q242:	atomic {
		if
		:: voided & SELF -> goto lost
		:: else
		fi;
#ifndef M_NO_CLAIM
		claimed[_pid] = claimed[_pid] + WANTS(_pid);
#endif
		i = 0; sum = 0
	}
Q243:	atomic {
		if
#ifndef M_LINE_ONCE
		:: !first && line != 0 -> goto Q245
#endif
		:: first || line == 0 || LINE_ONCE
		fi
	}
	do
	:: atomic { i < PROCS -> sum = sum + claimed[i] + held[i]; i++ }
	:: atomic { i == PROCS -> i = 0; break }
	od;
	atomic {
#ifdef M_NO_CLAIM
		sum = sum + WANTS(_pid);
#endif
		if
		:: sum > LIMIT -> sum = 0; goto Q245
		:: else -> sum = 0
		fi
	}
Q244:	atomic {
		if
		:: voided & SELF -> goto lost
		:: else
		fi;
#ifndef M_NO_CLAIM
		claimed[_pid] = claimed[_pid] - WANTS(_pid);
#endif
		held[_pid] = held[_pid] + WANTS(_pid);
		has[_pid] = has[_pid] + WANTS(_pid);
		assert(ALL(has) <= LIMIT);
		EXCUSES;
		if
		:: first -> goto Q250
		:: else -> goto Q252
		fi
	}
Q245:	atomic {
		if
		:: voided & SELF -> goto lost
		:: else
		fi;
#if !defined(M_NO_CLAIM) && !defined(M_CLAIM_KEPT)
		claimed[_pid] = claimed[_pid] - WANTS(_pid);
#endif
		if
		:: first && !(TRIES & SELF) -> goto survey
		:: first && TRIES & SELF -> goto refuse
		:: else
		fi
	}
#ifdef M_BACK_OFF_SILENT
	goto Q246;
#endif
	WAKE_FIRST(Q246);

	/* In line. */
Q246:	atomic {
		if
		:: FREE -> turn = ME; queued = false; woken = false; watched = 0; EXCUSES; goto Q247
		:: !FREE && TRIES & SELF
		:: cancelled & SELF -> goto again
		fi
	}
	atomic {
		if
		:: line == 2
		:: FREE -> goto Q246
		fi
	}
	atomic {
		if
		:: turn == 0 || !DEAD(turn) -> assert(excused & SELF); goto again
		:: else -> goto Q246
		fi
	}
Q247:	line = 1;
look:	atomic {
		if
		:: turn == ME -> raised = false
		:: else
		fi;
		if
#ifndef M_LOOKS_BEFORE
		:: sleeps -> line = 2; EXCUSES
#endif
		:: else
		fi;
		first = true; goto Q242
	};

	/* Who is dead and has not stopped keeps what it has: the sleep after that is brief, and may
	 * end at any moment. */
survey:	atomic { turn == ME; watched = 0; woken = false; found = false; brief = false; i = 0; sum = 0 };
Q248:	do
	:: atomic { turn == ME && i < PROCS && claimed[i] + held[i] == 0 -> i++ }
	:: atomic { turn == ME && i < PROCS && claimed[i] + held[i] != 0 && !(dead & BIT(i)) ->
#ifndef M_UNWATCHED
		watched = watched | BIT(i);
#endif
		sum = sum + claimed[i] + held[i]; i++ }
	:: atomic { turn == ME && i < PROCS && claimed[i] + held[i] != 0 && dead & BIT(i) && STOPPED(i) ->
#ifdef M_DEAD_STAY
		sum = sum + claimed[i] + held[i];
#else
		claimed[i] = 0; held[i] = 0; voided = voided | BIT(i); found = true;
#endif
		i++ }
#ifndef M_NO_FENCE
	:: atomic { turn == ME && i < PROCS && claimed[i] + held[i] != 0 && dead & BIT(i) && !STOPPED(i) ->
#ifndef M_SLEEPS_BESIDE_THE_DYING
		brief = true;
#endif
		sum = sum + claimed[i] + held[i]; i++ }
#endif
	:: atomic { turn == ME && i == PROCS -> i = 0; break }
	od;
	atomic {
		turn == ME;
		if
		:: TRIES & SELF -> sum = 0; watched = 0; goto verdict
		:: !(TRIES & SELF) && found -> sum = 0; watched = 0; goto look
#ifndef M_SUM_OF_LOOK
		:: !(TRIES & SELF) && !found && sum + WANTS(_pid) <= LIMIT -> sum = 0; watched = 0; goto look
		:: !(TRIES & SELF) && !found && sum + WANTS(_pid) > LIMIT -> sum = 0
#else
		:: !(TRIES & SELF) && !found -> sum = 0
#endif
		fi;
		if
		:: cancelled & SELF -> watched = 0; goto Q250
		:: else
		fi;
		if
		:: !sleeps -> watched = 0; sleeps = true
		:: else -> goto Q249
		fi;
#ifndef M_LOOKS_BEFORE
		goto look
#else
		goto Q249
#endif
	}
	/* futex_waitv compares and queues: the L's, then seq. */
Q249:	atomic {
		turn == ME;
#ifdef M_LOOKS_BEFORE
		line = 2; EXCUSES;
#endif
		if
		:: watched & dead -> watched = 0; goto look
		:: else -> queued = true        /* for the L's; what raises seq from here on is compared next */
		fi
	}
	atomic {
		turn == ME;
		if
		:: raised -> queued = false; watched = 0; goto look
		:: else
		fi
	}
	atomic {
		if
		:: turn == ME && woken
		:: turn == ME && brief
		:: turn == ME && cancelled & SELF
		:: timeout && bounds < BOUNDS && turn == ME -> bounds++
		fi;
		woken = false; queued = false; watched = 0; goto look
	}

	/* The try's no. */
refuse:	atomic { claims = false; i = 0 };
	do
	:: atomic { i < PROCS ->
#ifndef M_CLAIMS_IGNORED
		claims = claims || claimed[i] != 0;
#endif
		i++ }
	:: atomic { i == PROCS -> i = 0; break }
	od;
	goto survey;
verdict:
	do
	:: atomic { i < PROCS -> sum = sum + held[i]; i++ }
	:: atomic { i == PROCS -> i = 0; break }
	od;
	atomic {
		if
		:: !claims && !found && !brief && sum + WANTS(_pid) > LIMIT -> sum = 0; assert(excused & SELF); goto Q250
		:: claims -> !(UNDER_WAY)               /* time passes, or a claimer dies */
		:: else
		fi;
		claims = false; sum = 0; goto look
	}

	/* Whether somebody follows decides only who comes next: either is possible. */
Q250:	atomic {
		if
		:: line = 0
		:: true
		fi
	}
Q251:	atomic {
		if
		:: turn == ME -> turn = 0
		:: else -> assert(LATE && dead & SELF)
		fi;
		first = false; cancelled = cancelled & ~SELF;
		if
		:: has[_pid] == 0 -> goto again
		:: else
		fi
	}

Q252:	atomic {
		if
		:: voided & SELF -> goto lost
		:: else
		fi;
		held[_pid] = held[_pid] - WANTS(_pid);
		has[_pid] = has[_pid] - WANTS(_pid)
	}
#ifdef M_RELEASE_SILENT
	goto again;
#endif
Q253:	WAKE_FIRST(again);

	/* Its cell has been taken away: it is a late thread. */
lost:	false;
done:	finished = finished | SELF
} unless {
	atomic {
		gone & SELF;
		round = 0; i = 0; sum = 0; first = false; sleeps = false; found = false; claims = false; brief = false
	}
} }

/* World is the kernel, and bad luck. Bad luck may end before it has done its
 * worst: otherwise whoever is stuck could still be killed, and would not count
 * as stuck. */
#define RUNNING(i) !((doomed | finished) & BIT(i))
#define EVENTS(i) \
	:: atomic { luck && crashes < CRASHES && RUNNING(i) -> crashes++; doomed = doomed | BIT(i) } \
	:: atomic { luck && cancels < CANCELS && RUNNING(i) && !(cancelled & BIT(i)) && !(TRIES & BIT(i)) && has[i] == 0 -> \
		cancels++; cancelled = cancelled | BIT(i) } \
	:: atomic { doomed & BIT(i) && !(dead & BIT(i)) -> dead = dead | BIT(i); owed = owed | BIT(i) } \
	:: atomic { owed & BIT(i) -> owed = owed & ~BIT(i); \
		if :: queued && watched & BIT(i) -> woken = true :: else fi } \
	:: atomic { doomed & BIT(i) && !(gone & BIT(i)) -> gone = gone | BIT(i); \
		has[i] = 0; trying = trying & ~BIT(i); excused = excused & ~BIT(i); \
		if :: turn == (i) + 1 -> queued = false; woken = false; watched = 0 :: else fi }

active proctype World()
{
	byte crashes, cancels;
	bool luck = (CRASHES + CANCELS > 0);
end:	do
	:: luck -> luck = false
	EVENTS(0)
	EVENTS(1)
#if PROCS > 2
	EVENTS(2)
#endif
#if PROCS > 3
	EVENTS(3)
#endif
	od
}
