#!/usr/bin/env python3
"""The mounted filesystem beside its floors, in one run. Called by `scripts/bench filesystem`; needs root.

  filesystem.py [--rounds N] [--medium disk|memory]... [--only WORD]... [--yoke-only] [--json FILE]

Three filesystems on backing files of the same medium take turns, pattern by pattern:

  ext4       on a loop device: what the kernel can do
  through    libfuse's example passthrough_ll (cache=always) on another ext4 on a loop device: what FUSE can do
  yoke       OCFS2 on a plain file, served by yoked

What is compared is the median of the rounds' ratios: the speed of a shared machine drifts. "Cold" means: unmounted, the
kernel's caches dropped, mounted again (for `through` both layers). Each pattern is one run of Benchmarks' file-work,
which times itself, or tar.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BINARIES = os.environ.get("YOKE_BINARIES") or os.path.join(TOP, ".build", "release")
FILE_WORK = os.path.join(HERE, ".build", "release", "file-work")
EXAMPLES = "/usr/share/doc/libfuse3-dev/examples"
VOLUME_MIB = 3072
SMALL_FILES = 2000
LISTED_FILES = 10000
DATA_MIB = 256


def run(*words, check=True, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if check and done.returncode:
        sys.exit("%s: exit %d\n%s%s" % (" ".join(map(str, words)), done.returncode, done.stdout, done.stderr))
    return done


def work(fs, what, place, *words):
    """One run of file-work: seconds for one operation, and of the serving process's processor time."""
    before = fs.processor_seconds()
    count, seconds = run(FILE_WORK, what, fs.path + "/" + place, *words).stdout.split()
    return float(seconds) / int(count), (fs.processor_seconds() - before) / int(count)


def until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("waited %d s in vain: %s" % (seconds, what))
        time.sleep(0.02)


