/* What the programs of this directory have in common. Each prints its figures,
 * one on a line, and nothing else. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what) {
	perror(what);
	exit(1);
}

static inline long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* shared returns fresh memory that forked children share with this process. */
static inline void *shared(size_t size) {
	int fd = memfd_create("bench", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, size) < 0) die("memfd");
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) die("mmap");
	close(fd);
	return p;
}

/* make_mutex makes a process-shared mutex: plain, robust, recursive or both. */
static inline void make_mutex(pthread_mutex_t *m, const char *kind) {
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (strstr(kind, "robust")) pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	if (strstr(kind, "recursive")) pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
	if (pthread_mutex_init(m, &a)) die("pthread_mutex_init");
}

/* mark stops this thread, for a tracer to see. */
static inline void mark(void) {
	if (raise(SIGSTOP)) die("raise");
}

/* meet returns when n processes have called it. */
static inline void meet(atomic_int *arrived, int n) {
	for (atomic_fetch_add(arrived, 1); atomic_load(arrived) < n;) {
	}
}

static inline void reap(int n) {
	for (int status; n-- > 0;)
		if (wait(&status) < 0 || status != 0) {
			fprintf(stderr, "a child failed\n");
			exit(1);
		}
}
