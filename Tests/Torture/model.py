"""What a tree that two hosts change must look like, and what of it a death may take away.

Everything that can change is a `Register`: the object behind a name, a file's content, mode, times, attributes. It keeps
the values since the last one that is known to be durable, each with the host that made it. A value is durable when it was
synced by its host, or when the other host has seen or changed the register: a lock changes hands with everything written.
So what a host did may be lost with it only if nobody else saw it and it was not synced; nothing else may ever appear.
"""
import stat


class Mismatch(AssertionError):
    """The volume is not what the model says."""


ABSENT = None
UNKNOWN = "unknown"  # a time that nobody set


class Register:
    def __init__(self, value):
        self.values = [(value, None)]
        # An operation on it ended with an error: it may have happened or not.
        self.is_unsure = False

    @property
    def current(self):
        return self.values[-1][0]

    @property
    def possible(self):
        return [value for value, _ in self.values]

    def change(self, host, value):
        self.seen(host)
        self.values.append((value, host))

    def attempted(self, host, value):
        self.values.append((value, host))
        self.is_unsure = True

    def seen(self, host):
        """`host` has seen it: what others did before is durable."""
        if self.is_unsure:
            return
        last = max((at for at, (_, by) in enumerate(self.values) if by not in (host, None)), default=0)
        del self.values[:last]

    def synced(self, host):
        if not self.is_unsure:
            self.values = [(self.current, None)]

    def is_endangered_by(self, host):
        return any(by == host for _, by in self.values[1:])

    def died(self, host):
        if self.is_endangered_by(host):
            self.is_unsure = True

    def settle(self, value, what, equal=lambda actual, possible: actual == possible):
        """The value is found; it must be a possible one: the current one if nothing is in doubt."""
        possible = self.possible if self.is_unsure else [self.current]
        if not any(equal(value, candidate) for candidate in possible):
            raise Mismatch("%s is %.300r, possible: %.900r" % (what, value, possible))
        self.values = [(value, None)]
        self.is_unsure = False


class Content(Register):
    """A file's bytes: of several unsynced writes any part of each may have reached the disk."""
    chunk = 512

    def check(self, actual, versions, what, is_beside=False):
        """`is_beside`: a read beside a change. FUSE clients give zeros for what is cut off under a read."""
        sizes = [len(version) for version in versions]
        if not min(sizes) <= len(actual) <= max(sizes):
            raise Mismatch("%s has %d bytes, possible: %s" % (what, len(actual), sorted(set(sizes))))
        if any(actual == version for version in versions):
            return
        if len(versions) == 1:
            at = next(at for at in range(len(actual)) if actual[at] != versions[0][at])
            raise Mismatch("%s differs from byte %d of %d: %r, must be %r" % (
                what, at, len(actual), actual[at:at + 48], versions[0][at:at + 48]))
        for start in range(0, len(actual), self.chunk):
            end = min(start + self.chunk, len(actual))
            piece = actual[start:end]
            if any(piece == version[start:end] for version in versions):
                continue
            for at in range(start, end):
                if is_beside and actual[at] == 0 and at >= min(sizes):
                    continue
                if not any(at < len(version) and actual[at] == version[at] for version in versions):
                    raise Mismatch("%s: byte %d is of no write: %r, possible: %s" % (
                        what, at, actual[at:at + 32], [version[at:at + 32] for version in versions]))

    def allows(self, actual):
        try:
            self.check(actual, self.possible, "")
            return True
        except Mismatch:
            return False

    def settle(self, value, what):
        self.check(value, self.possible if self.is_unsure else [self.current], what)
        self.values = [(value, None)]
        self.is_unsure = False


class File:
    count = 0

    def __init__(self, host, mode):
        File.count += 1
        self.number = File.count
        self.ino = None
        self.content = Content(b"")
        self.mode = Register(mode)
        self.mtime = Register(UNKNOWN)
        self.xattrs = Register(())
        # An operation under way changes it. Readers do not wait for it: each has the list of what it may find.
        self.is_written = False
        self.readers = []
        self.name = None

    def end_read(self, versions):
        self.readers = [one for one in self.readers if one is not versions]

    def registers(self):
        return (self.content, self.mode, self.mtime, self.xattrs)

    @property
    def is_sure(self):
        return not any(register.is_unsure for register in self.registers())

    def __repr__(self):
        return "file(%s, ino %s)" % (self.name, self.ino)


class Folder:
    def __init__(self, names):
        self.ino = None
        self.slots = {name: Slot(self, name) for name in names}

    def __repr__(self):
        return "folder(ino %s: %s)" % (self.ino, [name for name, slot in self.slots.items() if slot.register.current])


class Link:
    def __init__(self, target):
        self.target = target

    def __repr__(self):
        return "link to " + self.target


