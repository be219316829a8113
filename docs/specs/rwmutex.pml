/*
 * The RWMutex of sync/rwmutex.go, rwwait.go and rwcells.go. Labels Q201 to Q221
 * are the steps, and the names of the probe points. README.md says what is left
 * out, and why.
 *
 * The word is an ideal lock: steps 1 to 8 and 11 to 13 are lock.pml's matter. A
 * load and the CAS that follows are one step. A process is dead, for all who
 * look at it, from some moment after the signal; it is gone, so that nothing of
 * it runs any more, from some later one.
 *
 * Size                                       Bad luck, each at any moment
 *   PROCS   processes (3)                      CRASHES  processes killed
 *   CELLS   of the table (2)                   CANCELS  the context of a waiting one ends
 *   ROUNDS  locks by each process (1)
 *
 * No sleep ends without a wake or a death: there is no bound.
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef PROCS
#define PROCS 3
#endif
#ifndef CELLS
#define CELLS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif

#define ME       (_pid + 1)             /* ids are 1 to PROCS, 0 is nobody */
#define BIT(id)  (1 << ((id) - 1))
#define DEAD(id) (dead & BIT(id))
#define GONE(id) (gone & BIT(id))

/* The words. */
byte owner;
bool A, dirty;
byte used;
byte id[CELLS], count[CELLS];

byte dead, gone;

/* Who has the word may sleep on cells; only that one does. */
byte asleep;            /* a set of cells */
bool woken;

/* For the assertions: who is in, and whether the data may be half-changed. */
byte reading, writing;
bool broken;

byte cancels;

#define TAKEN    (owner != 0 || A)
#define FREE     (owner == 0 || GONE(owner))
#define EMPTY(k) (count[k] == 0 && (id[k] != ME))

inline take() {
	FREE;
	if
	:: owner != 0 -> A = true
	:: else
	fi;
	owner = ME
}

inline letGo() {
	if
	:: owner == ME -> owner = 0
	:: else -> assert(DEAD(ME))
	fi
}

/* Step 203 and before: which cell is mine, or could be; CELLS if none. */
inline find() {
	c = CELLS; mine = false;
	for (i : 0 .. CELLS - 1) {
		if
		:: id[i] == ME -> c = i; mine = true
		:: id[i] != ME && count[i] == 0 && !mine && c == CELLS -> c = i
		:: else
		fi
	}
	i = 0
}

/* One reader less in cell c, of which this process took part. */
inline uncount() {
	assert(id[c] == ME && count[c] > 0 || DEAD(ME));
	if
	:: id[c] == ME && count[c] > 0 -> count[c]--; last = (count[c] == 0)
	:: else
	fi
}

inline wake(k) {
	if
	:: last && TAKEN && (asleep & (1 << k)) -> woken = true
	:: else
	fi;
	last = false
}

