/*
 * The Cond of sync: waiters that take items, and a signaller that puts them.
 * Labels are the steps, as in queue.pml.
 *
 * The lock is ideal: one step, and who takes it from a dead holder repairs at once.
 * The line of a process is changed in one step, as its mutex has it. A death wakes
 * all who watch it (the kernel wakes one, who passes it on).
 *
 * Size                                     Bad luck, each at any moment
 *   WAITERS  goroutines that wait (2)        CRASHES  processes killed
 *   SHARED   the first two are of one        CANCELS  contexts ended; that waiter
 *            process                                  then takes nothing
 *   ROUNDS   items that each takes (1)
 *   SIGNALS  items, each with a signal (1)
 *   INSIDE   the signal is given with the lock held
 *   SPARED   nobody is killed whom nobody watches: who has no cell yet, or has not
 *            told of it
 *
 * BOUNDS is how often sleeps may end by their bound: at that moment all do, and
 * only if nothing else can happen. M_... are mutants: each breaks one piece.
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef SIGNALS
#define SIGNALS 1
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

#ifdef SHARED
#define PROC(i) ((i) < 2 -> 0 : (i) - 1)
#define CELLS   (WAITERS - 1)
#else
#define PROC(i) (i)
#define CELLS   WAITERS
#endif
#define SIGNALLER  CELLS /* its process, in whose cell nobody waits */
#ifdef SPARED
#define LAST       (told -> CELLS : CELLS - 1)
#else
#define LAST       CELLS
#endif
#define NOBODY     7
#define DEAD(p)    (!alive[p])
#define ORPHANED   (holder != NOBODY && DEAD(holder))

/* Shared memory. holder is the process that has the lock. */
byte holder = NOBODY, items, members, waiting[CELLS], granted[CELLS];
bool claimed[CELLS + 1], alive[CELLS + 1], told;

/* In each process: the line, of two at most. */
byte oldest[CELLS], younger[CELLS], taken[CELLS], settled[CELLS];
bool has[WAITERS], gaveUp[WAITERS], cancelled[WAITERS];

/* Sleepers, and which processes each watches. */
bool asleep[WAITERS];
byte watched[WAITERS];

/* For the assertions: an item is there, and its signal was not given yet. */
bool unsignalled, finished[WAITERS];
byte given, got, crashed;

#ifdef M_DEAD_CHOSEN
#define CHOOSES(c) true
#else
#define CHOOSES(c) alive[c]
#endif
#ifdef M_HOLDER_IGNORED
#define SEES_ORPHAN false
#else
#define SEES_ORPHAN ORPHANED
#endif
#ifdef M_CANCELLED_KEEPS
#define LEAVES true
#else
#define LEAVES (!granting)
#endif

#define COUNT(c)      (waiting[c] * 8 + granted[c])
#define WATCHER(p, i) (!gaveUp[i] && (oldest[p] == i || younger[p] == i && gaveUp[oldest[p]]))

/* The oldest have what the cell grants. */
inline share(p) {
	do
	:: taken[p] < granted[p] && oldest[p] != NOBODY ->
		has[oldest[p]] = true;
		taken[p]++;
		oldest[p] = younger[p];
		younger[p] = NOBODY
	:: else -> break
	od
}

inline wakeAll(condition) {
	d_step {
		j = 0;
		do
		:: j < WAITERS ->
			if
			:: condition -> asleep[j] = false
			:: else
			fi;
			j++
		:: else -> break
		od;
		j = 0
	}
}

inline lock(p) {
	atomic {
		holder == NOBODY || ORPHANED;
		died = (holder != NOBODY);
		holder = p
	}
}

/* The parts of steps 280 and 281. Only in the signaller they have labels: a name
 * may stand once in a process. */
inline look() {
	d_step {
		w = COUNT(c);
		ok = (waiting[c] > granted[c] && CHOOSES(c))
	}
}

inline swap(all) {
	atomic {
		if
		:: w == COUNT(c) && ok ->
			given = given + (all -> waiting[c] - granted[c] : 1);
			granted[c] = (all -> waiting[c] : granted[c] + 1)
		:: else -> ok = false
		fi
	}
}

