/*
 * The queue of shm: a ring between two locks, and those who sleep beside it.
 * Labels Q30 to Q62 are the steps, and the numbers of the probe points. The locks
 * are ideal: lock.pml is about them. README.md says what is left out.
 *
 * A put holds P, a get holds C. Consumers sleep on the event word E, producers
 * on F, who waits for all items to be done on J; each is a flag "somebody may
 * sleep", a sequence number that each waker raises, and "closing". The one
 * store to tail, or head, is the commit.
 *
 * A killed process stops; then the kernel marks its L; then it wakes one who
 * watches that L. With LATE a thread may go on after L is marked.
 *
 * Size                                     Bad luck, each at any moment
 *   PUTTERS  producers (2)                   CRASHES  processes killed
 *   GETTERS  consumers (2)                   CANCELS  contexts of sleepers ended
 *   CAP      places in the ring (1)          LATE     a thread outlives its L
 *   ITEMS    of each producer (1)
 *   BATCH    most items in a put of the first producer (1); the others put one by one
 *   WHOLE    a put needs room for all of its items at once, else for one of them
 *   TAKE     most items in a get (1)
 *   GETS     gets of each consumer; 0 is until the end (0)
 *   BOUNDS   how often a sleep may end by its time-out where that is the only way on
 *   WATCH    whose L a sleeper watches: 0 nobody's, 1 the other side's, 2 all's
 *   MEMBERS  processes come into the table (and are watched) only as they go along
 *   UNTIL_NEXT  nobody need be told what a dead one committed until its lock is taken
 *   FAILS    how often the write of a put fails, so that nothing is put
 *   CLOSES   one more process, which closes the queue at any moment
 *   LEAVES   producers register, and leave at the end: the last one's going closes
 *   JOINS    one more process, which waits until each item is got and done; LOCKED: it
 *            counts under C
 *
 * M_... are mutants: each breaks one piece.
 */
#ifndef PUTTERS
#define PUTTERS 2
#endif
#ifndef GETTERS
#define GETTERS 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef ITEMS
#define ITEMS 1
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef WHOLE
#define WHOLE 0
#endif
#ifndef TAKE
#define TAKE 1
#endif
#ifndef GETS
#define GETS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef LATE
#define LATE 0
#endif
#ifndef BOUNDS
#define BOUNDS 0
#endif
#ifndef WATCH
#define WATCH 0
#endif
#ifndef MEMBERS
#define MEMBERS 0
#endif
#ifndef FAILS
#define FAILS 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef JOINS
#define JOINS 0
#endif

#define ALL       (PUTTERS + GETTERS + CLOSES + JOINS)
#define BIT(i)    (1 << (i))
#define SELF      BIT(_pid)
#define ME        (_pid + 1)
#define PRODUCERS (BIT(PUTTERS) - 1)
#define CONSUMERS (BIT(PUTTERS + GETTERS) - 1 - PRODUCERS)
#define VALUE(i)  (ME * 16 + count + (i))

/* The event words. Instead of the sequence number: who has read the word, and
 * it has not changed since. */
#define E 0
#define F 1
#define J 2
bool flag[3], closing[3], sealed;
byte same[3];

/* The locks: 0 is free, else pid+1. The counters; the ring. */
byte P, C, tail, head, slot[CAP];

/* Sets of processes. dead is the liveness words; owed: the kernel has marked
 * L but not yet woken. members are in the table. */
byte doomed, gone, dead, owed, registered;
byte members = (MEMBERS -> 0 : PRODUCERS | CONSUMERS);
bool ever;      /* somebody has registered */

/* Who is queued on the event words, and (watched) on whose L; who was woken. */
byte queued[3], watched[ALL], woken, cancelled;

/* The consumers' entries of the count of unfinished items. */
byte got[PUTTERS + GETTERS], did[PUTTERS + GETTERS];

/* For the assertions: what was committed in each place; the items in the hands
 * of each consumer; somebody was told of the end; all items were done at some
 * moment of the join; somebody has mended what a dead one left (by event word). */
byte put[CAP], hands[PUTTERS + GETTERS];
bool told, zero, mended[3];
bool crashed; /* and its L marked */
byte bounds, fails, finished;

