/* primitive KIND N: nanoseconds of a pair of calls that nobody contends:
 * rdlock and unlock, wrlock and unlock, of a process-shared rwlock; sem_wait and
 * sem_post of a process-shared semaphore. */
#include "bench.h"
#include <semaphore.h>

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	const char *kind = argv[1];
	long n = atol(argv[2]);
	pthread_rwlock_t *l = shared(sizeof *l);
	pthread_rwlockattr_t a;
	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (pthread_rwlock_init(l, &a)) die("pthread_rwlock_init");
	sem_t *s = shared(sizeof *s);
	if (sem_init(s, 1, 1)) die("sem_init");

	long long begin = now();
	if (!strcmp(kind, "rdlock"))
		for (long i = 0; i < n; i++) {
			pthread_rwlock_rdlock(l);
			pthread_rwlock_unlock(l);
		}
	else if (!strcmp(kind, "wrlock"))
		for (long i = 0; i < n; i++) {
			pthread_rwlock_wrlock(l);
			pthread_rwlock_unlock(l);
		}
	else if (!strcmp(kind, "semaphore"))
		for (long i = 0; i < n; i++) {
			sem_wait(s);
			sem_post(s);
		}
	else
		return 2;
	printf("%f\n", (double)(now() - begin) / n);
	return 0;
}
