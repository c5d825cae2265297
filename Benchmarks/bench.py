#!/usr/bin/env python3
"""The replicated volume beside its floors, in one run. Called by scripts/bench; needs root.

  bench.py [--seconds N] [--rounds N] [--size MIB] [--medium disk|memory]... [--json FILE]

Two daemons in two network namespaces, protocol C, both connected; fio talks to one of them through NBD. Floors, taken
in the same run on the same medium: the pattern on the plain backing file with O_DIRECT, a request and its answer over
TCP between the same namespaces, nbdkit's file plugin. Floor and volume take turns, round by round, and what is compared is
the median of the rounds' ratios: the speed of a shared machine drifts. Only ratios are worth comparing between runs and
machines, and only those of a machine that does nothing else.
"""
import argparse
import datetime
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BINARIES = os.path.join(TOP, ".build", "release")
PING_PONG = os.path.join(HERE, ".build", "release", "tcp-ping-pong")
SPACES = {"bench-a": "10.98.0.1", "bench-b": "10.98.0.2"}
# Of the kernel's own algorithms the one that every kernel has and that sends without pauses. A host's default may be
# bbr, whose timers for each packet cost the sender of the data almost as much processor time as all else together.
CONGESTION_CONTROL = "reno"


def run(*words, check=True, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **options)
    if check and done.returncode:
        sys.exit("%s: exit %d\n%s%s" % (" ".join(map(str, words)), done.returncode, done.stdout, done.stderr))
    return done


def inside(space, *words):
    return ["ip", "netns", "exec", space, *map(str, words)]


def network():
    for space in SPACES:
        run("ip", "netns", "add", space)
    run("ip", "link", "add", "eth0", "netns", "bench-a", "type", "veth", "peer", "name", "eth0", "netns", "bench-b")
    for space, address in SPACES.items():
        run(*inside(space, "sysctl", "-q", "net.ipv4.tcp_congestion_control=" + CONGESTION_CONTROL))
        for words in (("link", "set", "lo", "up"), ("addr", "add", address + "/24", "dev", "eth0"),
                      ("link", "set", "eth0", "up")):
            run(*inside(space, "ip", *words))


def processor_time():
    """Seconds that all processors of the machine have worked."""
    with open("/proc/stat") as stat:
        user, nice, system, idle, wait, *others = map(int, stat.readline().split()[1:9])
    return (user + nice + system + sum(others[:2])) / os.sysconf("SC_CLK_TCK")


def fio(seconds, **job):
    """One fio job; returns (operations/s, MiB/s, median latency in microseconds, processor seconds for each MiB)."""
    words = ["fio", "--name=j", "--output-format=json", "--time_based", "--runtime=%d" % seconds, "--randrepeat=1",
             "--direct=1", "--lat_percentiles=1"]
    words += ["--%s=%s" % (name, value) for name, value in job.items()]
    before = processor_time()
    output = run(*words).stdout
    worked = processor_time() - before
    # The nbd engine prints a line of its own ahead of the JSON.
    result = json.loads(output[output.index("{"):])["jobs"][0]
    side = result["read" if job["rw"] in ("read", "randread") else "write"]
    # From the submission on: a server that preempts fio may be done before fio counts the request as submitted.
    mebibytes = side["bw_bytes"] / 1048576
    return (side["iops"], mebibytes, side["lat_ns"]["percentile"]["50.000000"] / 1000,
            worked / max(1, side["io_bytes"] / 1048576))


PATTERNS = {
    "4 KiB random write, depth 1": dict(rw="randwrite", bs="4k", iodepth=1),
    "4 KiB random write, depth 32": dict(rw="randwrite", bs="4k", iodepth=32),
    "128 KiB sequential write": dict(rw="write", bs="128k", iodepth=16),
    "128 KiB sequential read": dict(rw="read", bs="128k", iodepth=16),
}