active [PROCS] proctype Process()
{
	byte round, i, c;
	byte sawId, sawCount;           /* the cell as 210 found it */
	bool mine, last, told, slow;
{	skip;
again:	atomic {
		c = 0; told = false; slow = false;
		if
		:: round == ROUNDS -> goto done
		:: round < ROUNDS -> round++; goto write
		:: round < ROUNDS -> round++; goto read
		fi
	}

write:
#ifdef M_DRAIN_FIRST
	goto Q210;
drained:
#endif
Q201:	atomic { take() }
#ifndef M_NO_DIRTY
Q209:	atomic {
		if
		:: A && !dirty -> A = false
		:: else
		fi;
		told = A
	}
#else
	told = A;
#endif
#ifdef M_DIRTY_EARLY
	dirty = true;
#endif
#ifdef M_DRAIN_FIRST
	goto Q211;
#endif
Q210:	atomic {
		if
		:: c == CELLS -> c = 0;
#ifdef M_DRAIN_FIRST
			goto drained
#else
			goto Q211
#endif
		:: c < CELLS && (!(used & (1 << c)) || count[c] == 0) -> c++; goto Q210
		:: c < CELLS && (used & (1 << c)) && count[c] != 0 ->
			sawId = id[c]; sawCount = count[c];
#ifndef M_DEAD_COUNT
			if
			:: DEAD(sawId) -> goto Q205
			:: else
			fi;
#endif
			if
			:: cancels < CANCELS -> cancels++; c = 0; goto Q213     /* dirty stays as it was */
			:: true -> goto Q207
			fi
		fi
	}
Q205:
#ifndef M_NO_FENCE
	GONE(sawId);
#endif
Q204:	atomic {
		if
		:: id[c] == sawId && count[c] == sawCount -> id[c] = 0; count[c] = 0
		:: else
		fi;
		if
		:: slow -> goto Q218
		:: else -> goto Q210
		fi
	}
Q207:	atomic {
		if
		:: id[c] == sawId && count[c] == sawCount -> asleep = 1 << c; woken = false
		:: else -> goto Q208
		fi
	}
	atomic {
		if
		:: woken
#if !defined(M_UNWATCHED) && !defined(M_DEAD_COUNT)
		:: DEAD(sawId)
#endif
		fi
	}
Q208:	atomic { asleep = 0; woken = false; goto Q210 }
Q211:	atomic {
		dirty = true;
		assert(told == broken);
		assert(writing == 0 && reading == 0);
		writing = ME
	}
	/* Here it writes. A told one repairs, or does not. */
	atomic {
		if
		:: told -> A = false; broken = false
		:: true
		fi
	}
#ifdef M_DIRTY_LATE
	atomic { writing = 0; letGo() };
	atomic { dirty = false; goto again };
#endif
Q212:	atomic {
		writing = 0;
		if
		:: !A -> dirty = false
		:: else
		fi
	}
Q213:	atomic {
#ifdef M_DIRTY_EARLY
		if
		:: !A -> dirty = false
		:: else
		fi;
#endif
		letGo(); goto again
	}

read:	atomic {
		find();
		if
		:: c == CELLS -> goto Q217
		:: mine -> goto Q214
		:: else -> sawId = id[c]
		fi
	}
Q202:
#ifndef M_UNMARKED
	used = used | (1 << c);
#endif
Q203:	atomic {
		if
		:: id[c] == sawId && count[c] == 0 -> id[c] = ME
		:: else
		fi;
		if
		:: slow -> goto Q218
		:: else -> goto read
		fi
	}
Q214:	atomic {
#ifdef M_ADD
		count[c]++
#else
		if
		:: id[c] == ME -> count[c]++
		:: else -> goto read            /* another has claimed it */
		fi
#endif
	}
Q215:	atomic {
#ifdef M_NO_RECHECK
		goto in
#else
		if
		:: !TAKEN -> goto in
		:: else
		fi
#endif
	}
Q216:	atomic { uncount() };
#ifdef M_BACKS_OFF_SILENTLY
	last = false;
#endif
	atomic {
		wake(c);
		if
		:: true                         /* TryRLock ends here */
			-> goto again
		:: true
		fi
	}
Q217:	atomic {
		take();
		if
		:: A && !dirty -> A = false
		:: else
		fi;
		told = A; slow = true;
#ifdef M_READS_BROKEN
		told = false;
#endif
		if
		:: told -> assert(broken); goto Q219
		:: else
		fi
	}
Q218:	atomic {
		find();
		if
		:: c == CELLS -> goto busy
		:: c < CELLS && mine -> count[c]++; goto Q219
		:: c < CELLS && !mine -> sawId = id[c]; goto Q202
		fi
	}
busy:	atomic {
#ifdef M_NO_CELL
		slow = false; letGo(); goto in;
#endif
		for (i : 0 .. CELLS - 1) {
			if
			:: count[i] != 0 && DEAD(id[i]) -> c = i; sawId = id[i]; sawCount = count[i]
			:: else
			fi
		}
		i = 0;
		if
		:: c < CELLS -> goto Q205
		:: c == CELLS && cancels < CANCELS -> cancels++; told = true; goto Q219
		:: c == CELLS
		fi
	}
Q206:	atomic {
		if
		:: count[0] != 0 && count[CELLS - 1] != 0 -> asleep = (1 << CELLS) - 1; woken = false
		:: else -> goto Q218
		fi
	}
	atomic {
		woken || DEAD(id[0]) || DEAD(id[CELLS - 1]);
		asleep = 0; woken = false; goto Q218
	}
Q219:	atomic {
		letGo();
		if
		:: told -> goto again
		:: else
		fi
	}
in:	atomic {
		assert(writing == 0 && !broken);
		reading = reading | BIT(ME)
	}
Q220:	atomic {
		reading = reading & ~BIT(ME);
		if
		:: c == CELLS -> goto again     /* M_NO_CELL */
		:: else
		fi;
		uncount()
	}
#ifdef M_NO_WAKE
	last = false;
#endif
Q221:	atomic { wake(c); goto again }
done:	skip
} unless {
	atomic {
		GONE(ME);
		round = 0; i = 0; c = 0; sawId = 0; sawCount = 0;
		mine = false; last = false; told = false; slow = false
	}
} }

#if CRASHES > 0
/* Who is killed is dead, then gone. It may be that fewer are killed: one who is
 * stuck must not be saved by a death that is still to come. */
#define BURY(k) DEAD(k) && !GONE(k) -> gone = gone | BIT(k); \
	broken = broken || writing == k; writing = (writing == k -> 0 : writing); \
	reading = reading & ~BIT(k); asleep = (owner == k -> 0 : asleep)

active proctype Killer()
{
	byte kills;
	do
	:: atomic { kills < CRASHES && !DEAD(1) -> kills++; dead = dead | BIT(1) }
	:: atomic { kills < CRASHES && !DEAD(2) -> kills++; dead = dead | BIT(2) }
#if PROCS > 2
	:: atomic { kills < CRASHES && !DEAD(3) -> kills++; dead = dead | BIT(3) }
#endif
	:: atomic { BURY(1) }
	:: atomic { BURY(2) }
#if PROCS > 2
	:: atomic { BURY(3) }
#endif
	:: dead == gone -> break
	od
}
#endif
