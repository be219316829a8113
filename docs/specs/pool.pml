/*
 * A pool: its parent, and workers that claim chunks of tasks by one compare-and-swap
 * of the chunk's word. Labels Q102 to Q173 are the steps, and the numbers of the
 * probe points. README.md says what is left out.
 *
 * The parent is two processes of the model, with a lock between them, as it is
 * goroutines in the code: the collector, and the keeper, which sees to the dead.
 *
 * Size                                Bad luck, each at any moment
 *   WORKERS  (2)                        CRASHES   workers killed
 *   TASKS    (3)                        STOPS     workers stopped, for good, under a time limit
 *   SLOTS    chunks that may be out (2) TIMEOUTS  tasks that run into their limit, or are cancelled
 *   ITEMS    most tasks in a chunk (2)  LEAVES    workers that leave in the middle of a chunk
 *   RETRIES  of each task (0)           CUTS      items taken back for others
 *   SENDS    tasks, from the first, whose results go over the socket (0)
 *   ATTENDS  how often somebody who waits looks for results himself (0)
 *   ALONE    nobody replaces a dead worker
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef TASKS
#define TASKS 3
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef CUTS
#define CUTS 0
#endif
#ifndef SENDS
#define SENDS 0
#endif
#ifndef ATTENDS
#define ATTENDS 0
#endif

/* States of a chunk. */
#define FREE    0
#define READY   1
#define RUNNING 2
#define DONE    3
#define STOPPED 4
#define KILLED  5

/* Outcomes. */
#define RESULT  1
#define DIED    2
#define TIMEOUT 3

#define NOBODY   9
#define RING     (2 * SLOTS)
#define ANY      9 /* need: each result is worth waking for */
#define ATTENDED 8 /* need: somebody else looks for results */
#define LOW      1 /* need: fewer chunks than this are left to claim */

/* The words: state, worker, done and limit of one change as one. */
byte state[SLOTS], owner[SLOTS], done[SLOTS], limit[SLOTS];
bool written[SLOTS * ITEMS];         /* results */
byte ring[RING], head, tail, need;
bool finished[SLOTS], asleep[WORKERS], park[WORKERS];

/* The kernel: the parent is queued on need; processes. */
bool queued, dead[WORKERS], stopped[WORKERS], gone[WORKERS];

/* The parent's own. */
bool mu, kicked, over, pending[TASKS];
byte first[SLOTS], taken[SLOTS], attempts[TASKS], outcome[TASKS], settled;

/* Bad luck that is left; for the assertions, how often each task was run. */
byte crashes = CRASHES, stops = STOPS, timeouts = TIMEOUTS, leaves = LEAVES, cuts = CUTS;
byte ran[TASKS], lost;
#if SENDS
/* Results that lie in the socket of a worker, and those that were received. */
byte underway[SLOTS * ITEMS]; /* from worker: its index + 1; 0: there is none */
bool received[SLOTS * ITEMS], ruled[SLOTS];
byte unread[WORKERS];
#endif
#if ATTENDS
byte attends = ATTENDS;
bool attending;
#endif

#define BACKLOG (tail - head)
#if SLOTS == 1
#define MARKED finished[0]
#else
#define MARKED (finished[0] || finished[1])
#endif
#if WORKERS == 1
#define SLEEPERS asleep[0]
#else
#define SLEEPERS (asleep[0] || asleep[1])
#endif

/* A step of a worker: none if it stands, and the last one if it was killed. */
#define GO (dead[w] || over || !stopped[w]) -> if :: dead[w] || over -> goto end :: else fi;

/* 120: futex_wake(need, 1). */
inline wakeParent() { queued = false }

/* 119. */
inline tell() {
	atomic {
		GO
		told = need != 0 && need != ATTENDED && BACKLOG < need;
		if :: told -> need = 0 :: else fi
	}
}