class Filesystem:
    """One contender. `path` is where the work is done."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.image = os.path.join(folder, name + ".img")
        self.path = os.path.join(folder, name)
        os.makedirs(self.path)
        # Allocated before: what is measured is no search for space on the medium.
        run("dd", "if=/dev/zero", "of=" + self.image, "bs=1M", "count=%d" % VOLUME_MIB, "status=none")

    def cold(self):
        self.unmount()
        with open("/proc/sys/vm/drop_caches", "w") as drop:
            drop.write("3\n")
        self.mount()

    def close(self):
        if os.path.ismount(self.path):
            self.unmount()

    # Of the process that serves it, if there is one.
    pid = None

    def processor_seconds(self):
        if self.pid is None:
            return 0
        # The clock of another process's processor time: clock_getcpuclockid(3).
        return time.clock_gettime(~self.pid << 3 | 2)


class Ext4(Filesystem):
    def __init__(self, folder, name="ext4"):
        super().__init__(folder, name)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)

    def mount(self):
        run("mount", "-o", "loop,noatime", self.image, self.path)

    def unmount(self):
        run("umount", self.path)


class Through(Filesystem):
    program = None

    def __init__(self, folder):
        self.below = Ext4(folder, "below")
        self.path = os.path.join(folder, "through")
        self.name = "through"
        os.makedirs(self.path)
        if Through.program is None or not os.path.exists(Through.program):
            Through.program = os.path.join(folder, "passthrough_ll")
            flags = run("pkg-config", "fuse3", "--cflags", "--libs").stdout.split()
            run("cc", "-O2", "-o", Through.program, os.path.join(EXAMPLES, "passthrough_ll.c"), *flags)

    def mount(self):
        self.below.mount()
        self.process = subprocess.Popen(
            [Through.program, "-f", "-o", "source=%s,cache=always" % self.below.path, self.path],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        until("passthrough_ll is mounted", lambda: os.path.ismount(self.path))

    def unmount(self):
        run("umount", self.path)
        self.process.wait(30)
        self.below.unmount()


class Yoke(Filesystem):
    def __init__(self, folder):
        super().__init__(folder, "yoke")
        self.root = os.path.join(folder, "root")
        os.makedirs(self.root + "/etc")
        self.yoke("mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "2", self.image, input="y\n")
        log = open(os.path.join(folder, "yoked.log"), "wb")
        self.daemon = subprocess.Popen(
            [BINARIES + "/yoked", "--root", self.root, "--node", "bench", "--no-start"], stdout=log, stderr=log)
        self.pid = self.daemon.pid
        until("yoked runs", lambda: os.path.exists(self.root + "/run/yoke/yoked.sock"))

    def yoke(self, *words, **options):
        return run(BINARIES + "/yoke", "--root", self.root, "--node", "bench", *words, **options)

    def mount(self):
        self.yoke("mount", "-o", "noatime", self.image, self.path)

    def unmount(self):
        self.yoke("umount", self.path)

    def close(self):
        super().close()
        self.daemon.terminate()
        self.daemon.wait(60)


def source_tree(folder):
    """A tar file of 3,000 files in 200 directories, 30 MiB, as sources are: many small ones. Always the same."""
    path = os.path.join(folder, "tree.tar")
    chance = random.Random(4711)
    content = bytes(chance.randrange(256) for _ in range(1 << 16))
    with open(os.path.join(folder, "content"), "wb") as out:
        out.write(content)
    with tarfile.open(path, "w") as out:
        for directory in range(200):
            info = tarfile.TarInfo("tree/part%d/dir%d" % (directory % 14, directory))
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            out.addfile(info)
            for file in range(15):
                info = tarfile.TarInfo("tree/part%d/dir%d/file%d.c" % (directory % 14, directory, file))
                info.size = min(len(content), int(chance.lognormvariate(8.6, 1.2)))
                with open(os.path.join(folder, "content"), "rb") as data:
                    out.addfile(info, data)
    return path


class Patterns:
    """Each pattern takes a mounted filesystem and answers the seconds of one operation; they run in this order."""

    def __init__(self, tar):
        self.tar = tar
        mebibyte, size = 1 << 20, DATA_MIB << 20
        small = lambda what, *more: lambda fs: work(fs, what, "small", SMALL_FILES, *more)
        listing = lambda fs: work(fs, "list", "many")
        data = lambda what, *more: lambda fs: work(fs, what, "data", *more)
        self.all = [
            ("create + write 1 KiB + close", self.before("small", small("create", 1024))),
            ("stat, warm", small("stat", 20)),
            ("stat, cold", self.cold(small("stat", 1))),
            ("open + close, warm", small("open")),
            ("rename", small("rename")),
            ("unlink", small("unlink")),
            ("ls -l of 10,000 files, cold", self.cold(self.many(listing))),
            ("ls -l of 10,000 files, warm", listing),
            ("untar 3,000 files", self.before("tree", self.untar)),
            ("1 MiB sequential write, new file", self.before("data", data("write", mebibyte, size, DATA_MIB,
                                                                           "sequential", "none"))),
            ("1 MiB sequential write, fsync at end", data("write", mebibyte, size, DATA_MIB, "sequential", "end")),
            ("4 KiB random write", data("write", 4096, size, 20000, "random", "none")),
            ("4 KiB random write, fsync each", data("write", 4096, size, 500, "random", "each")),
            ("1 MiB sequential read, cold", self.cold(data("read", mebibyte, size, DATA_MIB, "sequential"))),
            ("1 MiB sequential read, warm", data("read", mebibyte, size, DATA_MIB, "sequential")),
            ("4 KiB random read, warm", data("read", 4096, size, 200000, "random")),
            ("4 KiB random read, cold", self.cold(data("read", 4096, size, 4000, "random"))),
        ]

    @staticmethod
    def before(name, body):
        """Begins with an empty folder, or no file, of that name."""
        def measure(fs):
            path = os.path.join(fs.path, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)
            if name != "data":
                os.makedirs(path)
            os.sync()
            return body(fs)
        return measure

    @staticmethod
    def cold(body):
        def measure(fs):
            fs.cold()
            return body(fs)
        return measure

    @staticmethod
    def many(body):
        """Makes the 10,000 files when they are not there; the measuring comes after another cold start then."""
        def measure(fs):
            path = os.path.join(fs.path, "many")
            if not os.path.isdir(path):
                os.makedirs(path)
                work(fs, "create", "many", LISTED_FILES, 0)
                fs.cold()
            return body(fs)
        return measure

    def untar(self, fs):
        start, before = time.monotonic(), fs.processor_seconds()
        run("tar", "-xf", self.tar, "-C", fs.path + "/tree")
        return time.monotonic() - start, fs.processor_seconds() - before


# The targets of the project. To `through` 0.8 everywhere; what the kernel's caches answer as ext4 does, 0.9 for noise.
TO_THROUGH = 0.8
TO_NATIVE = {"stat, warm": 0.9, "1 MiB sequential read, warm": 0.9, "4 KiB random read, warm": 0.9,
             "ls -l of 10,000 files, warm": 0.9}


def rate(seconds):
    return "%.0f/s" % (1 / seconds) if seconds < 0.05 else "%.2f s" % seconds


def report(medium, rounds):
    middle = statistics.median
    print("\nBacking files in %s, %d rounds, medians. Ratios of speed: above 1 Yoke is faster. On the right: processor\n"
          "time of the serving process for one operation, in microseconds." % (medium, len(rounds)))
    print("%-38s %9s %9s %9s %8s %10s %9s %9s" % (
        "", "ext4", "through", "yoke", "to ext4", "to through", "through", "yoke"))
    result, missed = [], []
    for name in rounds[0]:
        who = [w for w in ("ext4", "through", "yoke") if w in rounds[0][name]]
        times = {w: [r[name][w][0] for r in rounds] for w in who}
        busy = {w: "%9.1f" % (1e6 * middle(r[name][w][1] for r in rounds)) for w in who}
        ratio = {w: middle(f / y for f, y in zip(times[w], times["yoke"])) for w in who}
        native, through = ratio.get("ext4", 1), ratio.get("through", 1)
        shown = [rate(middle(times[w])) if w in times else "-" for w in ("ext4", "through", "yoke")]
        is_missed = through < TO_THROUGH or native < TO_NATIVE.get(name, 0)
        print("%-38s %9s %9s %9s %8.2f %10.2f %9s %9s%s" % (
            name, *shown, native, through, busy.get("through", "-"), busy["yoke"], "  MISSED" if is_missed else ""))
        result.append({"pattern": name, "to ext4": native, "to through": through, "seconds": times})
        if is_missed:
            missed.append(name)
    print("targets (0.8 of `through`; warm stats, listings and reads as ext4): %d of %d reached"
          % (len(rounds[0]) - len(missed), len(rounds[0])))
    return {"medium": medium, "patterns": result}


def measure(medium, options):
    base = "/dev/shm" if medium == "memory" else os.environ.get("TMPDIR", "/var/tmp")
    folder = tempfile.mkdtemp(prefix="yoke-bench-", dir=base)
    made = []
    try:
        for kind in (Yoke,) if options.yoke_only else (Ext4, Through, Yoke):
            made.append(kind(folder))
            made[-1].mount()
        patterns = Patterns(source_tree(folder))
        rounds = []
        for number in range(options.rounds):
            taken = {}
            for name, body in patterns.all:
                if options.only and not any(word in name for word in options.only):
                    continue
                print("  ... %s, round %d of %d: %s" % (medium, number + 1, options.rounds, name), file=sys.stderr,
                      flush=True)
                taken[name] = {fs.name: body(fs) for fs in made}
            rounds.append(taken)
        return report(medium, rounds)
    finally:
        for fs in reversed(made):
            fs.close()
        if options.keep_log and made:
            shutil.copy(os.path.join(folder, "yoked.log"), options.keep_log)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often the three take turns")
    parser.add_argument("--medium", action="append", choices=("disk", "memory"))
    parser.add_argument("--only", action="append", help="patterns whose name holds this word; they may need others")
    parser.add_argument("--yoke-only", action="store_true", help="without the floors")
    parser.add_argument("--keep-log", metavar="FILE", help="the daemon's log")
    parser.add_argument("--json")
    options = parser.parse_args()
    results = [measure(medium, options) for medium in options.medium or ["memory", "disk"]]
    if options.json:
        with open(options.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