#if LEAVES
#define NONELIVES (ever && !(registered & ~dead))
#else
#define NONELIVES false
#endif
#define CLOSED    (closing[E] || NONELIVES)
#if GETTERS > 1
#define LEFT      (tail - head + hands[PUTTERS] + hands[PUTTERS + 1])
#else
#define LEFT      (tail - head + hands[PUTTERS])
#endif
#define DEAD(id)  (dead & BIT((id) - 1) && gone & BIT((id) - 1))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define ROOM      (tail - head + need <= CAP)

#if WATCH == 0
#define WATCHED(e) 0
#elif WATCH == 1
#define WATCHED(e) ((e == E -> PRODUCERS : CONSUMERS) & members)
#else
#define WATCHED(e) members
#endif

/* The kernel: futex_wake(L, 1) of a process that has died. */
#define PICKL(id, t) watched[t] & BIT(id) -> watched[t] = watched[t] & ~BIT(id); woken = woken | BIT(t)
inline wakeOneWatcher(id) {
	if
	:: PICKL(id, 0)
	:: PICKL(id, 1)
#if PUTTERS + GETTERS + CLOSES + JOINS > 2
	:: PICKL(id, 2)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 3
	:: PICKL(id, 3)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 4
	:: PICKL(id, 4)
#endif
	:: else
	fi
}

/* futex_wake(event word, n): of several sleepers any. */
#define PICK(queue, t) m < want && queue & BIT(t) -> queue = queue & ~BIT(t); woken = woken | BIT(t); m++
inline wake(queue, want) {
	m = 0;
	do
	:: PICK(queue, 0)
	:: PICK(queue, 1)
#if PUTTERS + GETTERS + CLOSES + JOINS > 2
	:: PICK(queue, 2)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 3
	:: PICK(queue, 3)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 4
	:: PICK(queue, 4)
#endif
	:: m == want || queue == 0 -> break
	od
}

inline wakeAll(queue) {
	woken = woken | queue; queue = 0
}

/* futex_wake(L, all), for each L of a set. */
inline passOn(set) {
#ifdef M_NO_PASS_ON
	skip;
#else
	for (i : 0 .. ALL - 1) {
		if
		:: watched[i] & (set) -> woken = woken | BIT(i); watched[i] = watched[i] & ~(set)
		:: else
		fi
	}
	i = 0
#endif
}

inline dequeue() {
	queued[0] = queued[0] & ~SELF; queued[1] = queued[1] & ~SELF; queued[2] = queued[2] & ~SELF;
	watched[_pid] = 0; woken = woken & ~SELF
}

/* Raise the sequence number. */
#ifdef M_NO_SEQUENCE
#define NEXT(e)
#else
#define NEXT(e) same[e] = 0;
#endif

/* UNTIL_NEXT: a sleeper that nobody told of a commit is forgiven until somebody
 * has taken the lock after the death. */
#ifdef UNTIL_NEXT
#define CRASHED   crashed = true
#define IS_FRESH  fresh = crashed
#define MENDED(e) mended[e] = mended[e] || fresh; fresh = false
#else
#define CRASHED
#define IS_FRESH
#define MENDED(e)
#endif

/* Take a lock: of nobody, or of one who is dead and stopped. Its last act may have
 * been a commit of which nobody was told: 31, 41 tell all, whatever comes of this
 * put or get. */
inline lock(l) {
	(l == 0 || DEAD(l)) -> odd = (l != 0); l = ME; IS_FRESH
}
inline mend(e) {
	if
#if defined(M_MEND_LATER)
	:: odd -> flag[e] = true
#elif !defined(M_NO_MEND)
	:: odd -> NEXT(e) wakeAll(queued[e])
#endif
	:: else
	fi;
	odd = false;
	MENDED(e)
}

/* 35, 45, under the lock: n items or places are there, so wake as many of those
 * who sleep on e. Who has woken as many as it wanted must assume that more sleep. */
inline raise(e) {
	if
	:: flag[e] -> flag[e] = false; NEXT(e) m = 0
	:: else -> goto unlock
	fi
}
inline restore(e) {
	if
#ifndef M_NO_RESTORE
	:: m >= n -> flag[e] = true
#endif
	:: else
	fi;
	m = 0
}

/* Whoever was asleep and gives up may have taken a wake with it. */
inline giveBack(e, changed) {
	if
#ifndef M_NO_GIVE_BACK
	:: changed -> wake(queued[e], 1); m = 0
#endif
	:: else
	fi
}

/* Whatever the flag says, and whatever locks others hold. */
inline alarm(e) {
	NEXT(e) wakeAll(queued[e])
}

inline forget() {
	seen = 0; mask = 0; died = 0;
	same[0] = same[0] & ~SELF; same[1] = same[1] & ~SELF; same[2] = same[2] & ~SELF
}