proctype Worker(byte w) {
	byte h, s, i;
	bool mine, told;
claim:
	do
	:: skip;
Q110:
		atomic { GO h = head }
		atomic { GO if :: h == tail -> goto rest :: else fi }
Q111:
		atomic { GO s = ring[h % RING] }
Q112:
Q113:
#ifdef M_CLAIM_STORES
		atomic { GO mine = state[s] == READY }
		if
		:: mine -> atomic { GO state[s] = RUNNING; owner[s] = w; done[s] = 0 }
		:: else
		fi;
#else
		atomic {
			GO
			mine = state[s] == READY;
			if :: mine -> state[s] = RUNNING; owner[s] = w; done[s] = 0 :: else fi
		}
#endif
Q114:
		atomic {
			GO
			if
			:: head == h -> head++
			:: else
			fi;
			h = 0
		}
		if :: !mine -> goto claim :: else fi;
		mine = false;
item:
Q115:
		atomic { GO ran[first[s] + i]++; assert(ran[first[s] + i] <= 1 + RETRIES) }
#if SENDS
		atomic {
			GO
			if
			:: first[s] + i < SENDS -> underway[s * ITEMS + i] = w + 1; unread[w]++
			:: else
			fi
		}
#endif
#ifndef M_COMMIT_FIRST
Q116:
		atomic { GO written[s * ITEMS + i] = true }
#endif
Q117:
		atomic {
			GO
			if
			:: state[s] == RUNNING && owner[s] == w && done[s] == i ->
				i++;
				done[s] = i;
				if
				:: i == limit[s] -> state[s] = DONE
				:: i < limit[s]
				:: i < limit[s] && leaves > 0 -> leaves--; state[s] = STOPPED
				fi
			:: else -> goto condemned
			fi
		}
#ifdef M_COMMIT_FIRST
		atomic { GO written[s * ITEMS + i - 1] = true }
#endif
		if
		:: state[s] == RUNNING && owner[s] == w -> goto item
		:: else -> i = 0
		fi;
Q118:
		atomic { GO finished[s] = true }
Q119:
		tell();
		if
		:: told ->
Q120:
			atomic { GO wakeParent(); told = false }
		:: else
		fi;
		atomic { GO if :: state[s] == STOPPED && owner[s] == w -> goto leave :: else -> s = 0 fi }
	od;
rest:
	h = 0;
Q130:
	atomic { GO park[w] = false }
Q131:
	atomic { GO asleep[w] = true }
#ifndef M_NO_SECOND_LOOK
Q132:
	atomic { GO if :: head != tail -> asleep[w] = false; goto claim :: else fi }
#endif
Q133:
	if :: need != ANY -> tell() :: else fi;
	if :: told -> atomic { GO wakeParent(); told = false } :: else fi;
Q134:
	atomic { dead[w] || over || (!stopped[w] && park[w]) -> if :: dead[w] || over -> goto end :: else fi; asleep[w] = false }
	goto claim;
leave:
	atomic { dead[w] = true }
condemned:
end:
	(dead[w] || over);
	atomic { gone[w] = true; (!gone[w] || over) }
	if
#ifndef ALONE
	:: !over -> atomic { h = 0; s = 0; i = 0; mine = false; told = false }; goto claim
#endif
	:: else
	fi
}

/* What the parent does, under its lock. x, y, z are its variables. */
inline unlock() { mu = false }

inline settle(task, what) {
	assert(outcome[task] == 0);
	outcome[task] = what; settled++
}

#if SENDS
#define HERE(s) (first[s] + taken[s] >= SENDS || received[s * ITEMS + taken[s]])
#else
#define HERE(s) true
#endif

/* Deliver what is committed of slot x, and received. */
inline deliver() {
	do
	:: taken[x] < done[x] && HERE(x) ->
		assert(written[x * ITEMS + taken[x]]);
		written[x * ITEMS + taken[x]] = false;
		settle(first[x] + taken[x], RESULT);
		taken[x]++
	:: else -> break
	od
}

inline release() {
	state[x] = FREE; owner[x] = NOBODY; done[x] = 0; limit[x] = 0; first[x] = 0; taken[x] = 0;
	for (z : 0 .. ITEMS - 1) {
		written[x * ITEMS + z] = false;
#if SENDS
		received[x * ITEMS + z] = false
#endif
	}
#if SENDS
	ruled[x] = false;
#endif
	z = 0
}

inline takeBack(from) {
	z = from;
	do
	:: z < limit[x] -> pending[first[x] + z] = true; z++
	:: else -> z = 0; break
	od
}

/* Of 105, and wherever a worker may have been woken in vain. */
inline wakeOne() {
	y = 0;
	do
	:: y < WORKERS && asleep[y] -> asleep[y] = false; park[y] = true; break
	:: y < WORKERS && !asleep[y] -> y++
	:: y == WORKERS -> break
	od;
	y = 0
}

