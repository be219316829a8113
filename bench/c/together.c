/* together KIND N: two processes do something together N times; prints the
 * nanoseconds of one time. barrier: they meet at a process-shared barrier. cond:
 * each in turn waits, on a process-shared condition variable of its own, until
 * the other hands it the turn. readers: both lock and unlock one process-shared
 * rwlock for reading. */
#include "bench.h"

struct board {
	_Alignas(64) pthread_barrier_t barrier;
	_Alignas(64) pthread_rwlock_t rwlock;
	_Alignas(64) pthread_mutex_t lock;
	pthread_cond_t turned[2];
	int turn;
	_Alignas(64) atomic_int arrived;
};

static void work(struct board *b, int me, const char *kind, long n) {
	meet(&b->arrived, 2);
	long long begin = now();
	for (long i = 0; i < n; i++) {
		if (!strcmp(kind, "barrier")) {
			pthread_barrier_wait(&b->barrier);
		} else if (!strcmp(kind, "readers")) {
			pthread_rwlock_rdlock(&b->rwlock);
			pthread_rwlock_unlock(&b->rwlock);
		} else {
			pthread_mutex_lock(&b->lock);
			while (b->turn != me) pthread_cond_wait(&b->turned[me], &b->lock);
			b->turn = 1 - me;
			pthread_cond_signal(&b->turned[1 - me]);
			pthread_mutex_unlock(&b->lock);
		}
	}
	if (me == 0) printf("%f\n", (double)(now() - begin) / n);
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	struct board *b = shared(sizeof *b);
	pthread_barrierattr_t ba;
	pthread_barrierattr_init(&ba);
	pthread_barrierattr_setpshared(&ba, PTHREAD_PROCESS_SHARED);
	if (pthread_barrier_init(&b->barrier, &ba, 2)) die("pthread_barrier_init");
	pthread_rwlockattr_t ra;
	pthread_rwlockattr_init(&ra);
	pthread_rwlockattr_setpshared(&ra, PTHREAD_PROCESS_SHARED);
	if (pthread_rwlock_init(&b->rwlock, &ra)) die("pthread_rwlock_init");
	make_mutex(&b->lock, "plain");
	pthread_condattr_t ca;
	pthread_condattr_init(&ca);
	pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
	for (int i = 0; i < 2; i++)
		if (pthread_cond_init(&b->turned[i], &ca)) die("pthread_cond_init");

	pid_t pid = fork();
	if (pid < 0) die("fork");
	if (pid == 0) {
		work(b, 1, argv[1], atol(argv[2]));
		_exit(0);
	}
	work(b, 0, argv[1], atol(argv[2]));
	reap(1);
	return 0;
}