/* 51: w = (e |= flag). */
inline prepare(e) {
	flag[e] = true; same[e] = same[e] | SELF
}

/* 52: whose L to watch. Nobody counts as dead whose threads still run. */
inline learn(e) {
#ifndef M_NO_FENCE
	(dead & ~gone) == 0 ->
#endif
	mask = WATCHED(e) & ~SELF; died = dead & mask
}

/* 54, 55: futex_waitv compares and queues word by word. useful is whether a look
 * would lead to something. If not, and nothing else can happen, all is well, and
 * the sleeper goes home; if so, it is stuck. */
inline sleep(e, useful) {
	atomic {
		if
		:: same[e] & SELF && flag[e] -> same[e] = same[e] & ~SELF; queued[e] = queued[e] | SELF
		:: else -> forget(); goto look
		fi
	}
#if WATCH
	atomic {
		if
#ifndef M_DEATHS_NOT_COMPARED
		:: (dead & mask) != died -> dequeue(); forget(); goto look
#endif
		:: else -> watched[_pid] = mask & ~died
		fi
	}
#endif
	atomic {
		if
		:: woken & SELF
		:: cancelled & SELF
		:: timeout && (useful) && bounds < BOUNDS -> bounds++
		:: timeout && !(useful) -> dequeue(); goto home
#ifdef UNTIL_NEXT
		:: timeout && crashed && !mended[e] -> dequeue(); goto home
#endif
		fi;
		dequeue();
Q55:		if
		:: (dead & mask) != died -> passOn(mask & dead & ~died)
		:: else
		fi;
		if
		:: cancelled & SELF -> goto leave
		:: else -> forget(); goto look
		fi
	}
}

active [PUTTERS] proctype Producer()
{
	byte count, most, need, n, t, seen, mask, died, m, i;
	bool odd, fresh;
{	skip;
#if MEMBERS
	/* Whoever sleeps must watch the newcomer before that has put anything. */
Q62:	members = members | SELF;
#ifndef M_COMES_SILENTLY
	atomic { alarm(E) };
	atomic { alarm(F) };
#endif
#endif
#if LEAVES
Q58:	atomic {
		lock(P); mend(E);
		if
		:: closing[E] -> P = 0; goto home
		:: else
		fi
	}
	atomic { registered = registered | SELF; ever = true };
	P = 0;
#endif
next:	atomic {
		if
		:: count == ITEMS -> goto finish
		:: else ->
			most = (_pid == 0 -> MIN(BATCH, ITEMS - count) : 1);
			need = (WHOLE -> most : 1)
		fi
	}
look:
Q30:	atomic {
		lock(P);
Q31:		mend(E);
Q32:		t = tail; seen = head;
		if
		:: closing[E] -> P = 0; goto home
		:: !closing[E] && !ROOM -> P = 0; t = 0; goto Q51
		:: !closing[E] && ROOM -> n = MIN(most, CAP - (t - seen))
		fi;
		seen = 0;
#ifndef M_COMMIT_FIRST
Q33:		for (i : 0 .. n - 1) { slot[(t + i) % CAP] = VALUE(i) } i = 0
#endif
	}
#ifdef M_WAKE_FIRST
	atomic { if :: flag[E] -> flag[E] = false; NEXT(E) m = 0 :: else -> goto early fi };
	atomic { wake(queued[E], n) };
	atomic { restore(E) };
early:
#endif
#ifdef M_COMMIT_FIRST
	atomic { tail = t + n; for (i : 0 .. n - 1) { put[(t + i) % CAP] = VALUE(i) } i = 0 };
Q33:	atomic { for (i : 0 .. n - 1) { slot[(t + i) % CAP] = VALUE(i) } i = 0 };
#endif
#if FAILS
	if
	:: atomic { fails < FAILS -> fails++; goto failed }
	:: skip
	fi;
#endif
#ifndef M_COMMIT_FIRST
Q34:	atomic { tail = t + n; assert(!told); for (i : 0 .. n - 1) { put[(t + i) % CAP] = VALUE(i) } i = 0; t = 0 };
#endif
#ifdef M_UNLOCK_FIRST
	P = 0;
#endif
#ifndef M_WAKE_FIRST
Q35:	atomic { raise(E) };
	atomic { wake(queued[E], n) };
#endif
	atomic {
#ifndef M_WAKE_FIRST
		restore(E);
#else
		skip;
#endif
unlock:
Q36:		skip;
#ifndef M_UNLOCK_FIRST
		P = 0;
#endif
		count = count + n; n = 0; most = 0; need = 0; goto next
	}

	/* Full. */
Q51:	atomic {
		prepare(F);
#if WATCH
	}
	atomic {
		skip;
#endif
Q52:		learn(F)
	}
Q53:	atomic {
		if
#ifndef M_NO_RECHECK
		:: head != seen || closing[F] -> forget(); goto look
#endif
		:: else
		fi
	}
Q54:	sleep(F, ROOM || closing[E]);
leave:
Q61:	atomic { giveBack(F, head != seen); goto home };

#if FAILS
	/* The wake for a place that stays free. It is not C that is held. */
failed:
#ifdef M_FAILS_AS_45
	atomic { n = 1; if :: flag[F] -> flag[F] = false; NEXT(F) m = 0 :: else -> goto told1 fi };
	atomic { wake(queued[F], n) };
	atomic { restore(F) };
told1:
#else
	atomic { giveBack(F, true) };
#endif
	P = 0; goto home;
#endif

finish:
#if LEAVES
	registered = registered & ~SELF;
#ifndef M_LEAVES_SILENTLY
	atomic { alarm(E) };
#endif
#endif
home:	atomic { finished = finished | SELF; count = 0; most = 0; need = 0; n = 0; t = 0; forget() }
} unless {
	atomic { gone & SELF; count = 0; most = 0; need = 0; n = 0; t = 0; m = 0; i = 0; odd = false; forget() }
} }

