"""What happens to the hosts during a run, how long the other one's I/O may stand still, and what must hold afterwards."""
import signal
import time

from hosts import Background
from model import Mismatch

# Seconds that the other host's I/O may stand still.
KILL_LIMIT, CUT_LIMIT, CLEAN_LIMIT = 3.0, 10.0, 0.2
RETURN_LIMIT = 120


class Disturbances:
    def __init__(self, pair, load, report):
        self.pair, self.load, self.report = pair, load, report
        self.stalls = {}

    # Parts

    def begin(self, *struck):
        for host in self.pair.hosts:
            host.set_mark()
        self.load.failures = {}
        for host in struck:
            self.load.doubt(host)

    def in_background(self, function, *arguments, limit=RETURN_LIMIT, what=""):
        """While the operations go on."""
        work = Background(function, *arguments)
        self.load.run(until=lambda: not work.thread.is_alive(), limit=limit, what=what)
        return work.join(1)

    def wait(self, what, condition, limit=RETURN_LIMIT):
        """While the operations go on: until the condition, which takes its time, holds."""
        deadline = time.monotonic() + limit
        while not self.in_background(condition, what=what):
            self.pair.check_daemons()
            if time.monotonic() > deadline:
                logs = "\n".join("--- %s\n%s" % (host.name, host.log_tail(40)) for host in self.pair.hosts)
                raise Mismatch("not within %g s: %s\n%s" % (limit, what, logs))
            self.load.run(seconds=0.3)

    def measure(self, kind, host, since, limit, base=0.0):
        """How long the host's I/O stood still from then on; the floor is what a plain file took beside it."""
        self.load.run(seconds=1)
        self.load.run(until=lambda: host.probe.call("age") < 0.5, limit=60, what="%s: the I/O goes on" % host.name)
        found, floor = self.pair.stall(host, since, time.monotonic())
        self.stalls.setdefault(kind, []).append((found, floor, base))
        self.load.note("stall", kind=kind, host=host.name, seconds=found, floor=floor, before=base)
        if limit is not None and found > limit + max(floor, base):
            raise Mismatch("%s: the I/O of %s stood still for %.2f s, limit %.1f s (a plain file beside it: %.2f s; the same "
                           "before: %.2f s)" % (kind, host.name, found, limit, floor, base))
        return found

    def all_back(self, *gone):
        """Both are mounted and connected with the same data; what the gone ones had made is found out."""
        for host in gone:
            host.probe.call("switch", True)
        for host in self.pair.hosts:
            self.wait("%s is back" % host.name, host.is_healthy)
        self.pair.check_daemons()

    def resolve(self):
        """Both trees are the model's, and the replicas are the same."""
        self.load.quiesce()
        for host in self.pair.hosts:
            if host.name in self.load.excused:
                self.load.let_go(host)
            if host.name in self.load.model.doubted:
                if host.was_fenced:
                    self.load.died(host)
                elif self.load.failures.get(host.name):
                    raise Mismatch("%s stayed a member, and operations failed there: %s\n%s" % (
                        host.name, self.load.failures[host.name], host.log_tail(40)))
                else:
                    self.load.trust(host)
            elif host.was_fenced:
                raise Mismatch("%s gave up its membership, and nobody knows why\n%s" % (host.name, host.log_tail(40)))
        self.load.compare()
        self.pair.assert_replicas_equal()
        for host in self.pair.hosts:
            self.load.excused.discard(host.name)
            self.load.paused.discard(host.name)
            self.load.asleep.discard(host.name)
        self.load.shorten_journal()

    # Deaths

    def kill(self, victim):
        """kill -9 of the daemon; the other goes on within 3 s, alone; then it is started again."""
        survivor = self.pair.other(victim)
        self.begin(victim)
        self.load.paused.add(victim.name)
        since = time.monotonic()
        victim.kill()
        self.load.quiesce(victim)
        self.load.died(victim)
        self.measure("kill", survivor, since, KILL_LIMIT)
        self.load.run(seconds=self.load.random.uniform(0, 3))
        self.load.quiesce()
        self.load.compare(survivor)
        self.in_background(victim.up)
        self.all_back(victim)
        self.resolve()

    def kill_both(self, *_):
        self.begin(*self.pair.hosts)
        self.load.paused |= {host.name for host in self.pair.hosts}
        for host in self.pair.hosts:
            host.kill()
        self.load.quiesce()
        for host in self.pair.hosts:
            self.load.died(host)
        for host in self.pair.hosts:
            self.in_background(host.up)
        self.all_back(*self.pair.hosts)
        self.resolve()

    # Clean ends

    def terminate(self, victim):
        """SIGTERM, and start: the other goes on without noticing. Nothing is lost, synced or not."""
        survivor = self.pair.other(victim)
        before = time.monotonic()
        self.load.run(seconds=2)
        base = max(ended - begun for begun, ended, _ in survivor.probe.call("samples", before)[0])
        for host in self.pair.hosts:
            host.set_mark()
        self.load.excused.add(victim.name)
        self.load.paused.add(victim.name)
        if self.load.random.random() < 0.7:
            self.load.quiesce(victim)
        if not self.load.is_busy(victim):
            self.load.let_go(victim)
        victim.probe.call("switch", False)
        since = time.monotonic()
        code = self.in_background(victim.stop)
        if code != 0:
            raise Mismatch("%s: SIGTERM ended it with %s\n%s" % (victim.name, code, victim.log_tail()))
        self.measure("stop", survivor, since, CLEAN_LIMIT, base)
        self.load.quiesce(victim)
        since = time.monotonic()
        self.in_background(victim.up)
        self.all_back(victim)
        self.measure("join", survivor, since, None, base)
        self.resolve()

    def stop_both(self, *_):
        """Both are shut down and started; nothing is lost."""
        for host in self.pair.hosts:
            host.set_mark()
        self.load.quiesce()
        self.load.paused |= {host.name for host in self.pair.hosts}
        for host in self.pair.hosts:
            self.load.let_go(host)
            host.probe.call("switch", False)
        for host in self.pair.hosts:
            self.in_background(host.stop)
        for host in self.pair.hosts:
            self.in_background(host.up)
        self.all_back(*self.pair.hosts)
        self.resolve()

    # Silence

    def loser_of_cut(self, cut):
        """Without a reference the host with the lower number goes on, else who still reaches it."""
        return cut if self.pair.has_gateway else self.pair.beta

    def cut(self, host):
        """The cable is pulled, and put back after the verdict."""
        loser = self.loser_of_cut(host)
        survivor = self.pair.other(loser)
        self.begin(loser)
        since = time.monotonic()
        host.link("down")
        self.load.run(until=lambda: "goes on alone" in survivor.since_mark(), limit=30, what="%s goes on" % survivor.name)
        self.measure("cut", survivor, since, CUT_LIMIT)
        self.load.run(seconds=self.load.random.uniform(0, 12))
        host.link("up")
        self.all_back(loser)
        self.resolve()

    def blink(self, host):
        """The cable is out for a moment: shorter than any verdict."""
        self.begin(self.loser_of_cut(host))
        host.link("down")
        self.load.run(seconds=self.load.random.uniform(0.3, 1.5))
        host.link("up")
        self.load.run(seconds=4)
        self.all_back()
        self.resolve()

    def cut_both(self, *_):
        """Neither reaches the other or the reference: both freeze, and go on as if nothing had been. (Without a reference
        the preferred one goes on alone.)"""
        if not self.pair.has_gateway:
            return self.cut(self.pair.beta)
        self.begin(*self.pair.hosts)
        for host in self.pair.hosts:
            host.link("down")
        for host in self.pair.hosts:
            self.load.run(until=lambda: "this host is frozen" in host.since_mark(), limit=30,
                          what="%s freezes" % host.name)
        self.load.run(seconds=self.load.random.uniform(0, 8))
        for host in self.pair.hosts:
            host.link("up")
        self.all_back()
        for host in self.pair.hosts:
            if host.was_fenced:
                raise Mismatch("%s was frozen, as the other one, and did not go on\n%s" % (host.name, host.log_tail(40)))
        self.resolve()

    # Sleep

    def pause(self, host):
        """SIGSTOP for less than any verdict takes."""
        self.stopped(host, self.load.random.uniform(0.3, 2))

    def sleep(self, host):
        """SIGSTOP for longer than the other one waits."""
        self.stopped(host, self.load.random.uniform(6, 12))

    def stopped(self, host, seconds):
        self.begin(host)
        self.load.falls_asleep(host)
        host.send(signal.SIGSTOP)
        self.load.run(seconds=seconds)
        host.send(signal.SIGCONT)
        self.load.run(seconds=4)
        self.all_back(host)
        self.resolve()