inline wake() {
#ifdef M_NO_WAKE
	skip
#else
	wakeAll(PROC(j) == c)
#endif
}

inline first() {
	atomic {
		tried = 0;
		if
		:: c = 0
		:: c = CELLS - 1
		fi
	}
}

inline signal(all) {
	first();
	do
	:: tried == CELLS -> break
	:: else ->
		look();
		if
		:: ok ->
			swap(all);
			if
			:: ok ->
				wake();
				if
				:: all
				:: else -> break
				fi
			:: else
			fi
		:: else ->
			d_step { tried++; c = (c + 1) % CELLS }
		fi
	od;
	atomic { c = 0; w = 0; tried = 0; ok = false }
}

/* Steps 282 and 283, until all cells are of the living, whom to watch. */
inline void() {
	do
	:: true ->
		atomic {
			d = 0;
			do
			:: d < CELLS && !(d != PROC(i) && DEAD(d) && COUNT(d) > 0) -> d++
			:: else -> break
			od;
			lives = 0;
			do
			:: d == CELLS && j <= CELLS ->
				lives = lives | (claimed[j] && alive[j] -> 1 << j : 0);
				j++
			:: else -> break
			od;
			j = 0
		};
		if
		:: d == CELLS -> break
		:: else
		fi;
		seen = COUNT(d);
		n = granted[d];
Q282:
#ifndef M_NOT_PASSED_ON
		do
		:: n > 0 -> signal(false); n--
		:: else -> break
		od;
#endif
Q283:
		atomic {
			n = 0;
			if
#ifdef M_VOID_STORES
			:: true ->
#else
			:: seen == COUNT(d) ->
#endif
				waiting[d] = 0;
				granted[d] = 0;
				claimed[d] = false
			:: else
			fi;
			seen = 0
		}
	od;
	d = 0
}

inline settle(p) {
	atomic {
		share(p);
		waiting[p]--;
		if
		:: has[i] -> granted[p]--; taken[p]--; got++
		:: else ->
			if
			:: oldest[p] == i -> oldest[p] = younger[p]
			:: else
			fi;
			younger[p] = NOBODY
		fi;
#ifndef M_NO_SETTLED
		settled[p] = (settled[p] + 1) % 8;
#endif
		granting = has[i];
		has[i] = false;
		gaveUp[i] = false
	}
}

inline announce(p) {
	d_step {
		waiting[p]++;
		if
		:: oldest[p] == NOBODY -> oldest[p] = i
		:: else -> younger[p] = i
		fi
	}
}

proctype Waiter(byte i) {
	byte c, w, tried, j, d, n, seen; /* of signal and void */
	byte rounds, count, old, come, lives;
	bool ok, died, granting;
	{
		lock(PROC(i));
		do
		:: items > 0 ->
			items--;
			rounds++;
			if
			:: rounds == ROUNDS -> break
			:: else
			fi
		:: items == 0 ->
			if
			:: !claimed[PROC(i)] ->
				claimed[PROC(i)] = true;
Q284:
				members++;
				wakeAll(true)
			:: else
			fi;
#ifdef M_ANNOUNCE_LATE
			holder = NOBODY;
#endif
Q271:
			announce(PROC(i));
Q272:
#ifndef M_ANNOUNCE_LATE
			holder = NOBODY;
#endif
			do
			:: true ->
endLine:
				has[i] || WATCHER(PROC(i), i) || cancelled[i];
				come = members;
Q273:
				void();
Q274:
				atomic {
					if
					:: !has[i] && WATCHER(PROC(i), i) -> share(PROC(i))
					:: else
					fi;
					count = COUNT(PROC(i));
					old = settled[PROC(i)]
				};
				if
				:: has[i] -> break
				:: else
				fi;
				atomic {
					if
					:: cancelled[i] || SEES_ORPHAN -> gaveUp[i] = true; break
					:: else ->
						if
						:: holder != NOBODY && !ORPHANED -> lives = lives | (1 << holder)
						:: else
						fi
					fi
				};
Q275:
				atomic {
					j = 0;
					do
					:: j <= CELLS && !(lives & (1 << j) && DEAD(j)) -> j++
					:: else -> break
					od;
					if
					:: j > CELLS && count == COUNT(PROC(i)) && old == settled[PROC(i)] && !cancelled[i] && come == members ->
						asleep[i] = true;
						watched[i] = lives
					:: else
					fi;
					j = 0; count = 0; old = 0; come = 0; lives = 0
				};
endSleep:
				!asleep[i]
			od;
			atomic { count = 0; old = 0; come = 0; lives = 0 };
#ifdef M_CONSUME_FIRST
			settle(PROC(i));
#endif
Q276:
			lock(PROC(i));
Q277:
#ifndef M_CONSUME_FIRST
			settle(PROC(i));
#endif
Q278:
			if
			:: died ->
Q279:
#ifndef M_TELLS_NOBODY
				signal(true);
#endif
				died = false
			:: else
			fi;
			if
			:: cancelled[i] && LEAVES -> break
			:: else
			fi;
			granting = false
		od;
		finished[i] = true;
		holder = NOBODY
	} unless {
		DEAD(PROC(i))
	}
}