active [GETTERS] proctype Consumer()
{
	byte count, n, h, seen, shut, mask, died, m, i;
	bool odd, fresh;
{	skip;
#if MEMBERS
	members = members | SELF;
#ifndef M_COMES_SILENTLY
	atomic { alarm(E) };
	atomic { alarm(F) };
#endif
#endif
look:
Q40:	atomic {
		lock(C);
Q41:		mend(F);
Q42:		h = head;
#ifdef M_SEALED_LATE
		seen = tail;
#else
		shut = closing[E] + sealed;
#endif
#if CLOSES || LEAVES
	}
	atomic {
#endif
#ifdef M_SEALED_LATE
		shut = closing[E] + sealed;
#else
		seen = tail;
#endif
		if
		:: seen != h -> n = MIN(seen - h, TAKE)
		:: seen == h -> h = 0; C = 0;
			if
			:: shut == 2 -> goto end
			:: shut == 1 -> goto Q57
			:: shut == 0 && NONELIVES -> goto Q59
			:: shut == 0 && !NONELIVES -> goto Q51
			fi
		fi;
		seen = 0; shut = 0
	}
#ifdef M_GET_COMMIT_FIRST
	head = h + n;
#endif
#if JOINS && !defined(M_GOT_LATE)
	got[_pid] = got[_pid] + n;
#endif
	atomic {
Q43:		for (i : 0 .. n - 1) { assert(slot[(h + i) % CAP] == put[(h + i) % CAP]) } i = 0;
Q44:		head = h + n; h = 0; hands[_pid] = JOINS * n
	}
#if JOINS && defined(M_GOT_LATE)
	got[_pid] = got[_pid] + n;
#endif
Q45:	atomic { raise(F) };
	atomic { wake(queued[F], n) };
	atomic {
		restore(F);
unlock:
Q46:		C = 0; n = 0;
#if GETS
		count++;
		if
		:: count == GETS -> goto home
		:: else
		fi;
#endif
#if JOINS
		goto Q60
#else
		goto look
#endif
	}

	/* What was got is done. */
#if JOINS
Q60:	atomic { did[_pid] = did[_pid] + hands[_pid]; hands[_pid] = 0; zero = zero || LEFT == 0 };
	atomic {
		if
		:: flag[J] -> flag[J] = false; NEXT(J) skip
		:: else -> goto look
		fi
	}
	atomic { wakeAll(queued[J]); goto look };
#endif

	/* Empty. */
Q51:	atomic {
		prepare(E);
#if WATCH
	}
	atomic {
		skip;
#endif
Q52:		learn(E)
	}
Q53:	atomic {
		if
#ifndef M_NO_RECHECK
		:: tail != seen || CLOSED -> forget(); goto look
#endif
		:: else
		fi
	}
Q54:	sleep(E, tail != head || CLOSED);
leave:
Q61:	atomic { giveBack(E, tail != seen); goto home };

	/* All producers have gone. */
Q59:	atomic { lock(P); mend(E) };
	atomic {
		forget(); shut = 0;
		if
		:: NONELIVES -> closing[E] = true; same[E] = 0
		:: else -> P = 0; goto look
		fi
	}
	atomic { wakeAll(queued[E]) };
	P = 0;
	goto look;

	/* Closing: wait for a put in flight, then look once more. */
Q57:
#ifndef M_NO_SEAL_LOCK
	atomic { lock(P); mend(E) };
#endif
	atomic { forget(); shut = 0; sealed = true; same[E] = 0 };
#ifndef M_NO_SEAL_LOCK
	P = 0;
#endif
	goto look;

end:	atomic { assert(tail == head); told = true };
home:	atomic { finished = finished | SELF; count = 0; n = 0; h = 0; shut = 0; forget() }
} unless {
	atomic { gone & SELF; count = 0; n = 0; h = 0; shut = 0; m = 0; i = 0; odd = false; forget() }
} }

