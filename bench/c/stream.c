/* stream KIND SIZE MS: one process sends messages of SIZE bytes to another over a
 * kernel object for MS milliseconds, one by one. KIND is pipe, unix (a socket
 * pair that keeps the messages apart) or mqueue. Prints messages per second. */
#include "bench.h"
#include <mqueue.h>
#include <stdint.h>
#include <sys/socket.h>

#define LAST UINT64_MAX

struct board {
	atomic_int arrived, stop;
	long long begin, end;
	long received;
};

static int from, to;
static mqd_t queue;

static void transfer(const char *kind, int sending, char *message, size_t size) {
	if (!strcmp(kind, "mqueue")) {
		if (sending ? mq_send(queue, message, size, 0) < 0 : mq_receive(queue, message, size, NULL) < 0) die(kind);
		return;
	}
	for (size_t done = 0; done < size;) { /* a pipe may take or give a part */
		ssize_t n = sending ? write(to, message + done, size - done) : read(from, message + done, size - done);
		if (n <= 0) die(kind);
		done += n;
	}
}

static void open_kind(const char *kind, size_t size) {
	int fds[2];
	if (!strcmp(kind, "mqueue")) {
		char name[64];
		snprintf(name, sizeof name, "/multiproc-bench-%d", getpid());
		struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = size}; /* the most that anybody may have */
		if ((queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a)) < 0) die("mq_open");
		mq_unlink(name);
		return;
	}
	if (strcmp(kind, "pipe") ? socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) : pipe(fds)) die(kind);
	from = fds[0];
	to = fds[1];
}

int main(int argc, char **argv) {
	if (argc != 4) return 2;
	const char *kind = argv[1];
	size_t size = atol(argv[2]);
	struct board *b = shared(sizeof *b);
	uint64_t *message = calloc(1, size);
	open_kind(kind, size);
	for (int sending = 0; sending < 2; sending++) {
		pid_t pid = fork();
		if (pid < 0) die("fork");
		if (pid > 0) continue;
		meet(&b->arrived, 2);
		if (sending) {
			b->begin = now();
			for (uint64_t n = 0; message[0] != LAST; n++) {
				message[0] = atomic_load_explicit(&b->stop, memory_order_relaxed) ? LAST : n;
				transfer(kind, 1, (char *)message, size);
			}
		} else {
			long n = 0;
			for (; message[0] != LAST; n++) transfer(kind, 0, (char *)message, size);
			b->end = now();
			b->received = n - 1;
		}
		_exit(0);
	}
	usleep(atoi(argv[3]) * 1000);
	atomic_store(&b->stop, 1);
	reap(2);
	printf("%f\n", b->received / ((b->end - b->begin) / 1e9));
	return 0;
}
