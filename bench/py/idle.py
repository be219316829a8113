"""idle.py METHOD: resident and proportional kilobytes of an idle child process,
by one of Python's start methods."""

import multiprocessing
import sys


def idle(pipe):
    pipe.send(None)
    pipe.recv()  # until the parent closes it


def main(method):
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    p = context.Process(target=idle, args=(theirs,))
    p.start()
    ours.recv()
    with open(f"/proc/{p.pid}/smaps_rollup") as f:
        kilobytes = dict(line.split()[:2] for line in f if line.endswith("kB\n"))
    print(kilobytes["Rss:"])
    print(kilobytes["Pss:"])
    ours.send(None)
    p.join()


if __name__ == "__main__":
    main(sys.argv[1])
