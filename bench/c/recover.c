/* recover N MIB: N times, a child with MIB of resident memory takes a robust
 * mutex and is killed while a thread of this process waits for it. Prints the
 * microseconds from just before the kill until the thread holds the mutex. */
#include "bench.h"
#include <signal.h>

static struct board {
	pthread_mutex_t lock;
	atomic_int held;
} *board;

static void hold(size_t mib) {
	size_t size = mib << 20;
	char *p = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : NULL;
	if (p == MAP_FAILED) die("mmap");
	if (size) madvise(p, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size; i += 4096) p[i] = 1;
	pthread_mutex_lock(&board->lock);
	atomic_store(&board->held, 1);
	for (;;) pause();
}

static void *await(void *got) {
	if (pthread_mutex_lock(&board->lock) != EOWNERDEAD) die("not told that the owner died");
	*(long long *)got = now();
	return NULL;
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	board = shared(sizeof *board);
	make_mutex(&board->lock, "robust");
	for (int n = atoi(argv[1]); n > 0; n--) {
		atomic_store(&board->held, 0);
		pid_t pid = fork();
		if (pid < 0) die("fork");
		if (pid == 0) hold(atol(argv[2]));
		while (!atomic_load(&board->held)) usleep(100);
		pthread_t waiter;
		long long got;
		if (pthread_create(&waiter, NULL, await, &got)) die("pthread_create");
		usleep(3000); /* the waiter is asleep */
		long long begin = now();
		kill(pid, SIGKILL);
		pthread_join(waiter, NULL);
		printf("%f\n", (got - begin) / 1e3);
		pthread_mutex_consistent(&board->lock);
		pthread_mutex_unlock(&board->lock);
		waitpid(pid, NULL, 0);
	}
	return 0;
}
