/* start N: microseconds of starting a process that does nothing and waiting for
 * its end, N times. The process is this program again, without arguments. */
#include "bench.h"
#include <spawn.h>

extern char **environ;

int main(int argc, char **argv) {
	if (argc != 2) return 0;
	char *nothing[] = {argv[0], NULL};
	for (int n = atoi(argv[1]); n > 0; n--) {
		pid_t pid;
		long long begin = now();
		if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, nothing, environ)) die("posix_spawn");
		reap(1);
		printf("%f\n", (now() - begin) / 1e3);
	}
	return 0;
}