class Slot:
    """A name in a folder, with what is behind it."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.parent = None  # the slot of the folder, of those that can be renamed
        self.top = ""
        self.register = Register(ABSENT)
        # When the last change was told as done, and how many there were.
        self.changed_at = 0.0
        self.changes = 0
        # Operations under way: those that change it, and those that need it to stay.
        self.exclusive = False
        self.shared = 0

    @property
    def current(self):
        return self.register.current

    @property
    def path(self):
        return "%s/%s" % (self.parent.path if self.parent else self.top, self.name)

    def __repr__(self):
        return self.path


class Model:
    folders = ("d0", "d1", "d2")
    names = tuple("n%d" % number for number in range(14))
    inner = tuple("i%d" % number for number in range(4))

    def __init__(self):
        self.top = {name: Folder(self.names) for name in self.folders}
        for name, folder in self.top.items():
            for slot in folder.slots.values():
                slot.top = name
        # Every file that may still exist.
        self.files = []
        # Hosts whose fate is open: what they do is known only afterwards.
        self.doubted = set()

    def new_folder(self, slot):
        folder = Folder(self.inner)
        for inner in folder.slots.values():
            inner.parent = slot
        return folder

    def new_file(self, host, mode, name):
        file = File(host, mode)
        file.name = name
        self.files.append(file)
        return file

    def slots(self):
        """All slots that can be reached for sure."""
        for folder in self.top.values():
            for slot in folder.slots.values():
                yield slot
                if isinstance(slot.current, Folder) and not slot.register.is_unsure:
                    yield from slot.current.slots.values()

    def all_slots(self):
        seen = set()

        def walk(folder):
            if id(folder) in seen:
                return
            seen.add(id(folder))
            for slot in folder.slots.values():
                yield slot
                for value in slot.register.possible:
                    if isinstance(value, Folder):
                        yield from walk(value)
        for folder in self.top.values():
            yield from walk(folder)

    def registers(self):
        for slot in self.all_slots():
            yield slot.register
        for file in self.files:
            yield from file.registers()

    # Deaths

    def doubt(self, host):
        self.doubted.add(host)

    def trust(self, host):
        self.doubted.discard(host)

    def died(self, host):
        """What the host did and nobody else saw may be lost."""
        self.doubted.discard(host)
        for register in self.registers():
            register.died(host)

    def is_usable(self, register):
        """False: what it is will be known later."""
        return not register.is_unsure and not any(register.is_endangered_by(host) for host in self.doubted)

    def synced_names(self, host, folder, begun):
        for slot in folder.slots.values():
            if slot.changed_at <= begun and not slot.exclusive and slot.register.values[-1][1] == host:
                slot.register.synced(host)

    # The whole tree

    def settle(self, dump, host):
        """The tree as `host` sees it, while nobody changes it: must be possible, and is what holds from now on."""
        left = dict(dump)
        found = {}
        for name, folder in self.top.items():
            record = left.pop(name, None)
            if record is None:
                raise Mismatch("%s: the folder %s is gone" % (host, name))
            self.settle_folder(folder, name, left, found, host)
        if left:
            raise Mismatch("%s: nobody made %s" % (host, sorted(left)[:8]))
        self.files = []
        for file, records in found.items():
            self.files.append(file)
            for path, record in records:
                self.settle_file(file, path, record, host)
                if record["nlink"] != len(records):
                    raise Mismatch("%s: %s has %d links, must have %d: %s" % (
                        host, path, record["nlink"], len(records), [path for path, _ in records]))

    def settle_folder(self, folder, path, left, found, host):
        for name, slot in folder.slots.items():
            where = "%s/%s" % (path, name)
            record = left.pop(where, None)
            value = self.choose(slot, record, "%s: %s" % (host, where))
            slot.register.values, slot.register.is_unsure = [(value, None)], False
            if isinstance(value, Folder):
                value.ino = record["ino"]
                for inner in value.slots.values():
                    inner.parent = slot
                self.settle_folder(value, where, left, found, host)
            elif isinstance(value, File):
                found.setdefault(value, []).append((where, record))

    def choose(self, slot, record, what):
        register = slot.register
        possible = register.possible if register.is_unsure else [register.current]
        if record is None:
            if ABSENT in possible:
                return ABSENT
            raise Mismatch("%s is absent, possible: %s" % (what, possible))
        kinds = {stat.S_IFREG: File, stat.S_IFDIR: Folder, stat.S_IFLNK: Link}
        kind = kinds[stat.S_IFMT(record["mode"])]
        candidates = [value for value in reversed(possible) if isinstance(value, kind)]
        if kind is Link:
            candidates = [value for value in candidates if value.target == record["target"]]
        else:
            same = [value for value in candidates if value.ino == record["ino"]]
            candidates = same + [value for value in candidates if value.ino is None]
        if kind is File and len(candidates) > 1:
            # Numbers of inodes are used again.
            candidates = [value for value in candidates if value.content.allows(record["content"])] or candidates
        if not candidates:
            raise Mismatch("%s is %s, possible: %s" % (
                what, {key: value for key, value in record.items() if key != "content"}, possible))
        return candidates[0]

    def settle_file(self, file, path, record, host):
        what = "%s: %s (ino %s)" % (host, path, record["ino"])
        if file.ino not in (None, record["ino"]):
            raise Mismatch("%s was ino %s" % (what, file.ino))
        file.ino, file.name = record["ino"], path
        file.content.settle(record["content"], what + " content")
        file.mode.settle(stat.S_IMODE(record["mode"]), what + " mode")
        file.xattrs.settle(tuple(sorted(record["xattrs"].items())), what + " xattrs")
        file.mtime.settle(record["mtime"], what + " mtime", lambda actual, one: one is UNKNOWN or actual == one)
        if record["size"] != len(record["content"]):
            raise Mismatch("%s: size %d, %d bytes read" % (what, record["size"], len(record["content"])))
