"""The operations: each function chooses one that may run now and says what the model becomes when it ends.

A function gets the coordinator and the worker's process and gives a `Task`, or None when what it chose is not free.
"""
import stat

from load import Task
from model import ABSENT, UNKNOWN, File, Folder, Link, Mismatch, Content

KIB = 1024
SIZE_MAX = 192 * KIB
FILES_MAX = 160


def is_free(slot, is_exclusive):
    if slot.exclusive or (is_exclusive and slot.shared):
        return False
    return slot.parent is None or not slot.parent.exclusive


def is_usable(load, slot, is_exclusive):
    if not is_free(slot, is_exclusive) or not load.model.is_usable(slot.register):
        return False
    return slot.parent is None or load.model.is_usable(slot.parent.register)


def pick(load, kind, is_exclusive=False):
    """A slot with such an object behind it (ABSENT: with none) that is free."""
    slots = [slot for slot in load.model.slots()
             if (slot.current is ABSENT if kind is ABSENT else isinstance(slot.current, kind))]
    for _ in range(5):
        if not slots:
            return None
        slot = load.random.choice(slots)
        if is_usable(load, slot, is_exclusive):
            return slot
    return None


def with_parents(*slots):
    return [slot.parent for slot in slots if slot.parent]


def is_file_usable(load, file):
    return not file.is_written and all(load.model.is_usable(register) for register in file.registers())


