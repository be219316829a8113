/* square N WORKERS PASSES FILLED: WORKERS processes square N 32-bit integers in
 * place, each its part, PASSES times. If FILLED, the parent has written every
 * page before. Prints the milliseconds of each pass, from the first worker's
 * start to the last one's end. */
#include "bench.h"
#include <stdint.h>

enum { MAX_WORKERS = 64, MAX_PASSES = 64 };

struct board {
	atomic_int arrived;
	struct {
		_Alignas(64) long long begin[MAX_PASSES], end[MAX_PASSES];
	} of[MAX_WORKERS];
};

/* As unsigned, because overflow is defined there; the instructions are the same. */
__attribute__((noinline)) static void square(uint32_t *v, size_t n) {
	for (size_t i = 0; i < n; i++) v[i] *= v[i];
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	size_t n = atol(argv[1]);
	int workers = atoi(argv[2]), passes = atoi(argv[3]), filled = atoi(argv[4]);
	if (workers < 1 || workers > MAX_WORKERS || passes < 1 || passes > MAX_PASSES) return 2;
	uint32_t *v = shared(n * sizeof *v);
	struct board *b = shared(sizeof *b);
	if (filled)
		for (size_t i = 0; i < n; i++) v[i] = i;
	for (int w = 0; w < workers; w++) {
		pid_t pid = fork();
		if (pid < 0) die("fork");
		if (pid > 0) continue;
		size_t from = n * w / workers, to = n * (w + 1) / workers;
		for (int pass = 0; pass < passes; pass++) {
			meet(&b->arrived, workers * (pass + 1));
			b->of[w].begin[pass] = now();
			square(v + from, to - from);
			b->of[w].end[pass] = now();
		}
		_exit(0);
	}
	reap(workers);
	for (int pass = 0; pass < passes; pass++) {
		long long begin = b->of[0].begin[pass], end = b->of[0].end[pass];
		for (int w = 1; w < workers; w++) {
			if (b->of[w].begin[pass] < begin) begin = b->of[w].begin[pass];
			if (b->of[w].end[pass] > end) end = b->of[w].end[pass];
		}
		printf("%f\n", (end - begin) / 1e6);
	}
	return 0;
}