class Bench:
    def __init__(self, medium, seconds, size, rounds):
        self.medium, self.seconds, self.size, self.rounds = medium, seconds, size, rounds
        base = "/dev/shm" if medium == "memory" else os.environ.get("TMPDIR", "/var/tmp")
        self.folder = tempfile.mkdtemp(prefix="yoke-bench-", dir=base)
        self.daemons = {}
        self.result = {"medium": medium}

    def preallocated(self, name):
        path = os.path.join(self.folder, name)
        # Written once, so that no pattern pays for the allocation of blocks.
        run("dd", "if=/dev/zero", "of=" + path, "bs=1M", "count=%d" % self.size, "conv=fsync")
        return path

    def file_floor(self, pattern):
        return fio(self.seconds, filename=self.floor_file, ioengine="io_uring", **PATTERNS[pattern])

    def nbdkit_floor(self, pattern):
        socket = os.path.join(self.folder, "floor.sock")
        server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "file", self.floor_file])
        try:
            while not os.path.exists(socket):
                time.sleep(0.01)
            return fio(self.seconds, ioengine="nbd", uri="nbd+unix:///?socket=" + socket, size="%dM" % self.size,
                       **PATTERNS[pattern])
        finally:
            server.terminate()
            server.wait()
            os.unlink(socket)

    def network_floor(self):
        server = subprocess.Popen(inside("bench-b", PING_PONG, "serve", SPACES["bench-b"], 9911))
        try:
            time.sleep(0.3)
            call = lambda *w: run(*inside("bench-a", PING_PONG, *w)).stdout.split()
            # A 4 KiB write and its acknowledgement on the wire.
            median, high, mean = map(float, call("call", SPACES["bench-b"], 9911, 16 + 24 + 4096, 40, 20000))
            before = processor_time()
            stream = float(call("stream", SPACES["bench-b"], 9911, 2000)[0])
            cost = (processor_time() - before) / 2000
            return {"round trip, microseconds": median, "stream, MiB/s": stream, "stream, processor seconds": cost}
        finally:
            server.terminate()
            server.wait()

    def start(self):
        for space in SPACES:
            root = os.path.join(self.folder, space)
            os.makedirs(root + "/etc")
            self.preallocated(space + ".img")
        hosts = "\n".join(
            "on %s { device /dev/drbd0; disk %s; address %s:7789; meta-disk internal; }" % (
                space, os.path.join(self.folder, space + ".img"), address) for space, address in SPACES.items())
        for space in SPACES:
            with open(os.path.join(self.folder, space, "etc/drbd.conf"), "w") as out:
                out.write("global { usage-count no; }\nresource r0 {\n net { protocol C; allow-two-primaries yes; }\n"
                          " disk { resync-rate 4096M; c-plan-ahead 0; c-min-rate 0; al-extents 6007; }\n%s\n}\n" % hosts)
            log = open(os.path.join(self.folder, space + ".log"), "wb")
            self.daemons[space] = subprocess.Popen(
                inside(space, BINARIES + "/yoked", "--root", os.path.join(self.folder, space), "--node", space,
                       "--no-start"), stdout=log, stderr=log)
        for space in SPACES:
            self.until(lambda: os.path.exists(os.path.join(self.folder, space, "run/yoke/yoked.sock")))
            self.yoke(space, "drbdadm", "--", "--force", "create-md", "r0")
            self.yoke(space, "drbdadm", "up", "r0")
        self.until(lambda: self.state("bench-a").startswith("Connected"))

    def yoke(self, space, *words, check=True):
        return run(*inside(space, BINARIES + "/yoke", "--root", os.path.join(self.folder, space), "--node", space,
                           *words), check=check).stdout

    def state(self, space):
        match = re.search(r"cs:(\S+) ro:(\S+) ds:(\S+)", self.yoke(space, "proc-drbd", check=False))
        return " ".join(match.groups()) if match else ""

    def until(self, condition, seconds=300):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit("waited %d s in vain; states %r" % (seconds, [self.state(s) for s in SPACES]))
            time.sleep(0.05)

    def synced(self):
        return all(self.state(s).startswith("Connected") and self.state(s).endswith("UpToDate/UpToDate")
                   for s in SPACES)

    def resync(self, space, *words):
        """MiB/s of the resync of everything that a command causes, by the times in the target's log."""
        def times(text):
            with open(os.path.join(self.folder, "bench-b.log")) as log:
                return [datetime.datetime.fromisoformat(line.split()[0]) for line in log if text in line]
        count = len(times("Resync done"))
        self.yoke(space, "drbdadm", *words, "r0")
        self.until(lambda: len(times("Resync done")) > count and self.synced())
        took = times("Resync done")[-1] - times("Began resync as SyncTarget")[-1]
        return self.size / took.total_seconds()

    def volume(self, pattern):
        uri = "nbd+unix:///r0?socket=" + os.path.join(self.folder, "bench-a/run/yoke/r0.0.nbd")
        return fio(self.seconds, ioengine="nbd", uri=uri, size="%dM" % (self.size - 2), **PATTERNS[pattern])

    def process(self, space):
        """The daemon itself: `ip netns exec` has become it."""
        return self.daemons[space].pid

    def idle(self):
        def ticks():
            total = 0
            for space in SPACES:
                with open("/proc/%d/stat" % self.process(space)) as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
            return total
        before, start = ticks(), time.monotonic()
        time.sleep(10)
        return 100 * (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - start) / len(SPACES)

    def memory(self):
        peaks = []
        for space in SPACES:
            with open("/proc/%d/status" % self.process(space)) as status:
                peaks.append(int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024)
        return max(peaks)

    def close(self):
        for daemon in self.daemons.values():
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def measure(self):
        say = lambda text: print("  ... " + text, file=sys.stderr, flush=True)
        self.floor_file = self.preallocated("floor.img")
        self.start()
        say("first sync")
        resyncs = [self.resync("bench-a", "primary", "--force")]
        resyncs += [self.resync("bench-a", "invalidate-remote") for _ in range(self.rounds - 1)]
        rounds = []
        for number in range(self.rounds):
            taken = {"network": self.network_floor(), "patterns": {}}
            for pattern in PATTERNS:
                say("round %d of %d: %s" % (number + 1, self.rounds, pattern))
                taken["patterns"][pattern] = {"file": self.file_floor(pattern), "nbdkit": self.nbdkit_floor(pattern),
                                              "volume": self.volume(pattern)}
            rounds.append(taken)
        say("idle")
        return report(self.medium, self.size, rounds, resyncs, self.idle(), self.memory())


