"""One process on one host: carries out operations on the mount that arrive on its standard input, one at a time.

Frames in both directions: 4 bytes of length, then a pickle. In: (name, arguments). Out: (begun, ended, errno, value), with
the times of the machine's monotonic clock, which all processes share, and errno 0 for success.

Run by load.py as `python3 worker.py MOUNTPOINT`, or as `python3 worker.py MOUNTPOINT NAME PLAIN`: see `Probe`.
"""
import errno
import fcntl
import mmap
import os
import pickle
import stat
import struct
import sys
import threading
import time

LIMIT = 1 << 24
STALE_ATTEMPTS = 250


def receive(stream):
    head = stream.read(4)
    if len(head) < 4:
        return None
    return pickle.loads(stream.read(struct.unpack("<I", head)[0]))


def send(stream, value):
    data = pickle.dumps(value)
    stream.write(struct.pack("<I", len(data)) + data)
    stream.flush()


class Operations:
    """Each method is one operation; paths are relative to the mount."""

    held_max = 6

    def __init__(self, point):
        self.point = point
        self.held = {}

    def path(self, name):
        return os.path.join(self.point, name)

    def open(self, name, flags, mode=0o644):
        return os.open(self.path(name), flags | os.O_CLOEXEC, mode)

    def within(self, name, flags, body):
        descriptor = self.open(name, flags)
        try:
            return body(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def write_all(descriptor, data, offset=None):
        while data:
            count = os.write(descriptor, data) if offset is None else os.pwrite(descriptor, data, offset)
            data = data[count:]
            offset = None if offset is None else offset + count

    @staticmethod
    def read_all(descriptor):
        pieces = []
        while True:
            piece = os.pread(descriptor, 1 << 20, sum(map(len, pieces)))
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            if sum(map(len, pieces)) > LIMIT:
                raise OSError(27, "far larger than anything that was written")

    def create(self, name, data, mode, sync):
        def body(descriptor):
            self.write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
            return os.fstat(descriptor).st_ino
        descriptor = self.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        try:
            return body(descriptor)
        finally:
            os.close(descriptor)

    def write(self, name, offset, data, sync):
        def body(descriptor):
            self.write_all(descriptor, data, offset)
            if sync:
                os.fdatasync(descriptor)
        self.within(name, os.O_WRONLY, body)

    def direct(self, name, offset, data, sync):
        """O_DIRECT: offset and length are multiples of a block; the buffer is a page of its own."""
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data

            def body(descriptor):
                count = os.pwritev(descriptor, [buffer], offset)
                if count != len(data):
                    raise OSError(5, "a short direct write of %d" % count)
                if sync:
                    os.fdatasync(descriptor)
            self.within(name, os.O_WRONLY | os.O_DIRECT, body)

    def store(self, name, offset, data, sync):
        """Through a shared mapping; the range lies within the file."""
        def body(descriptor):
            with mmap.mmap(descriptor, offset + len(data)) as mapping:
                mapping[offset:offset + len(data)] = data
                if sync:
                    mapping.flush()
        self.within(name, os.O_RDWR, body)

    def load(self, name):
        def body(descriptor):
            size = os.fstat(descriptor).st_size
            if size == 0:
                return b""
            with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as mapping:
                return bytes(mapping)
        return self.within(name, os.O_RDONLY, body)

    def append(self, name, data, sync):
        def body(descriptor):
            self.write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
        self.within(name, os.O_WRONLY | os.O_APPEND, body)

    def truncate(self, name, size, sync):
        def body(descriptor):
            os.ftruncate(descriptor, size)
            if sync:
                os.fsync(descriptor)
        self.within(name, os.O_WRONLY, body)

    def read(self, name):
        return self.within(name, os.O_RDONLY, self.read_all)

    def held_read(self, name, key):
        """As `read`, through a descriptor that stays open from one time to the next: pages that the kernel has are read
        without a word to the daemon."""
        if key not in self.held:
            while len(self.held) >= self.held_max:
                os.close(self.held.pop(next(iter(self.held))))
            self.held[key] = self.open(name, os.O_RDONLY)
        try:
            return self.read_all(self.held[key])
        except OSError:
            os.close(self.held.pop(key))
            raise

    def let_go(self):
        """Of all descriptors."""
        while self.held:
            _, descriptor = self.held.popitem()
            try:
                os.close(descriptor)
            except OSError:
                pass

    def look(self, name):
        """Type, mode, size, mtime, xattr of one name, or None."""
        try:
            return self.record(name, with_content=False)
        except FileNotFoundError:
            if not self.is_there():
                raise OSError(107, "not mounted") from None
            return None

    def rename(self, old, new):
        os.rename(self.path(old), self.path(new))

    def unlink(self, name):
        os.unlink(self.path(name))

    def unlinked(self, name, data):
        """Opens, removes the name, reads what is there, writes and reads again: (before, after)."""
        def body(descriptor):
            os.unlink(self.path(name))
            before = self.read_all(descriptor)
            self.write_all(descriptor, data, 0)
            return before, self.read_all(descriptor)
        return self.within(name, os.O_RDWR, body)

    def link(self, old, new):
        os.link(self.path(old), self.path(new))

    def symlink(self, target, name):
        os.symlink(target, self.path(name))

    def mkdir(self, name):
        os.mkdir(self.path(name))
        return os.lstat(self.path(name)).st_ino

    def rmdir(self, name):
        os.rmdir(self.path(name))

    def readdir(self, name):
        return os.listdir(self.path(name))

    def chmod(self, name, mode):
        os.chmod(self.path(name), mode)

    def utimes(self, name, nanoseconds):
        os.utime(self.path(name), ns=(nanoseconds, nanoseconds))

    def setxattr(self, name, key, value):
        os.setxattr(self.path(name), key, value)

    def fsync(self, name):
        self.within(name, os.O_RDONLY, os.fsync)

    def turn(self, name):
        """One turn on a counter under flock, synced; the new value."""
        def body(descriptor):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            value = int(os.pread(descriptor, 20, 0) or b"0") + 1
            os.pwrite(descriptor, b"%020d" % value, 0)
            os.fdatasync(descriptor)
            return value
        return self.within(name, os.O_RDWR, body)

    def record(self, name, with_content=True):
        path = self.path(name)
        found = os.lstat(path)
        record = dict(ino=found.st_ino, mode=found.st_mode, nlink=found.st_nlink, size=found.st_size,
                      mtime=found.st_mtime_ns)
        if stat.S_ISLNK(found.st_mode):
            record["target"] = os.readlink(path)
        else:
            record["xattrs"] = {key: os.getxattr(path, key) for key in sorted(os.listxattr(path)) if
                                key.startswith("user.")}
        if stat.S_ISREG(found.st_mode) and with_content:
            record["content"] = self.read(name)
        return record

    def dump(self):
        """Everything: path -> record."""
        records = {}

        def walk(folder):
            for name in sorted(os.listdir(self.path(folder))):
                path = os.path.join(folder, name)
                if path in ("lost+found", "probe"):
                    continue
                records[path] = self.record(path)
                if stat.S_ISDIR(records[path]["mode"]):
                    walk(path)
        walk("")
        return records

    def is_there(self):
        """The volume is mounted (and not the empty directory below)."""
        return os.path.isdir(self.path("lost+found"))


class Probe:
    """How long the I/O of this host stands still: writes, synced, to a file that the other host's probe writes as well, in
    short turns, so that the lock is passed; and beside it the same to a plain file: the floor of the machine.

    The commands: samples(since) gives [(begun, ended, errno)] for `mount` and `plain`.
    """
    pause = 0.03

    def __init__(self, point, name, plain):
        self.common = os.path.join(point, "probe")
        self.place = {"alpha": 0, "beta": 4096}[name]
        self.plain_path = plain
        self.mount, self.plain = [], []
        self.is_on, self.is_open, self.under_way = False, False, None
        for body in (self.on_mount, self.on_plain):
            threading.Thread(target=body, daemon=True).start()

    def on_mount(self):
        descriptor = None
        number = 0
        while True:
            time.sleep(self.pause)
            if not self.is_on:
                descriptor = self.close(descriptor)
                self.is_open = False
                continue
            self.is_open = True
            begun, error = time.monotonic(), 0
            self.under_way = begun
            number += 1
            try:
                if descriptor is None:
                    descriptor = os.open(self.common, os.O_RDWR | os.O_CLOEXEC)
                os.pwrite(descriptor, b"%016d" % number, self.place)
                os.fdatasync(descriptor)
            except OSError as failure:
                error = failure.errno
                descriptor = self.close(descriptor)
            self.mount.append((begun, time.monotonic(), error))
            self.under_way = None

    @staticmethod
    def close(descriptor):
        if descriptor is not None:
            try:
                os.close(descriptor)
            except OSError:
                pass

    def on_plain(self):
        descriptor = os.open(self.plain_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        while True:
            time.sleep(self.pause)
            begun = time.monotonic()
            os.pwrite(descriptor, b"%016d" % len(self.plain), 0)
            os.fdatasync(descriptor)
            self.plain.append((begun, time.monotonic(), 0))

    def samples(self, since):
        both = [[sample for sample in list(samples) if sample[1] >= since] for samples in (self.mount, self.plain)]
        begun = self.under_way
        if begun is not None:
            both[0].append((begun, time.monotonic(), 0))
        return both

    def age(self):
        """Of what is under way."""
        begun = self.under_way
        return 0 if begun is None else time.monotonic() - begun

    def switch(self, is_on):
        """Off: no file of the mount is open when it returns."""
        self.is_on = is_on
        deadline = time.monotonic() + 40
        while not is_on and self.is_open:
            time.sleep(0.01)
            if time.monotonic() > deadline:
                raise OSError(110, "the operation under way hangs")

    def is_there(self):
        return os.path.isdir(os.path.join(os.path.dirname(self.common), "lost+found"))


def main():
    point, rest = sys.argv[1], sys.argv[2:]
    target = Probe(point, *rest) if rest else Operations(point)
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        request = receive(source)
        if request is None:
            return
        name, arguments = request
        begun = time.monotonic()
        for attempt in range(STALE_ATTEMPTS):
            error, value = 0, None
            try:
                value = getattr(target, name)(*arguments)
            except OSError as failure:
                error = failure.errno
                value = str(failure)
            if error != errno.ESTALE:
                break
            # The kernel of this host could not take a folder to the place to which the other host has renamed it, while
            # a rename is under way here, or something in the folder's old parent. NFS clients know it as well.
            time.sleep(0.02)
        send(sink, (begun, time.monotonic(), error, value))


if __name__ == "__main__":
    main()
