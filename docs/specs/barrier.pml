/*
 * The barrier of sync. Labels are the steps of docs/protocol.md. README.md says
 * what is left out.
 *
 * Each process calls Wait ROUNDS times, and stops at the first error. A killed
 * process may go on after its L is marked, until it has stopped.
 *
 * Size                                  Bad luck, each at any moment
 *   N        processes (3)              CRASHES  processes killed
 *   PARTIES  that meet (N)              CANCELS  contexts ended
 *   ROUNDS   calls of each (1)          BOUNDS   sleeps that may last until their bound
 *   ACTION   the last one runs one
 *   REGISTERED  all are members, wherever they are
 *   KNOWN    all have cells from earlier rounds
 *   RESETS   calls of Reset in all, each instead of a Wait
 *   REGISTERS  calls of Register in all, each before a Wait or a Reset
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef N
#define N 3
#endif
#ifndef PARTIES
#define PARTIES N
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef ACTION
#define ACTION 0
#endif
#ifndef REGISTERED
#define REGISTERED 0
#endif
#ifndef KNOWN
#define KNOWN 0
#endif
#ifndef RESETS
#define RESETS 0
#endif
#ifndef REGISTERS
#define REGISTERS 0
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

#define BIT(i) (1 << (i))
#define ALL    (BIT(N) - 1)

#define FILLING 0
#define ACTING  1
#define BROKEN  2

/* The state, one word; and the generation that was reset last, plus 1. */
byte gen, arrived, status, cut;
bool w;

/* The cells: who owns one, who is registered, and which generation each has
 * entered last, plus 1. */
#if REGISTERED
byte owners = ALL, registered = ALL;
#elif KNOWN
byte owners = ALL, registered;
#else
byte owners, registered;
#endif
byte entered[N];

/* Sleepers: to whom nobody has been announced since they looked; who sleeps,
 * and whose L each watches. */
byte steady, queued, woken, watched[N];

/* dead is the liveness words; owed: the kernel has marked L but not yet woken. */
byte doomed, dead, owed, gone, cancelled, finished;
byte crashes, cancels, resets, registers, bounds;

#define GENERATIONS (N * ROUNDS + RESETS + 1)

/* For the assertions. How each generation ended: 1 complete, 2 cut; the indexes that
 * were given; whether the action was run. */
byte ended[GENERATIONS], indexes[GENERATIONS];
bool acted[GENERATIONS];

#define GONE(p) (gone & BIT(p))
#define OVER(g) (gen != g || status == BROKEN)

#ifdef M_REGISTERED_IGNORED
#define REGISTRATION(q) false
#else
#define REGISTRATION(q) (registered & BIT(q))
#endif
#ifdef M_MARK_WITHOUT_GENERATION
#define MEMBER(q, g) (REGISTRATION(q) || entered[q])
#else
#define MEMBER(q, g) (REGISTRATION(q) || entered[q] == g + 1)
#endif
#define BEREFT(q, g) ((dead & BIT(q)) && MEMBER(q, g))
#if N == 2
#define ANY(F, g) (F(0, g) || F(1, g))
#else
#define ANY(F, g) (F(0, g) || F(1, g) || F(2, g))
#endif

/* The dead owners of cells have passed the fence: they have stopped. Until then a sleep is
 * brief: it may end at any moment. */
#ifdef M_NO_FENCE
#define FENCED true
#else
#define FENCED (!(dead & owners & ~gone & ~BIT(p)))
#endif

/* What Reset goes by: the cell after the fence, or as it was before. */
#ifdef M_BURIES_WHAT_IT_SAW
#define AS_SEEN ((registered & BIT(i)) == seen)
#else
#define AS_SEEN true
#endif

/* Who will not come to generation g, without anybody knowing. */
#define ABSENT(q, g) ((((finished | dead) & BIT(q)) && !(registered & BIT(q)) || (finished & BIT(q))) && entered[q] != g + 1)
/* A true reason to break generation g. */
#define LOST(q, g) ((dead & BIT(q)) && ((registered & BIT(q)) || entered[q] == g + 1))

inline wakeAll() { woken = woken | queued; queued = 0 }
inline dequeue(p) { queued = queued & ~BIT(p); woken = woken & ~BIT(p); steady = steady & ~BIT(p) }

/* 8 of the lock: of those who watch a dead process the kernel has woken one. */
#define PASS(q, p) \
	if \
	:: (watched[p] & BIT(q)) && (dead & BIT(q)) -> \
		for (i : 0 .. N - 1) { \
			if \
			:: (queued & BIT(i)) && (watched[i] & BIT(q)) -> woken = woken | BIT(i); queued = queued & ~BIT(i) \
			:: else \
			fi \
		} \
	:: else \
	fi

#define FORGET p = 0; buried = 0; g = 0; a = 0; s = 0; r = 0; i = 0; index = 0; seen = 0; inside = false; late = false; reset = false; mine = false; wake = false; brief = false