/* 105. Who is awake looks for a chunk before it sleeps, so nobody is woken unless
 * more are out than workers awake. Workers that may leave do not count. */
#define ABLE(w) (gone[w] && !dead[w] -> 0 : 1)
#if SLOTS == 1
#define OUT     (state[0] != FREE)
#else
#define OUT     ((state[0] != FREE) + (state[1] != FREE))
#endif
#if WORKERS == 1
#define AWAKE   (ABLE(0) - asleep[0])
#else
#define AWAKE   (ABLE(0) - asleep[0] + ABLE(1) - asleep[1])
#endif
inline announce() {
	if
	:: LEAVES || OUT > AWAKE -> wakeOne()
	:: else
	fi
}

inline kick() {
	atomic {
		kicked = true;
#ifdef M_KICK_ASKS
		if :: need != 0 -> need = 0; wakeParent() :: else fi
#else
		need = 0; wakeParent()
#endif
	}
}

/* The next tasks, for slot x: z of them. */
#define NEXT_CHUNK \
	y = 0; \
	do :: y < TASKS && !pending[y] -> y++ :: else -> break od; \
	if \
	:: y < TASKS -> \
		first[x] = y; pending[y] = false; z = 1; \
		do \
		:: z < ITEMS && y + z < TASKS && attempts[y] == 0 -> \
			if \
			:: pending[y + z] && attempts[y + z] == 0 -> pending[y + z] = false; z++ \
			:: else -> break \
			fi \
		:: else -> break \
		od \
	:: else -> z = 0 \
	fi; \
	y = 0

/* 102 to 105 in one: the collector does it step by step. */
inline publish() {
	for (x : 0 .. SLOTS - 1) {
		if
		:: state[x] == FREE && tail - head < RING -> NEXT_CHUNK
		:: else -> z = 0
		fi;
		if
		:: z > 0 -> limit[x] = z; z = 0; state[x] = READY; ring[tail % RING] = x; tail++; announce()
		:: else
		fi
	}
	x = 0
}

/* Slot x is done with, if all that is committed was delivered. */
#ifdef M_UNRECEIVED_IS_LOST
#define WHOLE(s) (state[s] == DONE || state[s] == STOPPED)
#else
#define WHOLE(s) ((state[s] == DONE || state[s] == STOPPED) && taken[s] == done[s])
#endif

/* 141, 142 and 102 to 105 in one, where the collector is not asked. */
inline collect() {
	if :: state[x] >= RUNNING -> deliver() :: else fi;
	if :: WHOLE(x) -> takeBack(done[x]); release() :: else fi
}

/* There is something to deliver, or an item in hand to judge or to share. */
#ifdef M_NO_SWEEP
#define COMMITTED(s) false
#else
#define COMMITTED(s) (state[s] == DONE || state[s] == STOPPED)
#endif
#define USEFUL(s) ((stops < STOPS && COMMITTED(s)) || \
	(state[s] == RUNNING && (timeouts > 0 || stopped[owner[s]] || (cuts > 0 && done[s] + 1 < limit[s]))))

#if SLOTS == 1
#define ANYWHERE USEFUL(0)
#else
#define ANYWHERE (USEFUL(0) || USEFUL(1))
#endif

