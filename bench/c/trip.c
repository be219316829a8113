/* trip WAIT MS: two processes send a word to and fro for MS milliseconds. WAIT is
 * how each waits: adaptive: it looks for 20 us and then sleeps on a futex; futex:
 * it sleeps at once; asleep: likewise, and who is to answer waits 200 us before,
 * so that the other is certainly asleep: a trip is then the time from each word's
 * sending to its arrival. Prints nanoseconds of the trips: their mean, or, of
 * those with waiting, each. */
#include "bench.h"
#include "wait.h"
#include <stdbool.h>

struct way {
	_Alignas(64) atomic_uint sent; /* how many words */
	_Atomic uint64_t word;
	_Alignas(64) atomic_int sleeper;
};

struct board {
	struct way ways[2];
	_Alignas(64) atomic_int arrived;
};

static const uint64_t last = UINT64_MAX;

static void send(struct way *w, uint64_t word, bool adaptive) {
	atomic_store_explicit(&w->word, word, memory_order_relaxed);
	atomic_fetch_add(&w->sent, 1);
	if (!adaptive || atomic_load(&w->sleeper)) futex_wake(&w->sent);
}

/* receive returns the word after the first n. */
static uint64_t receive(struct way *w, unsigned n, bool adaptive) {
	for (int looks = 0; adaptive && looks < 800 && atomic_load_explicit(&w->sent, memory_order_acquire) == n; looks++) relax();
	if (atomic_load(&w->sent) == n) {
		if (adaptive) atomic_store(&w->sleeper, 1);
		while (atomic_load(&w->sent) == n) futex_wait(&w->sent, n);
		if (adaptive) atomic_store(&w->sleeper, 0);
	}
	return atomic_load_explicit(&w->word, memory_order_relaxed);
}

static void answer(struct board *b, bool adaptive, bool asleep) {
	for (unsigned n = 0;; n++) {
		uint64_t word = receive(&b->ways[0], n, adaptive);
		if (word == last) return;
		if (asleep) {
			uint64_t took = now() - word;
			usleep(200);
			word = now() - took;
		}
		send(&b->ways[1], word, adaptive);
	}
}

static void ask(struct board *b, bool adaptive, bool asleep, long long time) {
	long long begin = now();
	unsigned n = 0;
	for (; now() - begin < time; n++) {
		if (asleep) usleep(200);
		send(&b->ways[0], now(), adaptive);
		uint64_t word = receive(&b->ways[1], n, adaptive);
		if (asleep) printf("%lld\n", now() - (long long)word);
	}
	if (!asleep) printf("%f\n", (double)(now() - begin) / n);
	send(&b->ways[0], last, adaptive);
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	bool adaptive = !strcmp(argv[1], "adaptive"), asleep = !strcmp(argv[1], "asleep");
	struct board *b = shared(sizeof *b);
	pid_t pid = fork();
	if (pid < 0) die("fork");
	meet(&b->arrived, 2);
	if (pid == 0) {
		answer(b, adaptive, asleep);
		_exit(0);
	}
	ask(b, adaptive, asleep, atoll(argv[2]) * 1000000);
	reap(1);
	return 0;
}
