/*
 * The pipe of shm: the ring of the queue without locks, one process at each end.
 * Labels are the steps, as in queue.pml; what it says of event words, and of
 * time-outs, holds here, too. README.md says what is left out.
 *
 * The writer sleeps on F, the reader on E. Each end watches the other's L. A
 * killed process may go on after its L is marked, until it has stopped.
 *
 * Size                                Bad luck, each at any moment
 *   CAP    places in the ring (1)       CRASHES  ends killed
 *   ITEMS  that the writer puts (2)     CANCELS  contexts of sleepers ended
 *   BATCH  most items in a put (1)
 *   TAKE   most items in a get (1)
 *   QUITS  the reader may close its end early
 *
 * No sleep may end by its time-out: none is needed. M_... are mutants: each
 * breaks one piece.
 */
#ifndef CAP
#define CAP 1
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef TAKE
#define TAKE 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef QUITS
#define QUITS 0
#endif

#define BIT(i)    (1 << (i))
#define MIN(a, b) ((a) < (b) -> (a) : (b))

/* The ends, and the event words that they sleep on. */
#define WRITER 0
#define READER 1
#define F      0
#define E      1

/* The word of each end: somebody may sleep on it; its sleeper has read it, and
 * it has not changed since; the other end has closed. */
bool flag[2], same[2], closing[2];
byte tail, head, slot[CAP];

/* Sets of ends. dead is the liveness words; owed: the kernel has marked L but
 * not yet woken. */
byte doomed, gone, dead, owed, queued, watching, woken, cancelled, finished;

/* For the assertions: what was committed; what each end was told. */
byte put[CAP], items;
bool ended, broken;

#define MARKED(end) (dead & BIT(end))
#define GONE(end)   (gone & BIT(end))

#ifdef M_NO_SEQUENCE
#define NEXT(e)
#else
#define NEXT(e) same[e] = false;
#endif

/* futex_wake(event word): there is at most one sleeper. */
inline wake(e) {
	woken = woken | (queued & BIT(e)); queued = queued & ~BIT(e)
}

inline dequeue(e) {
	queued = queued & ~BIT(e); watching = watching & ~BIT(e); woken = woken & ~BIT(e); same[e] = false
}

/* 35, 45, after a commit: is the other end asleep? */
inline raise(e) {
	if
	:: flag[e] -> flag[e] = false; NEXT(e) skip
	:: else -> goto next
	fi
}

/* 51 to 54. changed is what the sleep is for, other the other end. */
inline prepare(e) {
	flag[e] = true; same[e] = true
}
inline sleep(e, other, useful) {
	atomic {
		if
		:: same[e] && flag[e] -> queued = queued | BIT(e)
		:: else -> goto look
		fi
	}
	atomic {
		if
#ifndef M_DEATHS_NOT_COMPARED
		:: MARKED(other) -> dequeue(e); goto look
#endif
		:: else
#ifndef M_UNWATCHED
			-> watching = watching | BIT(e)
#endif
		fi
	}
	atomic {
		if
		:: woken & BIT(e)
		:: cancelled & BIT(e) -> dequeue(e); goto home
		:: timeout && !(useful) -> dequeue(e); goto home
		fi;
		dequeue(e); goto look
	}
}

active proctype Writer()
{
	byte n, t, seen, i;
{	skip;
next:	atomic {
		n = 0;
		if
		:: tail == ITEMS -> goto close
		:: else
		fi
	}
look:
Q32:	atomic {
		t = tail; seen = head;
		if
		:: closing[F] -> goto refused
		:: !closing[F] && t - seen < CAP -> n = MIN(BATCH, ITEMS - t); n = MIN(n, CAP - (t - seen))
		:: !closing[F] && t - seen == CAP && !MARKED(READER) -> goto Q51
		:: !closing[F] && t - seen == CAP && MARKED(READER) -> goto refused
		fi
	}
#ifdef M_COMMIT_FIRST
	atomic { tail = t + n; for (i : 0 .. n - 1) { put[(t + i) % CAP] = t + i } i = 0 };
#endif
#ifdef M_WAKE_FIRST
	atomic { if :: flag[E] -> flag[E] = false; NEXT(E) wake(E) :: else fi };
#endif
Q33:	atomic { for (i : 0 .. n - 1) { slot[(t + i) % CAP] = t + i } i = 0 };
Q34:	atomic {
		assert(!ended);
		tail = t + n; for (i : 0 .. n - 1) { put[(t + i) % CAP] = t + i } i = 0; t = 0; seen = 0
	}
#ifdef M_WAKE_FIRST
	goto next;
#endif
Q35:	atomic { raise(E) };
	atomic { wake(E); goto next };

	/* Full. */
Q51:	prepare(F);
Q53:	atomic {
		if
#ifndef M_NO_RECHECK
		:: head != seen || closing[F] -> goto look
#endif
		:: else -> seen = 0; t = 0
		fi
	}
Q54:	sleep(F, READER, (head + CAP != tail || closing[F] || MARKED(READER)));

	/* Broken pipe: the reader has closed, or died. */
refused:
	atomic { assert(closing[F] || GONE(READER) || doomed & BIT(READER)); broken = true; goto home };

	/* A clean end. */
close:
Q56:	atomic { closing[E] = true; NEXT(E) skip };
#ifndef M_CLOSES_SILENTLY
	wake(E);
#endif
home:	atomic { finished = finished | BIT(WRITER); n = 0; t = 0; seen = 0 }
} unless {
	atomic { GONE(WRITER); n = 0; t = 0; seen = 0; i = 0 }
} }

