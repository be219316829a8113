/*
 * A WaitGroup (sync/waitgroup*.go). Members claim one each of what was added, and
 * are done with it; waiters wait. Any of them is killed at any step. Labels Q331 to
 * Q345 are the steps.
 *
 * The lock is ideal: who waits for it learns at once that its holder died, as
 * lock.pml shows. So is the liveness word: a death wakes all who watch it. Sleeps have
 * no bound. A member that dies before it has claimed is none of the group's
 * business: its parent takes its part back.
 *
 *   MEMBERS   (2)
 *   WAITERS   (2)
 *   CRASHES   how many are killed
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef MEMBERS
#define MEMBERS 2
#endif
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef CRASHES
#define CRASHES 0
#endif

#define BIT(i)    (1 << (i))
#define ALL       (MEMBERS + WAITERS)
#define DEAD(p)   (dead & BIT(p))

/* Shared memory. Processes count from 1: members, waiters, the parent. */
byte mu, seq, unclaimed = MEMBERS, round, cells[MEMBERS + 1];
bool w, lost;
byte recordCell, recordCount, recordUnclaimed, recordRound;
bool recordLost;

/* The kernel: who is dead; which waiters sleep, and whom they watch. */
byte dead, asleep, watched[ALL + 1];
byte crashes = CRASHES;

/* For the assertions: what has happened, by member. */
byte claimed, done;

/* The process may die here. */
#define DIE if :: atomic { crashes > 0 && me <= ALL -> crashes--; dead = dead | BIT(me); goto died } :: true fi

inline count(n) {
	d_step {
		n = unclaimed;
		for (i : 1 .. MEMBERS) { n = n + cells[i] }
		i = 0
	}
}

inline write(m, c, u, r, l) {
	DIE;
Q338:	cells[m] = c;
	DIE;
Q339:	atomic { unclaimed = u; round = r; lost = l };
	DIE
}

inline lock() {
	DIE;
Q331:	atomic { mu == 0 || DEAD(mu) -> repair = mu != 0; mu = me };
#ifndef M_NO_REDO
	if
	:: repair && recordCell != 0 ->
		DIE;
Q332:		write(recordCell, recordCount, recordUnclaimed, recordRound, recordLost);
Q340:		recordCell = 0
	:: else
	fi;
#endif
	repair = false
}

inline unlock() {
	DIE;
Q341:	mu = 0
}

inline rouse() {
	if
	:: w ->
		DIE;
Q333:		seq++;
#ifdef M_W_FIRST
		w = false;
#endif
		DIE;
Q334:		asleep = 0;
		DIE;
Q335:		w = false
	:: else
	fi
}

/* What a commit says about member m. */
inline note(m) {
	if
	:: recordCount > 0 -> claimed = claimed | BIT(m)
	:: recordCount == 0 && !DEAD(m) -> done = done | BIT(m)
	:: else
	fi
}

/* The cell of m becomes c, and what nobody has claimed u. Only the cell: o. */
inline change(m, c, u, l) {
	count(total);
	total = total - cells[m] - unclaimed + c + u;
	atomic { recordCount = c; recordUnclaimed = u; recordRound = round + (total == 0 -> 1 : 0); recordLost = l };
#ifndef M_WAKE_AFTER
	if
#ifdef M_NEW_OWNER_SILENT
	:: total == 0 -> rouse()
#else
	:: total == 0 || (cells[m] == 0 && c > 0) -> rouse()
#endif
	:: else
	fi;
#endif
	if
	:: u == unclaimed && l == lost && recordRound == round ->
		DIE;
		atomic { cells[m] = c; note(m) }
	:: else ->
		DIE;
Q336:		skip; /* changes nothing that anybody looks at */
#ifdef M_NO_RECORD
		atomic { cells[m] = c; note(m) };
		DIE;
		atomic { unclaimed = recordUnclaimed; round = recordRound; lost = recordLost }
#else
Q337:		atomic { recordCell = m; note(m) };
		write(m, recordCount, recordUnclaimed, recordRound, recordLost);
		recordCell = 0
#endif
	fi;
#ifdef M_WAKE_AFTER
	if
	:: total == 0 || c > 0 -> rouse()
	:: else
	fi;
#endif
	total = 0
}

inline bury() {
	for (m : 1 .. MEMBERS) {
		if
		:: cells[m] > 0 && DEAD(m) ->
			DIE;
Q342:			change(m, 0, unclaimed, true)
		:: else
		fi
	}
	m = 0
}

proctype member(byte me) {
	byte i, total, m;
	bool repair;
	lock();
	change(me, 1, unclaimed - 1, lost);
	unlock();
	lock();
	change(me, 0, unclaimed, lost);
	unlock();
died:	skip
}

proctype waiter(byte me) {
	byte i, total, m, first, seen;
	bool repair;
	first = 0;
again:	DIE;
Q343:	if
	:: round != first -> goto over
	:: else
	fi;
	lock();
	w = true; seen = seq;
	bury();
	d_step {
		watched[me] = 0;
		for (i : 1 .. MEMBERS) {
			if
			:: cells[i] > 0 -> watched[me] = watched[me] | BIT(i)
			:: else
			fi
		}
		i = 0
	};
	count(total);
	if
	:: total == 0 -> total = 0; unlock(); goto over
	:: else -> total = 0
	fi;
	unlock();
	DIE;
Q344:	atomic {
		if
		:: seq == seen -> asleep = asleep | BIT(me)
		:: else
		fi
	};
	do
	:: atomic { !(asleep & BIT(me)) || (dead & watched[me]) -> asleep = asleep & ~BIT(me); break }
	:: atomic { crashes > 0 -> crashes--; dead = dead | BIT(me); goto died }
	od;
Q345:	goto again;
over:	atomic {
		/* Each member was done, or died; and it is told if one died with its claim. */
		for (i : 1 .. MEMBERS) {
			assert((done & BIT(i)) || DEAD(i));
			assert(!(claimed & BIT(i)) || (done & BIT(i)) || lost)
		}
		i = 1;
		do
		:: i > MEMBERS -> break
		:: i <= MEMBERS && (claimed & BIT(i)) && !(done & BIT(i)) -> break
		:: else -> i++
		od;
		assert(i <= MEMBERS || !lost)
	}
died:	skip
}

/* The parent takes back what dead members did not claim. */
proctype parent(byte me) {
	byte i, total, m, child;
	bool repair;
	for (child : 1 .. MEMBERS) {
		do
		:: atomic { DEAD(child) && mu != child && !(claimed & BIT(child)) -> break }
		:: atomic { (done & BIT(child)) || (claimed & BIT(child)) -> goto next }
		:: atomic { DEAD(child) && mu == child && recordCell == 0 && !(claimed & BIT(child)) -> break }
		od;
		atomic { mu == 0 || DEAD(mu) -> repair = mu != 0; mu = me };
		if
		:: repair && recordCell != 0 ->
			write(recordCell, recordCount, recordUnclaimed, recordRound, recordLost);
			recordCell = 0
		:: else
		fi;
		repair = false;
		count(total);
		if
		:: total == 1 -> rouse()
		:: else
		fi;
		atomic {
			unclaimed--;
			if
			:: total == 1 -> round++
			:: else
			fi
		};
		total = 0;
		mu = 0;
next:		skip
	}
	goto died; /* never killed: it has no more to do */
died:	skip
}

init {
	byte i;
	atomic {
		for (i : 1 .. MEMBERS) { run member(i) }
		for (i : MEMBERS + 1 .. ALL) { run waiter(i) }
		run parent(ALL + 1)
	}
}