proctype Collector() {
	byte x, y, z, n;
	bool sweep;
pass:
	atomic { !mu -> mu = true; kicked = false }
Q140:
	atomic {
		for (x : 0 .. SLOTS - 1) {
			if
			:: finished[x] || sweep ->
				finished[x] = false;
				if
				:: state[x] >= RUNNING ->
Q141:
					deliver()
				:: else
				fi;
				if
				:: WHOLE(x) ->
					takeBack(done[x]);
Q142:
					release()
				:: else
				fi
			:: else
			fi
		}
		x = 0
	}
#ifndef M_SWEEP_WAKES_NOBODY
	if :: sweep && BACKLOG > 0 -> atomic { wakeOne() } :: else fi;
#endif
	sweep = false;
	x = 0;
	do
	:: atomic {
		x < SLOTS ->
			if
			:: state[x] == FREE && tail - head < RING -> NEXT_CHUNK
			:: else -> z = 0
			fi
		}
		if
		:: z > 0 ->
Q102:
			atomic { limit[x] = z; z = 0; state[x] = READY }
Q103:
			ring[tail % RING] = x;
Q104:
			tail++;
Q105:
			atomic { announce(); x++ }
		:: else -> x++
		fi
	:: atomic { x == SLOTS -> x = 0; break }
	od;
#if TIMEOUTS || STOPS || CUTS
	do
	:: x < SLOTS ->
		if
		:: atomic {
			state[x] == RUNNING && (timeouts > 0 || stopped[owner[x]]) ->
			if :: stopped[owner[x]] :: else -> timeouts-- fi;
			n = done[x]; y = owner[x]
		}
Q160:
		atomic {
			if
#ifndef M_VERDICT_STORES
			:: state[x] != RUNNING || done[x] != n || owner[x] != y -> n = 0; y = 0; goto judged
#endif
			:: else -> state[x] = KILLED; done[x] = n; owner[x] = y; n = 0
			fi;
			deliver()
		}
Q161:
#if SENDS
		/* Else a result of before is still to come, and the keeper settles it. */
		if
		:: taken[x] == done[x] -> atomic { settle(first[x] + done[x], TIMEOUT); ruled[x] = true }
		:: else
		fi;
#else
		settle(first[x] + done[x], TIMEOUT);
#endif
Q162:
		atomic { dead[y] = true; y = 0 }
		:: atomic {
			state[x] == RUNNING && cuts > 0 && done[x] + 1 < limit[x] ->
			cuts--;
			n = done[x]
		}
Q163:
		atomic {
			if
#ifndef M_CUT_STORES
			:: state[x] != RUNNING || done[x] != n -> n = 0; goto judged
#endif
			:: else -> state[x] = RUNNING; done[x] = n; takeBack(limit[x] - 1); limit[x]--; n = 0
			fi
		}
		:: skip
		fi;
judged:
		x++
	:: x == SLOTS -> x = 0; break
	od;
#endif
	if :: settled == TASKS -> goto finish :: else fi;
#if ATTENDS
	n = (attending -> ATTENDED : 0);
#endif
	unlock();
Q170:
	if :: n == 0 -> n = ANY :: n == 0 -> n = LOW :: n != 0 fi;
	need = n;
#ifndef M_PAUSE_NO_SECOND_LOOK
Q171:
	if :: kicked || (n != ATTENDED && BACKLOG < n && MARKED) -> goto awake :: else fi;
#endif
Q172:
	atomic { if :: need == n -> queued = true :: else fi }
	if
	:: !queued
#if STOPS || TIMEOUTS || CUTS
	/* The bound, where it leads to an act. */
	:: atomic { queued && (stops < STOPS || timeouts > 0 || cuts > 0) &&
		(ANYWHERE
#ifndef M_SWEEP_WAKES_NOBODY
		|| (stops < STOPS && BACKLOG > 0 && SLEEPERS)
#endif
		) -> queued = false; sweep = true }
#endif
	fi;
awake:
Q173:
	atomic { n = 0; need = 0 }
	goto pass;
finish:
	over = true
}

#if ATTENDS
/* Whoever waits, and looks for results while others' wakes would take longer. */
#define LOCK if :: atomic { !over && !mu -> mu = true } :: over -> goto end fi
inline look() {
	atomic {
		for (x : 0 .. SLOTS - 1) {
			if :: finished[x] -> finished[x] = false; collect() :: else fi
		}
		x = 0;
		publish()
	}
}

proctype Attender() {
	byte x, y, z;
	bool enough;
	do
	:: attends > 0 ->
		attends--;
		LOCK;
		attending = true;
		atomic { if :: need != 0 -> need = ATTENDED :: else fi };
		do
		:: !enough ->
			unlock();
			if :: MARKED :: enough = true fi;
			LOCK;
			look()
		:: enough -> break
		od;
		attending = false; enough = false;
		atomic {
			if
			:: need == ATTENDED -> need = ANY
			:: else ->
#ifndef M_UNATTENDED_SLEEPS
				kicked = true
#endif
			fi
		}
#ifndef M_UNATTEND_NO_SECOND_LOOK
		look();
#endif
		if :: settled == TASKS -> kick() :: else fi; /* it closes the pool */
		unlock()
	:: break
	od;
end:
	skip
}
#endif

