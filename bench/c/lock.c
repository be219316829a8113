/* lock KIND N: nanoseconds of a lock and unlock that nobody contends. */
#include "bench.h"

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	pthread_mutex_t *m = shared(sizeof *m);
	make_mutex(m, argv[1]);
	long n = atol(argv[2]);
	long long begin = now();
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(m);
		pthread_mutex_unlock(m);
	}
	printf("%f\n", (double)(now() - begin) / n);
	return 0;
}
