"""elements.py locked|raw get|set N: nanoseconds of one access to an element of a
shared array of 1000 C ints, the loop included."""

import sys
import time
from multiprocessing import Array, RawArray


def main(kind, access, n):
    a = {"locked": Array, "raw": RawArray}[kind]("i", 1000)
    passes, indexes = n // 1000, range(1000)
    begin = time.perf_counter_ns()
    if access == "get":
        for _ in range(passes):
            for i in indexes:
                a[i]
    else:
        for _ in range(passes):
            for i in indexes:
                a[i] = 7
    print((time.perf_counter_ns() - begin) / (passes * 1000))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
