"""What main.go beside it does, in Python. It prints the same: python3 before.py"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import Array, Pipe, Pool, Process, Queue, Value, set_start_method


def greet(name):
    print("hello,", name, flush=True)


def process():
    p = Process(target=greet, args=("Ada",))
    p.start()
    p.join()
    print("exit code", p.exitcode, flush=True)


def count(counter, times):
    for _ in range(times):
        with counter.get_lock():
            counter.value += 1


def value():
    counter = Value("q", 0)
    processes = [Process(target=count, args=(counter, 1000)) for _ in range(4)]
    for p in processes:
        p.start()
    for p in processes:
        p.join()
    print(counter.value, flush=True)


def square_all(numbers):
    with numbers.get_lock():
        for i in range(len(numbers)):
            numbers[i] **= 2


def array():
    numbers = Array("i", [2, 3, 6, 7])
    p = Process(target=square_all, args=(numbers,))
    p.start()
    p.join()
    print(numbers[:], numbers[-1], numbers[::-1], flush=True)


def produce(queue, n):
    for i in range(n):
        queue.put(i)
    queue.put(None)


def queue():
    q = Queue()
    p = Process(target=produce, args=(q, 5))
    p.start()
    print(sum(iter(q.get, None)), flush=True)
    p.join()


def answer(conn):
    try:
        while True:
            conn.send(conn.recv().upper())
    except EOFError:
        pass


def pipe():
    ours, theirs = Pipe()
    p = Process(target=answer, args=(theirs,))
    p.start()
    theirs.close()
    ours.send("is anybody there?")
    print(ours.recv(), flush=True)
    ours.close()
    p.join()


def square(x):
    return x * x


def pool():
    with Pool(2) as p:
        print(p.map(square, range(5)), flush=True)
        print(sum(p.imap_unordered(square, range(5))), flush=True)
        print(p.apply_async(square, (7,)).get(timeout=60), flush=True)


def executor():
    with ProcessPoolExecutor(2) as e:
        futures = [e.submit(square, x) for x in range(5)]
        print(sum(f.result() for f in as_completed(futures)), flush=True)


def fail(x):
    raise ValueError(f"{x} is too small")


def error():
    with Pool(1) as p:
        try:
            p.apply(fail, (3,))
        except ValueError as e:
            print("failed:", e, flush=True)


if __name__ == "__main__":
    set_start_method("spawn")  # with fork, pipe() would wait for ever
    process()
    value()
    array()
    queue()
    pipe()
    pool()
    executor()
    error()
