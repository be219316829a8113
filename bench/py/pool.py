"""pool.py WHAT ARGUMENTS: how fast a pool of two processes is.

map CHUNK N, imap CHUNK N, unordered CHUNK N: tasks per second, of N that do
nothing; CHUNK 0 is the default of map.
apply N, executor N: microseconds of one task that does nothing, and its result.
first METHOD: microseconds from the making of a pool to its first result, by one
of Python's start methods.
argument N, result N: GiB per second of 10 MiB, N times; shared N: of 10 MiB that
a worker writes into a shared array."""

import concurrent.futures
import multiprocessing
import sys
import time

SIZE = 10 << 20
data = bytes(SIZE)
array = None


def same(x):
    return x


def length(x):
    return len(x)


def make(_):
    return data


def fill(_):
    memoryview(array).cast("B")[:] = data


def attach(a):
    global array
    array = a


def seconds(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def each(n, run):
    """Microseconds of one run, when the workers are awake."""
    run()
    return 1e6 / n * seconds(lambda: [run() for _ in range(n)])


def stream(what, chunk, n):
    with multiprocessing.Pool(2) as pool:
        pool.map(same, range(1000))  # they run now
        if what == "map":
            return n / seconds(lambda: pool.map(same, range(n), chunk or None))
        imap = {"imap": pool.imap, "unordered": pool.imap_unordered}[what]
        return n / seconds(lambda: [None for _ in imap(same, range(n), chunk)])


def apply(n):
    with multiprocessing.Pool(2) as pool:
        pool.map(same, range(1000))
        return each(n, lambda: pool.apply(same, (7,)))


def executor(n):
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(same, range(4)))
        return each(n, lambda: pool.submit(same, 7).result())


def first(method):
    context = multiprocessing.get_context(method)
    begin = time.perf_counter()
    pool = context.Pool(2)
    pool.apply(same, (7,))
    took = time.perf_counter() - begin
    pool.terminate()
    return 1e6 * took


def large(what, n):
    shared = multiprocessing.RawArray("b", SIZE)
    with multiprocessing.Pool(2, attach, (shared,)) as pool:
        run = {
            "argument": lambda: pool.apply(length, (data,)),
            "result": lambda: pool.apply(make, (0,)),
            "shared": lambda: pool.apply(fill, (0,)),
        }[what]
        for _ in range(4):
            run()
        return SIZE / (1 << 30) / (each(n, run) / 1e6)


def main(what, *arguments):
    if what == "first":
        print(first(*arguments))
        return
    arguments = map(int, arguments)
    if what in ("map", "imap", "unordered"):
        print(stream(what, *arguments))
    elif what in ("argument", "result", "shared"):
        print(large(what, *arguments))
    else:
        print({"apply": apply, "executor": executor}[what](*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
