/* lock KIND N: nanoseconds of a lock and unlock that nobody contends.
 * lock KIND traced: marks one pair and two pairs for a tracer; see path.go. */
#include "bench.h"

static inline void pair(pthread_mutex_t *m) {
	pthread_mutex_lock(m);
	pthread_mutex_unlock(m);
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	pthread_mutex_t *m = shared(sizeof *m);
	make_mutex(m, argv[1]);
	if (!strcmp(argv[2], "traced")) {
		pair(m); /* for what happens only once */
		mark();
		pair(m);
		mark();
		mark();
		pair(m);
		pair(m);
		mark();
		return 0;
	}
	long n = atol(argv[2]);
	long long begin = now();
	for (long i = 0; i < n; i++) pair(m);
	printf("%f\n", (double)(now() - begin) / n);
	return 0;
}
