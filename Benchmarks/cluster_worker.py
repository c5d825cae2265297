"""One host's hands in Benchmarks/cluster.py: does what it is told in a directory of the shared filesystem.

  cluster_worker.py DIRECTORY TURN_FD

A command for each line of the input, as JSON: [name, arguments...]; a line with the answer for each. TURN_FD is a socket
to the other host's worker, by which turns are passed.
"""
import fcntl
import json
import os
import sys
import time

turn = None
stale_reads = [0]


def timed(body):
    start = time.monotonic()
    body()
    return time.monotonic() - start


def pass_turns(count, first, body):
    """Each does `body(number of the turn)` in its turn; seconds from the first turn to the last."""
    def run():
        for index in range(count):
            if not first:
                os.read(turn, 1)
            body(2 * index + (0 if first else 1))
            os.write(turn, b".")
            if first:
                os.read(turn, 1)
    return timed(run)


def nothing(count, first):
    """The turns alone."""
    return pass_turns(count, first, lambda number: None)


def turns(path, count, first):
    """Strict turns on one file: each reads what the other wrote last, and writes the next number."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def body(number):
        found = os.pread(file, 8, 0)
        if number and int.from_bytes(found, "big") != number:
            stale_reads[0] += 1
        os.pwrite(file, (number + 1).to_bytes(8, "big"), 0)
    try:
        return pass_turns(count, first, body)
    finally:
        os.close(file)


def stale():
    """Turns that did not see what the other host had written before."""
    return stale_reads[0]


def flock(path, count, first):
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def body(number):
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.flock(file, fcntl.LOCK_UN)
    try:
        return pass_turns(count, first, body)
    finally:
        os.close(file)


def create(folder, count, prefix, byte_count=1024, synced=False):
    os.makedirs(folder, exist_ok=True)
    data = b"x" * byte_count

    def body():
        for index in range(count):
            file = os.open("%s/%s%d" % (folder, prefix, index), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(file, data)
            if synced:
                os.fsync(file)
            os.close(file)
    return timed(body)


def stat(folder, count, prefix):
    return timed(lambda: [os.stat("%s/%s%d" % (folder, prefix, index)) for index in range(count)])


def rename(folder, count, prefix):
    return timed(lambda: [os.rename("%s/%s%d" % (folder, prefix, index), "%s/%s-%d" % (folder, prefix, index))
                          for index in range(count)])


def unlink(folder, count, prefix):
    return timed(lambda: [os.unlink("%s/%s-%d" % (folder, prefix, index)) for index in range(count)])


def read(folder, count, prefix, byte_count=1024):
    def body():
        for index in range(count):
            with open("%s/%s%d" % (folder, prefix, index), "rb", buffering=0) as file:
                if len(file.read()) != byte_count:
                    sys.exit("%s%d is short" % (prefix, index))
    return timed(body)


def synced_write(path, count):
    """4 KiB each, fsync after each."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def body():
        for index in range(count):
            os.pwrite(file, b"y" * 4096, 4096 * (index % 64))
            os.fsync(file)
    try:
        return timed(body)
    finally:
        os.close(file)


def main():
    global turn
    os.chdir(sys.argv[1])
    turn = int(sys.argv[2])
    commands = {f.__name__: f for f in (nothing, turns, stale, flock, create, stat, rename, unlink, read, synced_write)}
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(commands[name](*arguments)), flush=True)


main()