active proctype Reader()
{
	byte n, h, seen, i;
	bool over;
{	skip;
next:	n = 0;
look:
	/* The word before tail. */
#ifdef M_TAIL_BEFORE_CLOSING
	seen = tail;
#endif
Q42:	over = closing[E];
	atomic {
		h = head;
#ifndef M_TAIL_BEFORE_CLOSING
		seen = tail
#endif
	}
	atomic {
		if
		:: seen != h -> n = MIN(seen - h, TAKE)
		:: seen == h && over -> goto end
		:: seen == h && !over && MARKED(WRITER) -> goto Q57
		:: seen == h && !over && !MARKED(WRITER) -> goto Q51
		fi
	}
#ifdef M_GET_COMMIT_FIRST
	head = h + n;
#endif
Q43:	atomic { for (i : 0 .. n - 1) { assert(slot[(h + i) % CAP] == put[(h + i) % CAP] && slot[(h + i) % CAP] == items); items++ } i = 0 };
Q44:	atomic { head = h + n; h = 0; seen = 0 };
#if QUITS
	if
	:: goto quit
	:: skip
	fi;
#endif
Q45:	atomic { raise(F) };
	atomic { wake(F); goto next };

	/* Empty. */
Q51:	prepare(E);
Q53:	atomic {
		if
#ifndef M_NO_RECHECK
		:: tail != seen || closing[E] -> goto look
#endif
		:: else -> seen = 0; h = 0
		fi
	}
Q54:	sleep(E, WRITER, (tail != head || closing[E] || MARKED(WRITER)));

	/* The writer is dead. Only once it has stopped is tail its last. */
Q57:
#ifndef M_NO_FENCE
	GONE(WRITER);
#endif
	atomic {
		if
#ifndef M_TAIL_NOT_READ_AGAIN
		:: tail != head -> goto look
#endif
		:: else
		fi
	}
end:	atomic { assert(tail == head); ended = true; goto home };

#if QUITS
quit:	atomic { closing[F] = true; NEXT(F) skip };
	wake(F);
#endif
home:	atomic { finished = finished | BIT(READER); n = 0; h = 0; seen = 0; over = false }
} unless {
	atomic { GONE(READER); n = 0; h = 0; seen = 0; i = 0; over = false }
} }

/* World is the kernel, and bad luck, which may end early. */
#define FAULTS(p) \
	:: atomic { luck && crashes < CRASHES && !((doomed | finished) & BIT(p)) -> crashes++; doomed = doomed | BIT(p) } \
	:: atomic { doomed & BIT(p) && !GONE(p) -> gone = gone | BIT(p); dequeue(p) } \
	:: atomic { doomed & BIT(p) && !MARKED(p) -> dead = dead | BIT(p); owed = owed | BIT(p) } \
	:: atomic { owed & BIT(p) -> owed = owed & ~BIT(p); woken = woken | (watching & BIT(1 - p)); watching = watching & ~BIT(1 - p) } \
	:: atomic { luck && cancels < CANCELS && !((doomed | finished | cancelled) & BIT(p)) -> cancels++; cancelled = cancelled | BIT(p) }

active proctype World()
{
	byte crashes, cancels;
	bool luck = (CRASHES + CANCELS > 0);
end:	do
	:: luck -> luck = false
	FAULTS(0)
	FAULTS(1)
	od
}
