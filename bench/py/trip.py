"""trip.py KIND MS: nanoseconds in which an int goes to another process and comes
back through a multiprocessing Queue, SimpleQueue or Pipe: the mean over MS
milliseconds."""

import multiprocessing
import sys
import time


def ends(kind):
    """Put and get of this side, and of the other."""
    if kind == "Pipe":
        a, b = multiprocessing.Pipe()
        return (a.send, a.recv), (b.send, b.recv)
    make = getattr(multiprocessing, kind)
    there, back = make(), make()
    return (there.put, back.get), (back.put, there.get)


def answer(put, get):
    while (n := get()) is not None:
        put(n)


def main(kind, ms):
    (put, get), theirs = ends(kind)
    p = multiprocessing.Process(target=answer, args=theirs)
    p.start()
    put(0)
    get()  # it runs now
    begin, n = time.monotonic_ns(), 0
    while time.monotonic_ns() - begin < ms * 1_000_000:
        put(n)
        get()
        n += 1
    print((time.monotonic_ns() - begin) / n)
    put(None)
    p.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
