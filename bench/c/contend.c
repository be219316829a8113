/* contend KIND MS: two processes take one lock in turn to count, for MS
 * milliseconds. Prints how often each had it. */
#include "bench.h"

struct board {
	_Alignas(64) pthread_mutex_t lock;
	_Alignas(64) long counter;
	_Alignas(64) atomic_int arrived;
	_Alignas(64) atomic_int stop;
	struct {
		_Alignas(64) long n;
	} had[2];
};

static void work(struct board *b, int me) {
	long n = 0;
	for (meet(&b->arrived, 2); !atomic_load(&b->stop); n++) {
		if (pthread_mutex_lock(&b->lock)) die("lock");
		b->counter++;
		pthread_mutex_unlock(&b->lock);
	}
	b->had[me].n = n;
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	struct board *b = shared(sizeof *b);
	make_mutex(&b->lock, argv[1]);
	for (int me = 0; me < 2; me++) {
		pid_t pid = fork();
		if (pid < 0) die("fork");
		if (pid == 0) {
			work(b, me);
			_exit(0);
		}
	}
	while (atomic_load(&b->arrived) < 2) usleep(100);
	usleep(atoi(argv[2]) * 1000);
	atomic_store(&b->stop, 1);
	reap(2);
	if (b->counter != b->had[0].n + b->had[1].n) {
		fprintf(stderr, "the lock does not exclude\n");
		return 1;
	}
	printf("%ld\n%ld\n", b->had[0].n, b->had[1].n);
	return 0;
}