active [N] proctype Party()
{
	byte p = _pid, g, a, s, r, i, index, seen, buried;
	bool inside, late, reset, mine, wake, brief;
{	skip;
next:	atomic {
		inside = false; reset = false; late = false; mine = false; a = 0; s = 0; seen = 0; g = 0; index = 0;
		if
		:: r == ROUNDS -> goto home
		:: r < ROUNDS -> r++
		:: r < ROUNDS && resets < RESETS -> r++; resets++; reset = true; g = gen; goto Q307
		:: registers < REGISTERS -> registers++; goto register
		fi
	}
Q301:	atomic {
		g = gen; a = arrived; late = false;
		if
		:: status == BROKEN -> goto home
		:: status == ACTING -> goto look
		:: status == FILLING
		fi
	}
#ifndef M_COUNT_FIRST
	if
	:: owners & BIT(p)
	:: else -> owners = owners | BIT(p);
#ifndef M_COMES_SILENTLY
		steady = 0;
		atomic { wakeAll() }
#endif
	fi;
Q302:	atomic {
		if
		:: gen != g -> goto Q301
		:: gen == g -> entered[p] = g + 1
		fi
	}
#endif
Q303:	atomic {
		if
		:: ANY(BEREFT, g) -> late = true; goto Q307
		:: else
		fi
	}
Q304:	atomic {
		if
#ifdef M_COUNT_STORES
		:: gen == g && status == FILLING ->
#else
		:: gen == g && status == FILLING && arrived == a ->
#endif
			index = a; arrived = a + 1; a = 0; inside = true;
			if
			:: arrived < PARTIES -> skip
			:: arrived == PARTIES && !ACTION -> ended[g] = 1; gen++; arrived = 0; wake = w; w = false
			:: arrived == PARTIES && ACTION -> status = ACTING; arrived = 0
			fi
		:: else -> goto Q301
		fi;
		if
		:: gen != g && wake -> goto Q308
		:: gen != g && !wake -> goto over
		:: gen == g && status == ACTING -> goto act
		:: else
		fi
	}
#ifdef M_COUNT_FIRST
	owners = owners | BIT(p);
	atomic { steady = 0; wakeAll() };
Q302:	entered[p] = g + 1;
#endif

	/* Wait until generation g is over. */
look:	atomic {
		if
		:: OVER(g) -> s = 0; goto over
		:: !OVER(g) && (cancelled & BIT(p)) -> s = 0; goto cancel
		:: !OVER(g) && !(cancelled & BIT(p)) -> w = true; s = status; steady = steady | BIT(p)
		fi
	}
	atomic {
		if
#ifndef M_SLEEPER_LOOKS_NOT
		:: ANY(BEREFT, g) -> late = true; dequeue(p); goto Q307
		:: !ANY(BEREFT, g) -> watched[p] = owners & ~dead & ~BIT(p); brief = !FENCED
#else
		:: true -> watched[p] = owners & ~dead & ~BIT(p); brief = !FENCED
#endif
		fi
	}
#ifdef M_UNWATCHED
	watched[p] = 0;
#endif
Q305:	atomic {
		if
		:: gen == g && status == s && w && (steady & BIT(p)) && !(watched[p] & dead) -> queued = queued | BIT(p)
		:: else -> watched[p] = 0; brief = false; dequeue(p); goto look
		fi
	}
	atomic {
		if
		:: (woken | cancelled) & BIT(p)
		:: brief
		:: timeout && bounds < BOUNDS && (OVER(g) || ANY(BEREFT, g)) -> bounds++
		:: timeout && !(bounds < BOUNDS && (OVER(g) || ANY(BEREFT, g))) && !OVER(g) && !ANY(LOST, g) && ANY(ABSENT, g) ->
			dequeue(p); watched[p] = 0; goto home /* its context ends at last */
		fi;
		brief = false;
		dequeue(p)
	}
#ifndef M_NO_PASS_ON
	atomic {
		PASS(0, p);
		PASS(1, p);
#if N > 2
		PASS(2, p);
#endif
		i = 0
	}
#endif
	atomic { watched[p] = 0; goto look };

over:	atomic { if :: !inside -> goto Q301 :: else fi };
#ifdef M_CUT_FIRST
	seen = cut;
#endif
	atomic { if :: gen == g -> goto cutoff :: else fi };
	atomic {
#ifndef M_CUT_FIRST
		seen = cut;
#endif
		if
#ifndef M_NO_CUT
		:: seen > g -> goto cutoff
		:: seen <= g -> goto good
#else
		:: true -> goto good
#endif
		fi
	}
cutoff:	atomic { assert(ended[g] == 2 || cut > g); goto home };
good:	atomic {
		assert(ended[g] == 1);
		assert(!ACTION || acted[g]);
		assert(!(indexes[g] & BIT(index)));
		indexes[g] = indexes[g] | BIT(index);
		goto next
	};
cancel:	atomic { if :: inside -> mine = true; goto Q307 :: else -> goto home fi };

	/* The last: the action, which may fail if a context ends. */
act:	atomic { assert(!acted[g]); acted[g] = true };
	atomic { if :: cancelled & BIT(p) -> mine = true; goto Q307 :: else fi };
Q306:	atomic {
		if
#ifdef M_ACTION_STORES
		:: true ->
#else
		:: OVER(g) -> goto over
		:: !OVER(g) ->
#endif
			assert(ended[g] == 0);
			ended[g] = 1; gen = g + 1; status = FILLING; arrived = 0; wake = w; w = false
		fi;
		goto Q308
	};

	/* Break. */
Q307:	atomic {
		if
#ifdef M_BREAKS_LATER
		:: status != BROKEN ->
#else
		:: !OVER(g) ->
#endif
			assert(reset || mine || ANY(LOST, g));
			assert(ended[gen] == 0);
			ended[gen] = 2; status = BROKEN; arrived = 0; wake = w; w = false
		:: else -> mine = false
		fi;
		if
		:: !wake -> goto broke
		:: wake
		fi
	}
Q308:	atomic {
		if
#ifndef M_WAKES_NOBODY
		:: wake -> wakeAll()
#endif
		:: else
		fi;
		wake = false
	}
broke:	atomic {
		s = 0; a = 0;
		if
		:: reset -> goto bury
		:: !reset && mine -> assert(ended[g] == 2); goto home /* the context's error, or the action's */
		:: !reset && !mine && late -> late = false; if :: inside -> goto look :: else -> goto Q301 fi
		:: !reset && !mine && !late -> goto over
		fi
	};

	/* Reset. */
bury:	i = 0;
	do
	:: i < N ->
		atomic {
			if
			:: dead & owners & BIT(i) -> buried = buried | BIT(i); seen = registered & BIT(i)
			:: else -> i++; goto buries
			fi;
#ifdef M_BURIES_MEMBERS
			if :: !seen && !entered[i] -> i++; goto buries :: else fi
#endif
		}
		GONE(i);
		atomic {
			if
#ifdef M_BURIES_ANY
			:: true -> registered = registered & ~BIT(i); entered[i] = 0
#else
			:: gen == g && status == BROKEN && AS_SEEN -> registered = registered & ~BIT(i); entered[i] = 0
			:: !(gen == g && status == BROKEN && AS_SEEN)
#endif
			fi;
			i++
		}
buries:		seen = 0
	:: else -> i = 0; break
	od;
Q309:	atomic { if :: gen == g && status == BROKEN -> cut = g + 1 :: else fi };
	atomic {
		if
		:: gen == g && status == BROKEN -> assert(!(registered & buried)); gen++; status = FILLING
		:: else
		fi;
		buried = 0;
		goto next
	};

	/* Register. */
register:
	if
	:: owners & BIT(p)
	:: else -> owners = owners | BIT(p);
		steady = 0;
		atomic { wakeAll() }
	fi;
	atomic { registered = registered | BIT(p); goto next };

home:	atomic {
		finished = finished | BIT(p);
		if
		:: dead & BIT(p) /* a late thread could: then who saw the registration breaks for a reason that is gone */
		:: else -> registered = registered & ~BIT(p)
		fi;
		FORGET
	}
} unless {
	atomic { GONE(p); FORGET }
} }

