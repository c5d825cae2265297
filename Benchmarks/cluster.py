#!/usr/bin/env python3
"""Two hosts on one volume, beside GlusterFS with two replicas, in one run. Called by scripts/bench cluster; needs root.

  cluster.py [--rounds N] [--files N] [--turns N] [--without-gluster] [--json FILE]

Both contenders have two network namespaces on one bridge, backing files in memory, and a mount on each host. They take
turns, round by round; compared are medians of the rounds' ratios. Only ratios are worth comparing between runs and
machines, and only those of a machine that does nothing else.
"""
import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Tests", "Harness"))
from cluster import mount_all, yoke_pair
from hosts import Network, refnode, run, wait_until

PING_PONG = os.path.join(HERE, ".build", "release", "tcp-ping-pong")
SIZE_MIB = 768
ADDRESSES = {"gluster1": "10.99.0.31", "gluster2": "10.99.0.32"}


class Pair:
    """Two workers, one on each host of a contender."""

    def __init__(self, places):
        """`places`: for each host the words that begin a command there, and the directory."""
        ends = socket.socketpair()
        self.workers = []
        for (words, directory), end in zip(places, ends):
            self.workers.append(subprocess.Popen(
                [*map(str, words), sys.executable, os.path.join(HERE, "cluster_worker.py"), directory,
                 str(end.fileno())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                pass_fds=[end.fileno()]))
        for end in ends:
            end.close()

    def tell(self, host, *command):
        self.workers[host].stdin.write(json.dumps(command) + "\n")
        self.workers[host].stdin.flush()

    def answer(self, host):
        line = self.workers[host].stdout.readline()
        if not line:
            sys.exit("the worker on host %d has ended: see above" % (host + 1))
        return json.loads(line)

    def one(self, host, *command):
        self.tell(host, *command)
        return self.answer(host)

    def both(self, *commands):
        """A command for each at the same time; the longer time."""
        for host, command in enumerate(commands):
            self.tell(host, *command)
        return max(self.answer(host) for host in range(2))

    def close(self):
        for worker in self.workers:
            worker.stdin.close()
            worker.wait(30)


class Yoke:
    name = "yoke"

    def __init__(self, folder):
        self.hosts = yoke_pair(folder, SIZE_MIB)
        mount_all(self.hosts)
        self.pair = Pair([(["nsenter", "-t", host.daemon.pid, "-m", "-n"], host.point) for host in self.hosts])

    def lock_messages(self):
        """Segments with data that both hosts have sent on the cluster's connection."""
        text = "".join(run(*host.inside("ss", "-tinH", "state", "established",
                                        "( sport = :7777 or dport = :7777 )")).stdout for host in self.hosts)
        return sum(map(int, re.findall(r"data_segs_out:(\d+)", text)))

    def round_trip(self):
        """Microseconds of a request and its answer over TCP between the hosts."""
        one, two = self.hosts
        server = subprocess.Popen(two.inside(PING_PONG, "serve", two.address, 9911))
        try:
            time.sleep(0.3)
            return float(run(*one.inside(PING_PONG, "call", two.address, 9911, 112, 40, 20000)).stdout.split()[0])
        finally:
            server.terminate()
            server.wait()

    def close(self):
        self.pair.close()
        for host in self.hosts:
            host.umount(check=False)
            host.close()


class Gluster:
    """Two glusterd in namespaces with folders of their own."""
    name = "gluster"

    def __init__(self, folder):
        self.folder, self.holders, self.mounted = folder, {}, []
        for name, address in ADDRESSES.items():
            refnode("host", name, address)
            image = os.path.join(folder, name + ".img")
            with open(image, "wb") as out:
                out.truncate(SIZE_MIB << 20)
            run("mkfs.ext4", "-q", "-F", image)
            script = ["mount --make-rprivate /"]
            for place in ("/var/lib/glusterd", "/var/log/glusterfs", "/run"):
                os.makedirs(place, exist_ok=True)
                script.append("mount -t tmpfs none " + place)
            script.append("mkdir /run/gluster")
            brick, point = (os.path.join(folder, name + word) for word in ("-brick", "-mnt"))
            os.makedirs(brick)
            os.makedirs(point)
            script += ["mount -o loop %s %s" % (image, brick), "mkdir %s/data" % brick, "exec glusterd -N -L WARNING"]
            self.holders[name] = subprocess.Popen(
                ["ip", "netns", "exec", name, "unshare", "-m", "sh", "-ec", "\n".join(script)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        one, two = ADDRESSES
        wait_until("glusterd runs", lambda: self.sh(one, "gluster pool list", False).returncode == 0
                   and self.sh(two, "gluster pool list", False).returncode == 0, 60)
        self.sh(one, "gluster peer probe " + ADDRESSES[two])
        wait_until("the peers know each other", lambda: "Connected" in self.sh(
            one, "gluster peer status").stdout and "Connected" in self.sh(two, "gluster peer status").stdout, 60)
        self.sh(one, "gluster --mode=script volume create shared replica 2 %s force" % " ".join(
            "%s:%s/%s-brick/data" % (address, folder, name) for name, address in ADDRESSES.items()))
        self.sh(one, "gluster --mode=script volume start shared")
        for name, address in ADDRESSES.items():
            point = os.path.join(folder, name + "-mnt")
            wait_until("gluster is mounted on " + name, lambda: self.sh(
                name, "mountpoint -q %s || mount -t glusterfs %s:/shared %s; mountpoint -q %s" % (
                    point, address, point, point), False).returncode == 0, 60)
        self.pair = Pair([(self.words(name), os.path.join(folder, name + "-mnt")) for name in ADDRESSES])

    def words(self, name):
        return ["nsenter", "-t", self.holders[name].pid, "-m", "-n"]

    def sh(self, name, script, check=True):
        return run(*self.words(name), "sh", "-c", script, check=check, timeout=120)

    def close(self):
        self.pair.close()
        for name in ADDRESSES:
            self.sh(name, "umount %s/%s-mnt" % (self.folder, name), False)
        self.sh("gluster1", "gluster --mode=script volume stop shared force", False)
        for name, holder in self.holders.items():
            self.sh(name, "umount -l %s/%s-brick" % (self.folder, name), False)
            # Bricks and helpers of this glusterd: what runs in its network namespace.
            for pid in run("ip", "netns", "pids", name).stdout.split():
                if int(pid) != holder.pid:
                    run("kill", pid, check=False)
            holder.terminate()
            holder.wait(30)


def measure(contender, tag, files, turns):
    """Operations per second by pattern."""
    pair, rates = contender.pair, {}

    def rate(name, count, seconds):
        rates[name] = count / seconds

    path = "turns-%s" % tag
    pair.one(0, "create", ".", 1, path, 8)
    rate("turns on one file", 2 * turns, pair.both(("turns", path + "0", turns, True),
                                                   ("turns", path + "0", turns, False)))
    rates["(stale reads)"] = (pair.one(0, "stale") + pair.one(1, "stale")) / (2 * turns)
    rate("turns with flock", 2 * turns, pair.both(("flock", path + "0", turns, True),
                                                  ("flock", path + "0", turns, False)))
    rates["(turns alone)"] = 2 * turns / pair.both(("nothing", turns, True), ("nothing", turns, False))
    folder = "one-" + tag
    for name in ("create", "stat", "rename", "unlink"):
        rate("%s, one host" % name, files, pair.one(0, name, folder, files, "f"))
    folders = ["own-%s-%d" % (tag, host) for host in range(2)]
    pair.both(*(("create", folder, 1, "first") for folder in folders))
    for name in ("create", "stat", "rename", "unlink"):
        before = contender.lock_messages() if name != "create" and hasattr(contender, "lock_messages") else None
        rate("%s, each in a directory of its own" % name, 2 * files,
             pair.both(*((name, folder, files, "f") for folder in folders)))
        if before is not None:
            rates["(messages: %s)" % name] = (contender.lock_messages() - before) / (2 * files)
    folder = "common-" + tag
    rate("create, both in one directory", 2 * files, pair.both(
        ("create", folder, files, "a"), ("create", folder, files, "b")))
    rate("files of the other read", files, pair.one(1, "read", folder, files, "a"))
    rate("own files read", files, pair.one(0, "read", folder, files, "a"))
    count = max(50, files // 10)
    rate("4 KiB write + fsync", count, pair.one(0, "synced_write", "synced-" + tag, count))
    rate("create + fsync", count, pair.one(0, "create", "synced-files-" + tag, count, "f", 1024, True))
    return rates


def report(rounds, round_trip):
    middle = lambda values: statistics.median(list(values))
    names = [name for name in rounds[0]["yoke"] if not name.startswith("(")]
    has_gluster = "gluster" in rounds[0]
    print("\nTwo hosts, backing files in memory, %d rounds, medians, operations per second.\n" % len(rounds))
    print("%-44s %10s %10s %10s" % ("", "yoke", "gluster", "ratio"))
    ratios = {}
    for name in names:
        yoke = [r["yoke"][name] for r in rounds]
        if has_gluster:
            gluster = [r["gluster"][name] for r in rounds]
            ratios[name] = middle(a / b for a, b in zip(yoke, gluster))
            print("%-44s %10.0f %10.0f %10.1f" % (name, middle(yoke), middle(gluster), ratios[name]))
        else:
            print("%-44s %10.0f" % (name, middle(yoke)))
    print("\nTurns that did not see what the other host had written before: %s" % ", ".join(
        "%s %.0f %%" % (name, 100 * rounds[-1][name]["(stale reads)"]) for name in rounds[0]))

    def check(text, value, target, sign):
        met = value <= target if sign == "<=" else value >= target
        print("%-9s %s: %.2f (target %s %.2f)" % ("reached" if met else "MISSED", text, value, sign, target))

    turn = middle(1e6 / r["yoke"]["turns on one file"] - 1e6 / r["yoke"]["(turns alone)"] for r in rounds)
    commit = middle(1e6 / r["yoke"]["4 KiB write + fsync"] for r in rounds)
    check("hand-over of a file, %.0f microseconds, to 3 round trips of %.0f + one commit of %.0f" % (
        turn, round_trip, commit), turn / (3 * round_trip + commit), 1, "<=")
    for name in ("stat", "rename", "unlink"):
        check("messages for one %s in a directory of its own" % name,
              middle(r["yoke"]["(messages: %s)" % name] for r in rounds), 0.05, "<=")
    if has_gluster:
        for name in ("create, one host", "stat, one host", "rename, one host", "4 KiB write + fsync", "create + fsync"):
            check(name + ", to GlusterFS", ratios[name], 5, ">=")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--without-gluster", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="yoke-bench-", dir="/dev/shm")
    network, contenders = None, []
    try:
        network = Network(with_kernel_hosts=False)
        contenders.append(Yoke(folder))
        if not options.without_gluster:
            contenders.append(Gluster(folder))
        rounds = []
        for number in range(options.rounds):
            rounds.append({})
            for contender in contenders:
                print("  ... round %d of %d: %s" % (number + 1, options.rounds, contender.name), file=sys.stderr,
                      flush=True)
                rounds[-1][contender.name] = measure(contender, "r%d" % number, options.files, options.turns)
        round_trip = contenders[0].round_trip()
        report(rounds, round_trip)
        if options.json:
            with open(options.json, "w") as out:
                json.dump({"rounds": rounds, "round trip": round_trip}, out, indent=1)
    finally:
        for contender in contenders:
            contender.close()
        if network:
            network.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