#if CLOSES
active proctype Closer()
{
{	skip;
Q56:	atomic { closing[E] = true; same[E] = 0 };
	atomic { closing[F] = true; same[F] = 0 };
	atomic { wakeAll(queued[E]) };
	atomic { wakeAll(queued[F]) };
	finished = finished | SELF
} unless { gone & SELF }
}
#endif

#if JOINS
active proctype Joiner()
{
	byte sum, seen, mask, died, m, i;
	bool odd;
{	zero = (LEFT == 0);
look:	atomic { prepare(J); learn(J) };
#ifdef LOCKED
	atomic { lock(C); mend(F) };
#endif
#ifdef M_TAIL_FIRST
	sum = tail;
#endif
	sum = sum - head;
	for (i : PUTTERS .. PUTTERS + GETTERS - 1) {
		if
		:: !(dead & BIT(i)) -> sum = sum - did[i]; sum = sum + got[i]
		:: else
		fi
	}
	atomic {
		i = 0;
#ifndef M_TAIL_FIRST
		sum = sum + tail;
#endif
#ifdef LOCKED
		C = 0;
#endif
		if
		:: sum == 0 -> assert(zero); goto home
		:: else -> sum = 0
		fi
	}
Q54:	sleep(J, LEFT == 0);
leave:
home:	atomic { finished = finished | SELF; sum = 0; forget() }
} unless {
	atomic { gone & SELF; sum = 0; m = 0; i = 0; odd = false; forget() }
} }
#endif

/* World is the kernel, and bad luck. Bad luck may end before it has done its
 * worst: otherwise whoever is stuck could still be killed, and would not count
 * as stuck. */
#if JOINS
#define hands_void(p) if :: p >= PUTTERS && p < PUTTERS + GETTERS -> hands[p] = 0; zero = zero || LEFT == 0 :: else fi;
#else
#define hands_void(p)
#endif
inline stop(p) {
	gone = gone | BIT(p); hands_void(p) woken = woken & ~BIT(p); watched[p] = 0;
	queued[0] = queued[0] & ~BIT(p); queued[1] = queued[1] & ~BIT(p); queued[2] = queued[2] & ~BIT(p)
}
#define FAULTS(p) \
	:: atomic { luck && crashes < CRASHES && !((doomed | finished) & BIT(p)) -> crashes++; doomed = doomed | BIT(p); \
		if :: !LATE -> stop(p) :: LATE fi } \
	:: atomic { LATE && doomed & BIT(p) && !(gone & BIT(p)) -> stop(p) } \
	:: atomic { (LATE -> doomed : gone) & BIT(p) && !(dead & BIT(p)) -> dead = dead | BIT(p); owed = owed | BIT(p); CRASHED } \
	:: atomic { owed & BIT(p) -> owed = owed & ~BIT(p); wakeOneWatcher(p) } \
	:: atomic { luck && cancels < CANCELS && !((doomed | finished | cancelled) & BIT(p)) -> cancels++; cancelled = cancelled | BIT(p) }

active proctype World()
{
	byte crashes, cancels;
	bool luck = (CRASHES + CANCELS > 0);
end:	do
	:: luck -> luck = false
	FAULTS(0)
	FAULTS(1)
#if PUTTERS + GETTERS + CLOSES + JOINS > 2
	FAULTS(2)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 3
	FAULTS(3)
#endif
#if PUTTERS + GETTERS + CLOSES + JOINS > 4
	FAULTS(4)
#endif
	od
}
