"""Two files that both hosts change at the same time: one to which all append, and a counter under flock."""
from model import Mismatch


class Journal:
    """A file that all workers append records to, at the same time. Each record that was told as written is there once,
    each worker's in order; of a host that died those may be missing that it did not sync, and that nobody saw."""
    name = "journal"
    length = 31

    def __init__(self):
        self.numbers = {}
        # Records told as written, as (worker, number): the host that wrote it, or None when it is durable.
        self.written = {}
        self.maybe = set()
        self.doubted = set()

    @staticmethod
    def record(worker, number):
        return ("%-10s %019d" % (worker, number)).encode() + b"\n"

    @property
    def text(self):
        return self.name

    def next(self, worker):
        self.numbers[worker] = self.numbers.get(worker, 0) + 1
        key = (worker, self.numbers[worker])
        self.maybe.add(key)
        return key

    def done(self, key, host, sync):
        self.maybe.discard(key)
        self.written[key] = host
        if sync:
            for one, by in self.written.items():
                if by == host:
                    self.written[one] = None

    def parse(self, content, what, is_beside=False):
        """`is_beside`: a read beside appends. Zeros behind the last record are those of one that was under way: the kernel
        may know the new end before the page (docs/internals/coherence.md)."""
        if len(content) % self.length:
            raise Mismatch("%s: %d bytes are not whole records" % (what, len(content)))
        found = {}
        last = {}
        for at in range(0, len(content), self.length):
            line = content[at:at + self.length]
            if is_beside and not any(content[at:]):
                break
            try:
                worker, number = line.decode().split()
                key = (worker, int(number))
            except ValueError:
                raise Mismatch("%s: no record at %d: %r" % (what, at, line)) from None
            if line != self.record(*key) or key in found:
                raise Mismatch("%s: at %d %r, %s" % (what, at, line, "twice" if key in found else "damaged"))
            if key[1] <= last.get(worker, 0):
                raise Mismatch("%s: at %d %r comes after number %d" % (what, at, line, last[worker]))
            last[worker] = key[1]
            found[key] = at
        return found

    def expected(self):
        """Before a read begins: what must be in it."""
        return {key for key, by in self.written.items() if by not in self.doubted}

    def seen(self, content, expected, host):
        what = "%s: %s" % (host, self.name)
        found = self.parse(content, what, is_beside=True)
        missing = sorted(expected - set(found))
        if missing:
            raise Mismatch("%s: %d records are missing: %s" % (what, len(missing), missing[:6]))
        unknown = sorted(set(found) - set(self.written) - self.maybe)
        if unknown:
            raise Mismatch("%s: nobody wrote %s" % (what, unknown[:6]))
        for key in found:
            if self.written.get(key) not in (None, host):
                self.written[key] = None

    def doubt(self, host):
        self.doubted.add(host)

    def trust(self, host):
        self.doubted.discard(host)

    def died(self, host):
        self.doubted.discard(host)
        for key in [key for key, by in self.written.items() if by == host]:
            del self.written[key]
            self.maybe.add(key)

    def settle(self, content, host):
        """While nothing is under way: what is there now stays."""
        self.seen(content, self.expected(), host)
        found = self.parse(content, host)
        self.written = dict.fromkeys(found)
        self.maybe = set()


class Counter:
    """A number that grows by one in each turn under flock; a turn is synced before the lock is given up. No turn that was
    told is lost, whoever dies."""
    name = "counter"

    def __init__(self):
        self.told = set()
        self.least = 0

    def done(self, value, least, host):
        if value <= least:
            raise Mismatch("%s: a turn gave %d, and %d was there before it began" % (host, value, least))
        if value in self.told:
            raise Mismatch("%s: two turns gave %d" % (host, value))
        self.told.add(value)
        self.least = max(self.least, value)

    def settle(self, content, host):
        value = int(content)
        if value < self.least:
            raise Mismatch("%s: the counter is %d, and %d was told" % (host, value, self.least))
        self.least = value
