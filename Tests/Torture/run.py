#!/usr/bin/env python3
"""Long random runs on two real hosts: operations from both against a model, with kills, cuts, stops and sleeps.

  run.py [--minutes N] [--seed N] [--gateway] [--only NAME,...] [--keep]

Two yoked in namespaces of this machine, their volume mounted by fstab (`x-yoke.auto`), so that return is theirs. After
each disturbance: the other host's I/O stood still for no longer than it may, the trees of both are one and what the model
says, and the replicas are equal; at the end fsck.ocfs2 finds nothing. --gateway adds a default gateway as the reference.

The seed chooses operations and disturbances; when they end is the machine's affair, so a run is replayed only as far as real
time allows. A failure keeps the folder with the images, the daemons' logs and operations.log. Needs root.
"""
import argparse
import faulthandler
import os
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair
from load import Load
from disturbances import Disturbances

WEIGHTS = dict(kill=4, terminate=3, cut=3, blink=2, pause=2, sleep=2, kill_both=1, stop_both=1)


class Run:
    def __init__(self, seed, with_gateway=False, only=None, say=print):
        self.random = random.Random(seed)
        self.say = say
        self.weights = dict(WEIGHTS, **({"cut_both": 2} if with_gateway else {}))
        if only:
            self.weights = {name: 1 for name in only}
        self.pair = Pair(with_gateway)
        self.load = None
        self.seed = seed
        self.rounds = 0

    def start(self):
        self.pair.start()
        self.load = Load(self.pair.hosts, self.random.random(), os.path.join(self.pair.folder, "operations.log"))
        self.load.create_tree()
        for host in self.pair.hosts:
            host.probe.call("switch", True)
        self.disturbances = Disturbances(self.pair, self.load, self.say)

    def plan(self):
        """Each kind once, then at random."""
        first = sorted(self.weights)
        self.random.shuffle(first)
        yield from first
        while True:
            yield self.random.choices(list(self.weights), list(self.weights.values()))[0]

    def go_on(self, seconds):
        begun = time.monotonic()
        for kind in self.plan():
            if time.monotonic() - begun > seconds:
                break
            self.round(kind, self.random.choice(self.pair.hosts))
        self.finish()

    def each_once(self):
        for kind in self.weights:
            self.round(kind, self.random.choice(self.pair.hosts))
        self.finish()

    def finish(self):
        self.load.run(seconds=2)
        self.load.quiesce()
        self.load.compare()
        self.pair.assert_replicas_equal()
        for host in self.pair.hosts:
            self.load.let_go(host)
            host.probe.call("switch", False)
        self.pair.check_daemons()
        self.load.close()
        self.pair.end()

    def round(self, kind, host):
        self.rounds += 1
        before = sum(self.load.counts.values())
        begun = time.monotonic()
        self.load.run(seconds=self.random.uniform(2, 6))
        self.load.note("disturbance", round=self.rounds, kind=kind, host=host.name)
        getattr(self.disturbances, kind)(host)
        stalls = ", ".join("%s %.2f s (plain file %.2f)" % (name, found[-1][0], found[-1][1])
                           for name, found in self.disturbances.stalls.items() if found)
        self.say("round %d, %s of %s: %d operations in %.0f s; last stalls: %s" % (
            self.rounds, kind, host.name, sum(self.load.counts.values()) - before, time.monotonic() - begun, stalls or "-"))

    def summary(self):
        counts = ", ".join("%s %d" % item for item in sorted(self.load.counts.items()))
        lines = ["%d operations (%s); failed on struck hosts, by errno: %s" % (
            sum(self.load.counts.values()), counts, self.load.errors or "none")]
        for name, found in sorted(self.disturbances.stalls.items()):
            lines.append("%s: the other host stood still for at most %.2f s, median %.2f s, %d times" % (
                name, max(one[0] for one in found), sorted(one[0] for one in found)[len(found) // 2], len(found)))
        return "\n".join(lines)

    def close(self, keep):
        if self.load:
            for process in self.load.processes:
                process.process.kill()
        self.pair.close(keep)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--gateway", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    seed = random.randrange(1 << 31) if options.seed is None else options.seed
    print("seed %d" % seed, flush=True)
    faulthandler.register(signal.SIGUSR1)
    faulthandler.dump_traceback_later(options.minutes * 60 + 600, exit=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    run = Run(seed, options.gateway, options.only, lambda text: print(text, flush=True))
    has_failed = True
    try:
        run.start()
        run.go_on(options.minutes * 60)
        print(run.summary())
        has_failed = False
    finally:
        if has_failed:
            for host in run.pair.hosts:
                print("=== %s\n%s" % (host.name, host.log_tail(60)))
            print("failed: seed %d, round %d; logs, images and operations.log in %s" % (seed, run.rounds, run.pair.folder),
                  flush=True)
        run.close(keep=has_failed or options.keep)


if __name__ == "__main__":
    main()