/* Step 14 of who signals. */
inline join() {
	if
	:: !told ->
#ifndef M_SIGNALLER_UNSEEN
		claimed[SIGNALLER] = true;
		members++;
		wakeAll(true);
#endif
		told = true
	:: else
	fi
}

proctype Signaller() {
	byte c, w, tried, j, n;
	bool ok, died;
	{
		do
		:: n < SIGNALS ->
			lock(SIGNALLER);
			if
			:: died -> join(); signal(true)
			:: else
			fi;
			n++;
			items++;
#ifndef INSIDE
			atomic { holder = NOBODY; unsignalled = true };
#endif
			first();
			do
			:: tried == CELLS -> break
			:: else ->
				look();
				if
				:: ok ->
					join();
Q280:
					swap(false);
					if
					:: ok ->
						unsignalled = false;
Q281:
						wake();
						break
					:: else
					fi
				:: else ->
					d_step { tried++; c = (c + 1) % CELLS }
				fi
			od;
			unsignalled = false;
#ifdef INSIDE
			holder = NOBODY;
#endif
		:: n == SIGNALS -> break
		od
	} unless {
		DEAD(SIGNALLER)
	}
}

/* Bad luck, as much as there may be. */
proctype Fate() {
	byte p, j, cancels;
	do
	:: crashed < CRASHES ->
		atomic {
			crashed++;
			p = 0;
			do
			:: p < LAST -> p++
			:: break
			od;
			alive[p] = false;
			wakeAll(asleep[j] && (PROC(j) == p || watched[j] & (1 << p)));
			p = 0
		}
	:: cancels < CANCELS ->
		atomic {
			cancels++;
			p = 0;
			do
			:: p < WAITERS - 1 -> p++
			:: break
			od;
			cancelled[p] = true;
			asleep[p] = false;
			p = 0
		}
	:: break
	od
}

#define LEFT(i) (alive[PROC(i)] && !finished[i])

/* When nothing can happen any more: sleeps reach their bound, if they may. Then
 * nobody is left beside an item, or a dead holder; and without deaths as many
 * were signalled as there were signals. */
active proctype Judge() {
	byte j, bounds;
	atomic {
		j = 0;
		do
		:: j <= CELLS -> alive[j] = true; j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < CELLS ->
			oldest[j] = NOBODY;
			younger[j] = NOBODY;
#ifdef SPARED
			claimed[j] = true;
#endif
			j++
		:: else -> break
		od;
		j = 0;
		do
		:: j < WAITERS -> run Waiter(j); j++
		:: else -> break
		od;
		j = 0;
		run Signaller();
		run Fate()
	};
	do
	:: timeout && bounds < BOUNDS -> bounds++; wakeAll(true)
	:: timeout && bounds == BOUNDS -> break
	od;
	j = 0;
	do
	:: j < WAITERS ->
		assert(!(LEFT(j) && items > 0 && !(unsignalled && DEAD(SIGNALLER))));
		assert(!(LEFT(j) && ORPHANED));
		j++
	:: else -> break
	od;
	assert(crashed || given == got)
}
