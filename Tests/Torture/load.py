"""The coordinator: keeps worker processes on both hosts busy with operations chosen by a seed, holds each result against
the model, and writes a log of all that happened.

Operations on one object exclude each other, so the model knows the outcome exactly; operations on different names of one
folder, and reads beside writes of one file, do not. An operation that fails without reason is a failure of the run; on a
host that was struck (`excused`) it may have happened or not.
"""
import json
import os
import random
import select
import selectors
import subprocess
import sys
import time

from model import File, Mismatch, Model
from special import Counter, Journal
from worker import receive, send

HERE = os.path.dirname(os.path.abspath(__file__))


class Process:
    """A worker, or a probe, on a host."""

    def __init__(self, host, label, *arguments):
        self.host, self.label = host, label
        self.process = subprocess.Popen(
            host.within(sys.executable, os.path.join(HERE, "worker.py"), host.point, *arguments),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.task = None

    def ask(self, name, *arguments):
        send(self.process.stdin, (name, arguments))

    def answer(self):
        """None: the process has ended, as one does that uses a mapping of a mount that is gone."""
        return receive(self.process.stdout)

    def call(self, name, *arguments, limit=60):
        self.ask(name, *arguments)
        if not select.select([self.process.stdout], [], [], limit)[0]:
            raise Mismatch("%s hangs for %g s: %s %s" % (self.label, limit, name, arguments))
        answer = self.answer()
        if answer is None:
            raise Mismatch("the worker %s has ended in %s %s" % (self.label, name, arguments))
        begun, ended, error, value = answer
        if error:
            raise OSError(error, "%s: %s %s: %s" % (self.label, name, arguments, value))
        return value

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Task:
    """One operation under way: what it needs, and what becomes of the model when it ends."""

    def __init__(self, name, arguments, exclusive=(), shared=(), written=None):
        self.name, self.arguments = name, arguments
        self.exclusive, self.shared, self.written = exclusive, shared, written
        self.done = lambda value, begun, ended: None
        self.unsure = lambda: None
        self.begun = self.pending = None
        # A host died whose unsynced work it may meet: any outcome is possible.
        self.is_relaxed = False

    def touches(self, host):
        """The host made something of what this operation uses, which may be lost with it."""
        if not self.exclusive and not self.shared:
            return True
        for slot in (*self.exclusive, *self.shared):
            if slot.register.is_endangered_by(host):
                return True
            if isinstance(slot.current, File) and any(
                    register.is_endangered_by(host) for register in slot.current.registers()):
                return True
        return False

    def lock(self):
        for slot in self.exclusive:
            slot.exclusive = True
        for slot in self.shared:
            slot.shared += 1
        if self.written:
            self.written.is_written = True

    def unlock(self):
        for slot in self.exclusive:
            slot.exclusive = False
        for slot in self.shared:
            slot.shared -= 1
        if self.written:
            self.written.is_written = False


class Load:
    workers = 3

    def __init__(self, hosts, seed, log_path):
        self.hosts = hosts
        self.random = random.Random(seed)
        self.model = Model()
        self.log_file = open(log_path, "w", buffering=1)
        self.sequence = 0
        self.counts = {}
        self.errors = {}
        # Of struck hosts, since they were.
        self.failures = {}
        # Hosts whose operations may fail, and those that get no new ones.
        self.excused, self.paused = set(), set()
        # Hosts whose daemon is stopped: what the kernel has there nobody can take back.
        self.asleep = set()
        self.selector = selectors.DefaultSelector()
        self.processes = []
        for host in hosts:
            for number in range(self.workers):
                self.add_process(host, "%s.%d" % (host.name, number))
        self.journal, self.counter = Journal(), Counter()
        self.choices = self.weighted()

    def add_process(self, host, label):
        process = Process(host, label)
        self.processes.append(process)
        self.selector.register(process.process.stdout, selectors.EVENT_READ, process)

    def replace_process(self, process):
        self.selector.unregister(process.process.stdout)
        self.processes.remove(process)
        process.close()
        self.add_process(process.host, process.label)

    def close(self):
        for process in self.processes:
            process.close()
        self.log_file.close()

    def note(self, what, **fields):
        self.log_file.write(json.dumps(dict(at=round(time.monotonic(), 4), what=what, **fields), default=repr) + "\n")

    # Running

    def run(self, seconds=None, until=None, limit=120, what=""):
        """Operations for so long, or until the condition (looked at often) is true."""
        begun = time.monotonic()
        while True:
            now = time.monotonic()
            if until is None and now - begun >= seconds:
                return True
            if until is not None and until():
                return True
            if until is not None and now - begun > limit:
                raise Mismatch("not within %g s: %s" % (limit, what))
            self.feed()
            self.collect(0.05)

    def quiesce(self, *hosts, limit=100):
        """No operation is under way on the hosts (all, if none is named)."""
        names = {host.name for host in hosts or self.hosts}
        before = set(self.paused)
        self.paused |= names
        deadline = time.monotonic() + limit
        while any(process.task for process in self.processes if process.host.name in names):
            if time.monotonic() > deadline:
                waiting = ["%s: %s %.120s" % (process.label, process.task.name, process.task.arguments)
                           for process in self.processes if process.task and process.host.name in names]
                raise Mismatch("operations hang for %g s: %s" % (limit, "; ".join(waiting)))
            self.feed()
            self.collect(0.05)
        self.paused = before

    def is_busy(self, host):
        return any(process.task for process in self.processes if process.host is host)

    def feed(self):
        for process in self.processes:
            if process.task or process.host.name in self.paused:
                continue
            task = self.choose(process)
            if task is None:
                continue
            self.sequence += 1
            task.number = self.sequence
            task.begun = time.monotonic()
            task.lock()
            task.is_relaxed = task.name == "held_read" and process.host.name in self.asleep
            process.task = task
            self.note("begin", number=task.number, on=process.label, op=task.name, arguments=brief(task.arguments))
            process.ask(task.name, *task.arguments)

    def collect(self, timeout):
        for key, _ in self.selector.select(timeout):
            process = key.data
            answer = process.answer()
            if answer is None:
                if process.host.name not in self.excused:
                    raise Mismatch("the worker %s has ended in %s" % (process.label, process.task and process.task.name))
                self.replace_process(process)
                answer = (time.monotonic(), time.monotonic(), -1, "the process has ended")
            task, process.task = process.task, None
            if task:
                task.unlock()
                self.finish(process, task, *answer)

    def finish(self, process, task, begun, ended, error, value):
        self.note("end", number=task.number, on=process.label, op=task.name, seconds=round(ended - begun, 4),
                  error=error, **({"value": brief(value)} if value is not None else {}))
        self.counts[task.name] = self.counts.get(task.name, 0) + 1
        if error and process.host.name not in self.excused and not task.is_relaxed:
            raise Mismatch("operation %d, %s %s on %s, failed: %s" % (
                task.number, task.name, brief(task.arguments), process.label, value))
        if error:
            self.errors[error] = self.errors.get(error, 0) + 1
            if process.host.name in self.excused:
                # There is nothing to be had there until it is back.
                self.paused.add(process.host.name)
                self.failures.setdefault(process.host.name, []).append("%d %s: %s" % (task.number, task.name, value))
        if error or task.is_relaxed:
            return task.unsure()
        try:
            task.done(value, begun, ended)
        except Mismatch as mismatch:
            raise Mismatch("operation %d, %s %s on %s: %s" % (
                task.number, task.name, brief(task.arguments), process.label, mismatch)) from mismatch

    def relax(self, host):
        for process in self.processes:
            if process.task and process.host is not host and process.task.touches(host.name):
                process.task.is_relaxed = True

    # Deaths: what the host did is in doubt, or it is known what became of it.

    def falls_asleep(self, host):
        self.asleep.add(host.name)
        for process in self.processes:
            if process.host is host and process.task and process.task.name == "held_read":
                process.task.is_relaxed = True

    def doubt(self, host):
        self.note("doubt", host=host.name)
        self.relax(host)
        self.excused.add(host.name)
        self.model.doubt(host.name)
        self.journal.doubt(host.name)

    def trust(self, host):
        self.note("trust", host=host.name)
        self.excused.discard(host.name)
        self.model.trust(host.name)
        self.journal.trust(host.name)

    def died(self, host):
        self.note("died", host=host.name)
        self.relax(host)
        self.model.died(host.name)
        self.journal.died(host.name)

    # The whole tree

    def dump(self, host):
        process = next(process for process in self.processes if process.host is host and not process.task)
        return process.call("dump")

    def compare(self, *hosts):
        """While nothing is under way: each host's tree is what the model says, and so one tree."""
        for host in hosts or self.hosts:
            dump = self.dump(host)
            self.note("dump", host=host.name, entries=len(dump))
            self.journal.settle(dump.pop("journal")["content"], host.name)
            self.counter.settle(dump.pop("counter")["content"], host.name)
            self.model.settle(dump, host.name)

    def shorten_journal(self):
        """While nothing is under way: a long one takes long to look through."""
        if len(self.journal.written) > 3000:
            self.processes[0].call("truncate", self.journal.name, 0, True)
            self.journal.written = {}

    def let_go(self, host):
        """While nothing is under way there: the host's workers close what they hold open."""
        for process in self.processes:
            if process.host is host:
                process.call("let_go")

    def create_tree(self):
        process = self.processes[0]
        for name in self.model.folders:
            process.call("mkdir", name)
        for name, data in (("journal", b""), ("counter", b"%020d" % 0), ("probe", bytes(8192))):
            process.call("create", name, data, 0o644, True)
        process.call("fsync", "")

    # Choice

    def weighted(self):
        from operations import OPERATIONS
        return [operation for operation, weight in OPERATIONS for _ in range(weight)]

    def choose(self, process):
        for _ in range(6):
            task = self.random.choice(self.choices)(self, process)
            if task:
                return task
        return None


def brief(value):
    """Long bytes by their length and beginning."""
    if isinstance(value, bytes):
        return repr(value) if len(value) <= 40 else "%d bytes %r" % (len(value), value[:24])
    if isinstance(value, (tuple, list)):
        return [brief(one) for one in value[:40]]
    if isinstance(value, dict):
        return "%d entries" % len(value)
    return value