/* World is the kernel, and bad luck, which may end early. */
#define FAULTS(q) \
	:: atomic { luck && crashes < CRASHES && !((doomed | finished) & BIT(q)) -> crashes++; doomed = doomed | BIT(q) } \
	:: atomic { luck && cancels < CANCELS && !((doomed | finished | cancelled) & BIT(q)) -> cancels++; cancelled = cancelled | BIT(q) } \
	:: atomic { (doomed & BIT(q)) && !(dead & BIT(q)) -> dead = dead | BIT(q); owed = owed | BIT(q) } \
	:: atomic { (doomed & BIT(q)) && !GONE(q) -> gone = gone | BIT(q); dequeue(q); watched[q] = 0 } \
	:: atomic { (owed & BIT(q)) -> owed = owed & ~BIT(q); \
		if \
		:: (queued & BIT(0)) && (watched[0] & BIT(q)) -> woken = woken | BIT(0); queued = queued & ~BIT(0) \
		:: (queued & BIT(1)) && (watched[1] & BIT(q)) -> woken = woken | BIT(1); queued = queued & ~BIT(1) \
		THIRD(q) \
		:: else \
		fi }
#if N > 2
#define THIRD(q) :: (queued & BIT(2)) && (watched[2] & BIT(q)) -> woken = woken | BIT(2); queued = queued & ~BIT(2)
#else
#define THIRD(q)
#endif

active proctype World()
{
	bool luck = (CRASHES + CANCELS > 0);
end:	do
	:: luck -> luck = false
	FAULTS(0)
	FAULTS(1)
#if N > 2
	FAULTS(2)
#endif
	od
}