def data(load, size):
    """Bytes that say which operation wrote them."""
    word = b"<%08x>" % (load.sequence + 1)
    return (word * (size // len(word) + 1))[:size]


def size(load, limit=64 * KIB):
    return load.random.choice((1, 7, 100, 512, 4095, 4096, 4097, 10000, 30000, 65536, load.random.randrange(1, limit)))


def sync(load):
    return load.random.random() < 0.4


def names_seen(host, *slots):
    for slot in slots:
        slot.register.seen(host)
        if slot.parent:
            slot.parent.register.seen(host)


# Names

def change_names(task, host, changes):
    """`changes`: slot -> what is behind it afterwards."""
    def done(value, begun, ended):
        for slot, new in changes.items():
            names_seen(host, slot)
            slot.register.change(host, new)
            slot.changed_at = ended
            slot.changes += 1

    def unsure():
        for slot, new in changes.items():
            slot.register.attempted(host, new)
            slot.changes += 1
    task.done, task.unsure = done, unsure
    return task


def create(load, process):
    slot = pick(load, ABSENT, True)
    if not slot or len(load.model.files) > FILES_MAX:
        return None
    host = process.host.name
    content = data(load, size(load)) if load.random.random() < 0.8 else b""
    mode = load.random.choice((0o644, 0o600, 0o444))
    is_synced = sync(load)
    file = load.model.new_file(host, mode, slot.path)
    task = change_names(
        Task("create", (slot.path, content, mode, is_synced), [slot], with_parents(slot)), host, {slot: file})
    named, unsure_name = task.done, task.unsure

    def done(ino, begun, ended):
        named(ino, begun, ended)
        file.ino = ino
        file.content.change(host, content)
        if is_synced:
            for register in (*file.registers(), slot.register):
                register.synced(host)

    def unsure():
        unsure_name()
        file.content.attempted(host, content)
    task.done, task.unsure = done, unsure
    return task


def unlink(load, process):
    slot = pick(load, (File, Link), True)
    if not slot:
        return None
    return change_names(
        Task("unlink", (slot.path,), [slot], with_parents(slot)), process.host.name, {slot: ABSENT})


def unlinked(load, process):
    slot = pick(load, File, True)
    if not slot or not is_file_usable(load, slot.current):
        return None
    if sum(1 for one in load.model.all_slots() if slot.current in one.register.possible) > 1:
        return None
    file, host = slot.current, process.host.name
    written = data(load, size(load))
    task = change_names(
        Task("unlinked", (slot.path, written), [slot], with_parents(slot), written=file), host, {slot: ABSENT})
    named, unsure_name = task.done, task.unsure
    before = file.content.current

    def done(value, begun, ended):
        named(value, begun, ended)
        file.content.check(value[0], [before], slot.path + " opened and unlinked")
        file.content.check(value[1], [written + before[len(written):]], slot.path + " unlinked and written")

    def unsure():
        unsure_name()
        file.content.attempted(host, written + before[len(written):])
        file.mtime.attempted(host, UNKNOWN)
    task.done, task.unsure = done, unsure
    return task


def rename(load, process):
    old = pick(load, (File, Link, Folder), True)
    over = load.random.random() < 0.4
    new = pick(load, (File, Link) if over else ABSENT, True)
    if not old or not new or old is new or new.parent is old:
        return None
    if isinstance(old.current, Folder) and (over or new.parent or is_busy_inside(old)):
        return None
    if isinstance(old.current, File) and new.current is old.current:
        return None
    folder = old.current if isinstance(old.current, Folder) else None
    task = change_names(
        Task("rename", (old.path, new.path), [old, new], with_parents(old, new)), process.host.name,
        {old: ABSENT, new: old.current})
    named, unsure_name = task.done, task.unsure

    def done(value, begun, ended):
        named(value, begun, ended)
        for inner in folder.slots.values() if folder else ():
            inner.parent = new
    task.done = done
    return task


def is_busy_inside(slot):
    return slot.shared or any(
        inner.exclusive or inner.shared or inner.register.is_unsure for inner in slot.current.slots.values())


def mkdir(load, process):
    slot = pick(load, ABSENT, True)
    if not slot or slot.parent:
        return None
    folder = load.model.new_folder(slot)
    task = change_names(Task("mkdir", (slot.path,), [slot]), process.host.name, {slot: folder})
    named = task.done

    def done(ino, begun, ended):
        named(ino, begun, ended)
        folder.ino = ino
    task.done = done
    return task


def rmdir(load, process):
    slot = pick(load, Folder, True)
    if not slot or is_busy_inside(slot):
        return None
    if any(inner.current is not ABSENT or not load.model.is_usable(inner.register)
           for inner in slot.current.slots.values()):
        return None
    return change_names(Task("rmdir", (slot.path,), [slot]), process.host.name, {slot: ABSENT})


def link(load, process):
    old, new = pick(load, File), pick(load, ABSENT, True)
    if not old or not new:
        return None
    return change_names(
        Task("link", (old.path, new.path), [new], [old, *with_parents(old, new)]), process.host.name,
        {new: old.current})


def symlink(load, process):
    slot = pick(load, ABSENT, True)
    if not slot:
        return None
    target = "../%s-%d" % ("t" * load.random.choice((3, 60, 300)), load.sequence)
    return change_names(
        Task("symlink", (target, slot.path), [slot], with_parents(slot)), process.host.name, {slot: Link(target)})


def readdir(load, process):
    """Beside changes: names that nobody touches meanwhile are exact."""
    name = load.random.choice(load.model.folders)
    folder, host = load.model.top[name], process.host.name
    before = {slot: slot.changes for slot in folder.slots.values()
              if load.model.is_usable(slot.register) and not slot.exclusive}
    there = {slot for slot in before if slot.current is not ABSENT}
    task = Task("readdir", (name,))

    def done(names, begun, ended):
        if len(set(names)) != len(names):
            raise Mismatch("a name twice: %s" % sorted(names))
        if set(names) - set(folder.slots):
            raise Mismatch("nobody made %s" % sorted(set(names) - set(folder.slots)))
        for slot, changes in before.items():
            if slot.changes != changes or slot.exclusive:
                continue
            if (slot.name in names) != (slot in there):
                raise Mismatch("%s is %s, by the model %s" % (
                    slot.path, "there" if slot.name in names else "not there", slot.current))
    task.done = done
    return task


def look_absent(load, process):
    slot = pick(load, ABSENT)
    if not slot:
        return None
    task = Task("look", (slot.path,), [], [slot, *with_parents(slot)])

    def done(record, begun, ended):
        if record is not None:
            raise Mismatch("%s is there: %s" % (slot.path, record))
        names_seen(process.host.name, slot)
    task.done = done
    return task


def sync_folder(load, process):
    name = load.random.choice(load.model.folders)
    task = Task("fsync", (name,))
    task.done = lambda value, begun, ended: load.model.synced_names(process.host.name, load.model.top[name], begun)
    return task


# Files

def pick_file(load):
    slot = pick(load, File)
    return slot if slot and is_file_usable(load, slot.current) else None


def change_file(load, process, slot, name, arguments, content=None, is_synced=False, **changes):
    """An operation that gives the file this content, and these values of other registers."""
    file, host = slot.current, process.host.name
    task = Task(name, arguments, [], [slot, *with_parents(slot)], written=file)
    if content is not None:
        changes.update(content=content, mtime=UNKNOWN)
        for versions in file.readers:
            versions.append(content)
        task.pending = content

    def done(value, begun, ended):
        names_seen(host, slot)
        for register, new in changes.items():
            getattr(file, register).change(host, new)
        if is_synced:
            file.content.synced(host)

    def unsure():
        for register, new in changes.items():
            getattr(file, register).attempted(host, new)
    task.done, task.unsure = done, unsure
    return task


def patched(old, offset, new):
    return old[:offset].ljust(offset, b"\0") + new + old[offset + len(new):]


def write(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    old = slot.current.content.current
    new = data(load, size(load))
    offset = load.random.choice((0, len(old), load.random.randrange(len(old) + 1), load.random.randrange(64 * KIB)))
    is_synced = sync(load)
    if offset + len(new) > SIZE_MAX:
        return None
    return change_file(load, process, slot, "write", (slot.path, offset, new, is_synced), patched(old, offset, new), is_synced)


def append(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    old = slot.current.content.current
    new = data(load, size(load, 8 * KIB))
    is_synced = sync(load)
    if len(old) + len(new) > SIZE_MAX:
        return None
    return change_file(load, process, slot, "append", (slot.path, new, is_synced), old + new, is_synced)


def direct(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    old = slot.current.content.current
    new = data(load, 4 * KIB * load.random.randrange(1, 9))
    offset = 4 * KIB * load.random.randrange(8)
    is_synced = sync(load)
    return change_file(load, process, slot, "direct", (slot.path, offset, new, is_synced), patched(old, offset, new), is_synced)


def store(load, process):
    slot = pick_file(load)
    if not slot or not slot.current.content.current:
        return None
    old = slot.current.content.current
    offset = load.random.randrange(len(old))
    new = data(load, min(size(load), len(old) - offset))
    return change_file(load, process, slot, "store", (slot.path, offset, new, True), patched(old, offset, new), True)


def truncate(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    old = slot.current.content.current
    length = load.random.choice((0, len(old) // 2, load.random.randrange(96 * KIB)))
    is_synced = sync(load)
    return change_file(
        load, process, slot, "truncate", (slot.path, length, is_synced), old[:length].ljust(length, b"\0"), is_synced)


def chmod(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    mode = load.random.choice((0o600, 0o640, 0o644, 0o755))
    return change_file(load, process, slot, "chmod", (slot.path, mode), mode=mode)


def utimes(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    time = load.random.randrange(1, 2 ** 31) * 1_000_000_000 + 123_456_789
    return change_file(load, process, slot, "utimes", (slot.path, time), mtime=time)


def setxattr(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    key = "user.k%d" % load.random.randrange(3)
    value = data(load, load.random.choice((1, 30, 200, 3000)))
    new = dict(slot.current.xattrs.current)
    new[key] = value
    return change_file(
        load, process, slot, "setxattr", (slot.path, key, value), xattrs=tuple(sorted(new.items())))


def sync_file(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    file, host = slot.current, process.host.name
    task = Task("fsync", (slot.path,), [], [slot, *with_parents(slot)], written=file)

    def done(value, begun, ended):
        names_seen(host, slot)
        for register in file.registers():
            register.synced(host)
    task.done = done
    return task


def held_read(load, process):
    """A few files again and again: what the kernel keeps must not be old."""
    slot = load.random.choice(list(load.model.top["d0"].slots.values())[:6])
    if not isinstance(slot.current, File) or not is_usable(load, slot, False):
        return None
    return read(load, process, "held_read", slot)


def read(load, process, name="read", slot=None):
    """Also while somebody writes: then each part is of before or of after."""
    slot = slot or pick(load, File)
    if not slot or not all(load.model.is_usable(register) for register in slot.current.registers()):
        return None
    file, host = slot.current, process.host.name
    versions = [file.content.current]
    for other in load.processes:
        if other.task and other.task.written is file and other.task.pending is not None:
            versions.append(other.task.pending)
    file.readers.append(versions)
    key = (file.number,) if name == "held_read" else ()
    task = Task(name, (slot.path, *key), [], [slot, *with_parents(slot)])

    def done(content, begun, ended):
        file.end_read(versions)
        if name == "read":
            names_seen(host, slot)
        file.content.check(content, versions, slot.path, is_beside=True)
        if len(versions) == 1:
            file.content.seen(host)

    def unsure():
        file.end_read(versions)
    task.done, task.unsure = done, unsure
    return task


def load_mapped(load, process):
    """As `read`, through a mapping; not beside a truncation, which would end the process."""
    slot = pick_file(load)
    if not slot:
        return None
    file, host = slot.current, process.host.name
    task = Task("load", (slot.path,), [], [slot, *with_parents(slot)], written=file)

    def done(content, begun, ended):
        names_seen(host, slot)
        file.content.check(content, [file.content.current], slot.path + " mapped")
        file.content.seen(host)
    task.done = done
    return task


def look(load, process):
    slot = pick_file(load)
    if not slot:
        return None
    file, host = slot.current, process.host.name
    task = Task("look", (slot.path,), [], [slot, *with_parents(slot)], written=file)

    def done(record, begun, ended):
        if record is None:
            raise Mismatch("%s is not there" % slot.path)
        found = (record["ino"], stat.S_IMODE(record["mode"]), record["size"], tuple(sorted(record["xattrs"].items())))
        wanted = (file.ino or record["ino"], file.mode.current, len(file.content.current), file.xattrs.current)
        if found != wanted:
            raise Mismatch("%s is %.400r, must be %.400r" % (slot.path, found, wanted))
        if file.mtime.current not in (UNKNOWN, record["mtime"]):
            raise Mismatch("%s has mtime %d, must be %d" % (slot.path, record["mtime"], file.mtime.current))
        names_seen(host, slot)
        for register in file.registers():
            register.seen(host)
    task.done = done
    return task


# What both change at the same time

def journal_append(load, process):
    journal, host = load.journal, process.host.name
    key = journal.next(process.label)
    is_synced = sync(load)
    task = Task("append", (journal.name, journal.record(*key), is_synced))
    task.done = lambda value, begun, ended: journal.done(key, host, is_synced)
    return task


def journal_read(load, process):
    expected = load.journal.expected()
    task = Task("read", (load.journal.name,))
    task.done = lambda content, begun, ended: load.journal.seen(content, expected, process.host.name)
    return task


def counter_turn(load, process):
    least = load.counter.least
    task = Task("turn", (load.counter.name,))
    task.done = lambda value, begun, ended: load.counter.done(value, least, process.host.name)
    return task


OPERATIONS = (
    (create, 8), (unlink, 4), (unlinked, 2), (rename, 6), (mkdir, 2), (rmdir, 1), (link, 2), (symlink, 2), (readdir, 4),
    (look_absent, 3), (sync_folder, 2), (write, 10), (append, 5), (direct, 4), (store, 4), (truncate, 4), (chmod, 2),
    (utimes, 2), (setxattr, 3), (sync_file, 3), (read, 12), (held_read, 8), (load_mapped, 4), (look, 8), (journal_append, 5),
    (journal_read, 2), (counter_turn, 3),
)
