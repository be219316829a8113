/* ring WAIT SIZE CAPACITY MS: one process sends messages of SIZE bytes to another
 * through a ring in shared memory for MS milliseconds, one by one. Each side
 * keeps its own index and the one of the other that it saw last. WAIT is how it
 * waits: spin, or sleep at once; or inplace: spin, and the messages are written
 * and read in the ring, not copied. It does not survive a death. Prints messages
 * per second. */
#include "bench.h"
#include "wait.h"
#include <stdbool.h>

enum wait { SPIN, SLEEP, INPLACE };

/* An end is how far one side is, and where the other one sleeps until it gets on. */
struct end {
	_Alignas(64) atomic_ulong position;
	_Alignas(64) atomic_uint sleeper;
};

struct board {
	struct end tail, head;
	_Alignas(64) atomic_int arrived;
	_Alignas(64) atomic_int stop;
	_Alignas(64) long long begin, end;
	long sent, received;
	_Alignas(64) char data[];
};

#define ALWAYS static inline __attribute__((always_inline))
#define LAST UINT64_MAX

/* await returns the position of an end when it is another one than seen. */
ALWAYS unsigned long await(struct end *e, unsigned long seen, enum wait how) {
	unsigned long at;
	for (int pauses = 1; (at = atomic_load_explicit(&e->position, memory_order_acquire)) == seen;) {
		if (how != SLEEP) {
			relax_longer(&pauses);
			continue;
		}
		atomic_store(&e->sleeper, 1);
		if (atomic_load(&e->position) == seen) futex_wait(&e->sleeper, 1);
	}
	return at;
}

ALWAYS void commit(struct end *e, unsigned long at, enum wait how) {
	atomic_store_explicit(&e->position, at, how == SLEEP ? memory_order_seq_cst : memory_order_release);
	if (how == SLEEP && atomic_load(&e->sleeper)) {
		atomic_store(&e->sleeper, 0);
		futex_wake(&e->sleeper);
	}
}

ALWAYS void send(struct board *b, size_t size, unsigned long capacity, enum wait how) {
	uint64_t message[size / 8];
	memset(message, 0, size);
	unsigned long tail = 0, head = 0;
	for (bool last = false; !last; tail++) {
		last = atomic_load_explicit(&b->stop, memory_order_relaxed);
		if (tail - head == capacity) head = await(&b->head, head, how);
		uint64_t *slot = (uint64_t *)(b->data + (tail & (capacity - 1)) * size);
		if (how == INPLACE) {
			memset(slot, 0, size);
			slot[0] = last ? LAST : tail;
		} else {
			message[0] = last ? LAST : tail;
			memcpy(slot, message, size);
		}
		commit(&b->tail, tail + 1, how);
	}
	b->sent = tail - 1;
}

ALWAYS void receive(struct board *b, size_t size, unsigned long capacity, enum wait how) {
	uint64_t message[size / 8];
	uint64_t sum = 0;
	unsigned long tail = 0, head = 0;
	for (bool last = false; !last; head++) {
		if (head == tail) tail = await(&b->tail, tail, how);
		uint64_t *slot = (uint64_t *)(b->data + (head & (capacity - 1)) * size);
		if (how == INPLACE) {
			last = slot[0] == LAST;
			for (size_t i = 0; i < size / 8; i += 8) sum += slot[i];
		} else {
			memcpy(message, slot, size);
			__asm__ volatile("" : : "r"(message) : "memory"); /* it is wanted */
			last = message[0] == LAST;
		}
		commit(&b->head, head + 1, how);
	}
	__asm__ volatile("" : : "r"(sum));
	b->received = head - 1;
}

ALWAYS void side(struct board *b, bool sender, size_t size, unsigned long capacity, enum wait how) {
	meet(&b->arrived, 2);
	if (sender) {
		b->begin = now();
		send(b, size, capacity, how);
	} else {
		receive(b, size, capacity, how);
		b->end = now();
	}
}

/* sized calls side with constants, so that copies are compiled for their size. */
ALWAYS int sized(struct board *b, bool sender, size_t size, unsigned long capacity, enum wait how) {
	switch (size) {
	case 8: side(b, sender, 8, capacity, how); return 0;
	case 64: side(b, sender, 64, capacity, how); return 0;
	case 1024: side(b, sender, 1024, capacity, how); return 0;
	case 65536: side(b, sender, 65536, capacity, how); return 0;
	}
	return 2;
}

static int run(struct board *b, bool sender, size_t size, unsigned long capacity, const char *how) {
	if (!strcmp(how, "spin")) return sized(b, sender, size, capacity, SPIN);
	if (!strcmp(how, "sleep")) return sized(b, sender, size, capacity, SLEEP);
	if (!strcmp(how, "inplace")) return sized(b, sender, size, capacity, INPLACE);
	return 2;
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	size_t size = atol(argv[2]);
	unsigned long capacity = atol(argv[3]); /* a power of two */
	struct board *b = shared(sizeof *b + size * capacity);
	for (int side = 0; side < 2; side++) {
		pid_t pid = fork();
		if (pid < 0) die("fork");
		if (pid == 0) _exit(run(b, side == 0, size, capacity, argv[1]));
	}
	usleep(atoi(argv[4]) * 1000);
	atomic_store(&b->stop, 1);
	reap(2);
	if (b->sent != b->received) {
		fprintf(stderr, "%ld sent, %ld received\n", b->sent, b->received);
		return 1;
	}
	printf("%f\n", b->received / ((b->end - b->begin) / 1e9));
	return 0;
}
