/* boost SIZE CAPACITY PAIRS MS: PAIRS processes send messages of SIZE bytes to as
 * many others through one boost::interprocess::message_queue for MS milliseconds,
 * one by one. Prints messages per second. */
#include <atomic>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace ipc = boost::interprocess;

static const uint64_t last = UINT64_MAX;
static const int most = 8;

struct board {
	std::atomic<int> arrived, stop;
	struct {
		alignas(64) long messages;
		long long at; /* when a sender began, or a receiver ended */
	} sender[most], receiver[most];
};

static long long now() {
	timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* meet lets others run meanwhile: there may be more processes than processors. */
static void meet(board *b, int n) {
	for (b->arrived++; b->arrived < n;) usleep(100);
}

static void send(board *b, int me, ipc::message_queue &q, std::vector<uint64_t> message) {
	b->sender[me].at = now();
	for (uint64_t n = 0; message[0] != last; n++) {
		message[0] = b->stop.load(std::memory_order_relaxed) ? last : n;
		q.send(message.data(), message.size() * 8, 0);
	}
}

static void receive(board *b, int me, ipc::message_queue &q, std::vector<uint64_t> message) {
	ipc::message_queue::size_type size;
	unsigned priority;
	long n = 0;
	for (; message[0] != last; n++) q.receive(message.data(), message.size() * 8, size, priority);
	b->receiver[me].at = now();
	b->receiver[me].messages = n - 1;
}

int main(int argc, char **argv) {
	if (argc != 5) return 2;
	size_t size = atol(argv[1]), capacity = atol(argv[2]);
	int pairs = atoi(argv[3]);
	if (pairs < 1 || pairs > most) return 2;
	void *p = mmap(NULL, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) return 1;
	board *b = new (p) board();
	std::string name = "multiproc-bench-" + std::to_string(getpid());
	ipc::message_queue q(ipc::create_only, name.c_str(), capacity, size);
	ipc::message_queue::remove(name.c_str()); /* the children inherit the mapping */
	for (int i = 0; i < 2 * pairs; i++) {
		pid_t pid = fork();
		if (pid < 0) return 1;
		if (pid > 0) continue;
		std::vector<uint64_t> message(size / 8);
		meet(b, 2 * pairs);
		if (i < pairs)
			send(b, i, q, message);
		else
			receive(b, i - pairs, q, message);
		_exit(0);
	}
	usleep(atoi(argv[4]) * 1000);
	b->stop = 1;
	for (int i = 0, status; i < 2 * pairs; i++)
		if (wait(&status) < 0 || status != 0) {
			fprintf(stderr, "a child failed\n");
			return 1;
		}
	long messages = 0;
	long long begin = b->sender[0].at, end = 0;
	for (int i = 0; i < pairs; i++) {
		messages += b->receiver[i].messages;
		if (b->sender[i].at < begin) begin = b->sender[i].at;
		if (b->receiver[i].at > end) end = b->receiver[i].at;
	}
	printf("%f\n", messages / ((end - begin) / 1e9));
	return 0;
}
