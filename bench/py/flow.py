"""flow.py KIND SIZE MS: messages per second from one process to another through
a multiprocessing Queue, SimpleQueue or Pipe, for MS milliseconds. SIZE 8 is an
int, others are bytes."""

import multiprocessing
import sys
import time


def ends(kind):
    """The functions that put and get."""
    if kind == "Pipe":
        get, put = multiprocessing.Pipe(duplex=False)
        return put.send, get.recv
    q = {"Queue": lambda: multiprocessing.Queue(1024), "SimpleQueue": multiprocessing.SimpleQueue}[kind]()
    return q.put, q.get


def produce(put, message, ns, began):
    began.value = begin = time.monotonic_ns()
    while time.monotonic_ns() - begin < ns:
        for _ in range(64):
            put(message)
    put(None)


def main(kind, size, ms):
    put, get = ends(kind)
    began = multiprocessing.RawValue("q")
    message = 7 if size == 8 else bytes(size)
    p = multiprocessing.Process(target=produce, args=(put, message, ms * 1_000_000, began))
    p.start()
    n = 0
    while get() is not None:
        n += 1
    print(n / ((time.monotonic_ns() - began.value) / 1e9))
    p.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