#if SENDS
#if WORKERS == 1
#define UNREAD unread[0]
#else
#define UNREAD (unread[0] + unread[1])
#endif

/* The goroutines that read the workers' sockets. */
proctype Receiver() {
	byte x, y, z, n;
	do
	:: over -> break
	:: atomic { !over && !mu && UNREAD > 0 ->
			mu = true;
			x = UNREAD; /* any of them */
			do
			:: underway[n] -> break
			:: underway[n] && x > 1 -> x--; n++
			:: !underway[n] -> n++
			od;
			x = n / ITEMS;
			unread[underway[n] - 1]--;
			if /* else it is of a chunk that was there before */
			:: state[x] >= RUNNING && owner[x] == underway[n] - 1 -> received[n] = true
			:: else
			fi;
			underway[n] = 0; n = 0;
#ifndef M_RECEIVED_IS_LEFT
			collect();
#endif
			x = 0;
			publish()
		}
		if :: settled == TASKS -> kick() :: else fi;
		unlock()
	od
}
#endif

#if SENDS && !defined(M_BURIED_UNHEARD)
#define BURY(w) (gone[w] && dead[w] && unread[w] == 0)
#else
#define BURY(w) (gone[w] && dead[w])
#endif
proctype Keeper() {
	byte w, x, y, z;
	do
	:: over -> break
	:: atomic { !over && !mu && BURY(0) -> w = 0; mu = true }
bury:
		atomic { /* nobody else writes these words any more */
			for (x : 0 .. SLOTS - 1) {
				if
				:: state[x] >= RUNNING && owner[x] == w ->
Q150:
#ifdef M_COMMITTED_IS_LOST
					taken[x] = done[x];
#else
					deliver();
#endif
					assert(taken[x] == done[x]);
Q151:
					if
					:: state[x] == RUNNING ->
						if
						:: attempts[first[x] + done[x]] < RETRIES ->
							attempts[first[x] + done[x]]++; pending[first[x] + done[x]] = true
						:: else -> settle(first[x] + done[x], DIED); lost++
						fi
#if SENDS && !defined(M_VERDICT_IS_LOST)
					:: state[x] == KILLED && !ruled[x] -> settle(first[x] + done[x], TIMEOUT)
#endif
					:: else
					fi;
Q152:
#ifndef M_REST_IS_LOST
					if
					:: state[x] == RUNNING || state[x] == KILLED -> takeBack(done[x] + 1)
					:: else -> takeBack(done[x])
					fi;
#endif
Q153:
					release()
				:: else
				fi
			}
			x = 0
		}
Q154:
		atomic {
#ifndef M_ASLEEP_STAYS
			asleep[w] = false;
#endif
			park[w] = false; stopped[w] = false;
			publish()
		}
#ifndef M_DEATH_WAKES_NOBODY
Q155:
		atomic { if :: BACKLOG > 0 -> wakeOne() :: else fi }
#endif
		unlock();
		kick();
#ifdef ALONE
		atomic { dead[w] = false; w = 0 }
#else
		atomic { dead[w] = false; gone[w] = false; w = 0 }
#endif
#if WORKERS > 1
	:: atomic { !over && !mu && BURY(1) -> w = 1; mu = true; goto bury }
#endif
	od
}

/* Bad luck may end early: whoever is stuck could still be killed, and would not
 * count as stuck. */
#define HIT(w) \
	:: atomic { crashes > 0 && !over && !dead[w] && !gone[w] -> crashes--; dead[w] = true } \
	:: atomic { stops > 0 && !over && !dead[w] && !gone[w] && !stopped[w] -> stops--; stopped[w] = true }
proctype Luck() {
	do
	HIT(0)
#if WORKERS > 1
	HIT(1)
#endif
	:: break
	od;
	(over);
	assert(lost <= CRASHES)
}

init {
	byte i;
	atomic {
		for (i : 0 .. TASKS - 1) { pending[i] = true }
		for (i : 0 .. SLOTS - 1) { owner[i] = NOBODY }
		for (i : 0 .. WORKERS - 1) { run Worker(i) }
		i = 0;
		run Collector(); run Keeper(); run Luck();
#if ATTENDS
		run Attender();
#endif
#if SENDS
		run Receiver()
#endif
	}
}
