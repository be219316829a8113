"""start.py METHOD N: microseconds of starting a process that does nothing and
joining it, N times, by one of Python's start methods."""

import multiprocessing
import sys
import time


def nothing():
    pass


def main(method, n):
    context = multiprocessing.get_context(method)
    for i in range(n + 1):
        begin = time.perf_counter_ns()
        p = context.Process(target=nothing)
        p.start()
        p.join()
        if i > 0:  # the first one starts the fork server too
            print((time.perf_counter_ns() - begin) / 1e3)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