def report(medium, size, rounds, resyncs, idle, memory):
    middle = lambda values: statistics.median(list(values))
    link = middle(r["network"]["stream, MiB/s"] for r in rounds)
    trip = middle(r["network"]["round trip, microseconds"] for r in rounds)
    print("\nBacking files in %s, %d MiB, %d rounds, medians. Floors: the same pattern on the file (O_DIRECT), through\n"
          "nbdkit's file plugin, and TCP (%s) between the namespaces: %.1f microseconds for a 4 KiB request and its\n"
          "answer, %.0f MiB/s one way." % (medium, size, len(rounds), CONGESTION_CONTROL, trip, link))
    print("%-30s %12s %12s %12s %10s %10s" % ("", "file", "nbdkit", "volume", "to file", "to nbdkit"))
    checks = []

    def figure(name, who, unit):
        return [r["patterns"][name][who][unit] for r in rounds]

    def ratio(over, under):
        return middle(a / b for a, b in zip(over, under))

    for name in PATTERNS:
        unit = 0 if "4 KiB" in name else 1
        plain, nbdkit, volume = (figure(name, who, unit) for who in ("file", "nbdkit", "volume"))
        print("%-30s %12.0f %12.0f %12.0f %10.2f %10.2f  %s" % (
            name, middle(plain), middle(nbdkit), middle(volume), ratio(volume, plain), ratio(volume, nbdkit),
            "operations/s" if unit == 0 else "MiB/s"))
    one = "4 KiB random write, depth 1"
    limits = []
    for r in rounds:
        local = r["patterns"][one]["file"][2]
        nbd = max(0.0, r["patterns"][one]["nbdkit"][2] - local)
        limits.append(local + r["network"]["round trip, microseconds"] + nbd + 50)
    latency = figure(one, "volume", 2)
    checks.append(("depth 1: median %.0f microseconds to local write + round trip + NBD + 50 = %.0f"
                   % (middle(latency), middle(limits)), ratio(latency, limits), 1, "<="))
    links = [r["network"]["stream, MiB/s"] for r in rounds]
    writes = [min(pair) for pair in zip(figure("128 KiB sequential write", "nbdkit", 1), links)]
    # What a machine whose processors do nothing but the floors' own work would reach: NBD and the file as nbdkit does
    # it, the data once over the link, and once more into a file.
    write = "128 KiB sequential write"
    costs = [nbdkit + r["network"]["stream, processor seconds"] + file for r, nbdkit, file in
             zip(rounds, figure(write, "nbdkit", 3), figure(write, "file", 3))]
    checks.append(("128 KiB sequential write to %d processors that only do nbdkit's work, TCP's and a second file's:"
                   " %.0f MiB/s" % (os.cpu_count(), middle(os.cpu_count() / cost for cost in costs)),
                   ratio(figure(write, "volume", 1), [os.cpu_count() / cost for cost in costs]), None, ""))
    reads = figure("128 KiB sequential read", "nbdkit", 1)
    checks.append(("128 KiB sequential write to the slower of nbdkit and the link",
                   ratio(figure("128 KiB sequential write", "volume", 1), writes), 0.8, ">="))
    checks.append(("128 KiB sequential read to nbdkit",
                   ratio(figure("128 KiB sequential read", "volume", 1), reads), 0.8, ">="))
    checks.append(("resync %.0f MiB/s to the slower of nbdkit's write and the link" % middle(resyncs),
                   middle(resyncs) / middle(writes), 0.8, ">="))
    checks.append(("idle CPU, % of one core and daemon", idle, 1, "<="))
    checks.append(("memory, MiB at the peak", memory, 64 + size / 32768, "<="))
    for text, value, target, sign in checks:
        if target is None:
            print("%-9s %s: %.2f" % ("", text, value))
            continue
        met = value <= target if sign == "<=" else value >= target
        print("%-9s %s: %.2f (target %s %.2f)" % ("reached" if met else "MISSED", text, value, sign, target))
    return {"medium": medium, "rounds": rounds, "resyncs": resyncs, "idle": idle, "memory": memory, "checks": checks}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=2, help="length of each pattern")
    parser.add_argument("--rounds", type=int, default=3, help="how often floors and volume take turns")
    parser.add_argument("--size", type=int, default=1024, help="MiB of each backing file")
    parser.add_argument("--medium", action="append", choices=("disk", "memory"))
    parser.add_argument("--json")
    options = parser.parse_args()
    results = []
    network()
    try:
        for medium in options.medium or ["memory", "disk"]:
            bench = Bench(medium, options.seconds, options.size, options.rounds)
            try:
                results.append(bench.measure())
            finally:
                bench.close()
    finally:
        for space in SPACES:
            run("ip", "netns", "del", space, check=False)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(results, out, indent=1)


if __name__ == "__main__":
    main()
