#!/usr/bin/env python3
"""The replicated volume beside its floors, in one run. Called by scripts/bench; needs root.

  bench.py [--seconds N] [--size MIB] [--medium disk|memory]... [--json FILE]

Two daemons in two network namespaces, protocol C, both connected; fio talks to one of them through NBD. Floors, taken in
the same run on the same medium: the pattern on the plain backing file with O_DIRECT, a request and its answer over TCP
between the same namespaces, nbdkit's file plugin. Only ratios are worth comparing between runs and machines.
"""
import argparse
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
        for words in (("link", "set", "lo", "up"), ("addr", "add", address + "/24", "dev", "eth0"),
                      ("link", "set", "eth0", "up")):
            run(*inside(space, "ip", *words))


def fio(seconds, **job):
    """One fio job; returns (operations/s, MiB/s, median latency in microseconds)."""
    words = ["fio", "--name=j", "--output-format=json", "--time_based", "--runtime=%d" % seconds, "--randrepeat=1",
             "--direct=1"]
    words += ["--%s=%s" % (name, value) for name, value in job.items()]
    output = run(*words).stdout
    # The nbd engine prints a line of its own ahead of the JSON.
    result = json.loads(output[output.index("{"):])["jobs"][0]
    side = result["read" if job["rw"] in ("read", "randread") else "write"]
    return side["iops"], side["bw_bytes"] / 1048576, side["clat_ns"]["percentile"]["50.000000"] / 1000


PATTERNS = {
    "4 KiB random write, depth 1": dict(rw="randwrite", bs="4k", iodepth=1),
    "4 KiB random write, depth 32": dict(rw="randwrite", bs="4k", iodepth=32),
    "128 KiB sequential write": dict(rw="write", bs="128k", iodepth=16),
    "128 KiB sequential read": dict(rw="read", bs="128k", iodepth=16),
}


class Bench:
    def __init__(self, medium, seconds, size):
        self.medium, self.seconds, self.size = medium, seconds, size
        base = "/dev/shm" if medium == "memory" else os.environ.get("TMPDIR", "/var/tmp")
        self.folder = tempfile.mkdtemp(prefix="yoke-bench-", dir=base)
        self.daemons = {}
        self.result = {"medium": medium}

    def preallocated(self, name):
        path = os.path.join(self.folder, name)
        # Written once, so that no pattern pays for the allocation of blocks.
        run("dd", "if=/dev/zero", "of=" + path, "bs=1M", "count=%d" % self.size, "conv=fsync")
        return path

    def file_floor(self):
        path = self.preallocated("floor.img")
        return {name: fio(self.seconds, filename=path, ioengine="io_uring", **job) for name, job in PATTERNS.items()}

    def nbdkit_floor(self):
        path, socket = os.path.join(self.folder, "floor.img"), os.path.join(self.folder, "nbdkit.sock")
        server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "file", path])
        try:
            while not os.path.exists(socket):
                time.sleep(0.01)
            return {name: fio(self.seconds, ioengine="nbd", uri="nbd+unix:///?socket=" + socket, size="%dM" % self.size,
                              **job) for name, job in PATTERNS.items()}
        finally:
            server.terminate()
            server.wait()

    def network_floor(self):
        server = subprocess.Popen(inside("bench-b", PING_PONG, "serve", SPACES["bench-b"], 9911))
        try:
            time.sleep(0.3)
            call = lambda *w: run(*inside("bench-a", PING_PONG, *w)).stdout.split()
            # A 4 KiB write and its acknowledgement on the wire.
            median, high, mean = map(float, call("call", SPACES["bench-b"], 9911, 16 + 24 + 4096, 40, 20000))
            stream = float(call("stream", SPACES["bench-b"], 9911, 2000)[0])
            return {"round trip, microseconds": median, "stream, MiB/s": stream}
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

    def first_sync(self):
        start = time.monotonic()
        self.yoke("bench-a", "drbdadm", "primary", "--force", "r0")
        self.until(self.synced)
        return self.size / (time.monotonic() - start)

    def volume(self):
        uri = "nbd+unix:///r0?socket=" + os.path.join(self.folder, "bench-a/run/yoke/r0.0.nbd")
        return {name: fio(self.seconds, ioengine="nbd", uri=uri, size="%dM" % (self.size - 2), **job)
                for name, job in PATTERNS.items()}

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
        say("floors: backing file"); plain = self.file_floor()
        say("floors: nbdkit"); nbdkit = self.nbdkit_floor()
        say("floors: network"); net = self.network_floor()
        os.unlink(os.path.join(self.folder, "floor.img"))
        self.start()
        say("first sync"); resync = self.first_sync()
        say("the volume"); volume = self.volume()
        say("idle"); idle = self.idle()
        return report(self.medium, self.size, plain, nbdkit, net, resync, volume, idle, self.memory())


def report(medium, size, plain, nbdkit, net, resync, volume, idle, memory):
    print("\nBacking files in %s, %d MiB. Floors: the same pattern on the file (O_DIRECT), through nbdkit's file plugin,\n"
          "and TCP between the namespaces: %.1f microseconds for a 4 KiB request and its answer, %.0f MiB/s one way."
          % (medium, size, net["round trip, microseconds"], net["stream, MiB/s"]))
    print("%-30s %12s %12s %12s %10s %10s" % ("", "file", "nbdkit", "volume", "to file", "to nbdkit"))
    checks = []
    for name in PATTERNS:
        unit = 0 if "4 KiB" in name else 1
        a, b, c = plain[name][unit], nbdkit[name][unit], volume[name][unit]
        print("%-30s %12.0f %12.0f %12.0f %10.2f %10.2f  %s" % (
            name, a, b, c, c / a, c / b, "operations/s" if unit == 0 else "MiB/s"))
    one = "4 KiB random write, depth 1"
    local, nbd = plain[one][2], max(0.0, nbdkit[one][2] - plain[one][2])
    limit = local + net["round trip, microseconds"] + nbd + 50
    checks.append(("depth 1: median %.0f microseconds; local write %.0f + round trip %.0f + NBD %.0f + 50"
                   % (volume[one][2], local, net["round trip, microseconds"], nbd), volume[one][2] / limit, 1, "<="))
    for name in ("128 KiB sequential write", "128 KiB sequential read"):
        slower = min(nbdkit[name][1], net["stream, MiB/s"]) if "write" in name else nbdkit[name][1]
        checks.append((name + " to the slower of nbdkit and the link", volume[name][1] / slower, 0.8, ">="))
    write_floor = min(plain["128 KiB sequential write"][1], net["stream, MiB/s"])
    checks.append(("resync %.0f MiB/s to the slower of file write and link" % resync, resync / write_floor, 0.8, ">="))
    checks.append(("idle CPU, % of one core and daemon", idle, 1, "<="))
    checks.append(("memory, MiB at the peak", memory, 64 + size / 32768, "<="))
    for text, value, target, sign in checks:
        met = value <= target if sign == "<=" else value >= target
        print("%-9s %s: %.2f (target %s %.2f)" % ("reached" if met else "MISSED", text, value, sign, target))
    return {"medium": medium, "file": plain, "nbdkit": nbdkit, "network": net, "volume": volume, "resync": resync,
            "idle": idle, "memory": memory, "checks": checks}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="length of each pattern")
    parser.add_argument("--size", type=int, default=1024, help="MiB of each backing file")
    parser.add_argument("--medium", action="append", choices=("disk", "memory"))
    parser.add_argument("--json")
    options = parser.parse_args()
    results = []
    network()
    try:
        for medium in options.medium or ["memory", "disk"]:
            bench = Bench(medium, options.seconds, options.size)
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
