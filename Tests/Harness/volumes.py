"""Volumes under test: a daemon that mounts images of this host, a VM that mounts the same images, and manifests.

A manifest is everything an application can see of a tree: names, types, modes, owners, sizes, links, times, blocks,
contents, link targets, extended attributes. The same shell script with the same busybox makes it on both sides.
"""
import base64
import gzip
import os
import random
import re
import socket
import string
import subprocess

from hosts import Failed, KernelHost, YokeHost, refnode, run

MANIFEST = r"""
export TZ=UTC LC_ALL=C; cd %s || exit 1
echo '=stat'; find . -print0 | xargs -0 stat -c '%%f %%u:%%g %%s %%h %%y %%b %%t:%%T|%%n'
echo '=sum'; find . -type f -size -%dk -print0 | xargs -0 -r sha256sum
echo '=link'; find . -type l -print0 | xargs -0 -r stat -c '%%N|%%n'
echo '=xattr'; getfattr -R -P -h -d -m - -e hex --absolute-names . 2>/dev/null
echo '=end'
"""


SUMMED_KIB = 20000
"""Larger files are not summed, unless more is asked for."""


class LocalHost(YokeHost):
    """A daemon without a network namespace of its own: its mounts are those of this process."""

    def __init__(self, name, folder):
        super().__init__(name, "127.0.0.1", 1, folder, own_namespace=False)
        self.applets = os.path.join(folder, "applets")
        os.makedirs(self.applets, exist_ok=True)
        run("busybox", "--install", "-s", self.applets)

    def inside(self, *words):
        return [str(word) for word in words]

    def revive(self):
        """Starts the daemon again if it was killed."""
        if self.daemon is None or self.daemon.poll() is not None:
            self.daemon = None
            self.start()

    def mount(self, image, point, *options):
        self.yoke("mount", *options, image, point)

    def umount(self, point):
        self.yoke("umount", point)

    def cut(self, point):
        """kill -9 of the daemon, and what it leaves behind in the mount table."""
        self.kill()
        run("umount", "-l", point, check=False)

    def manifest(self, point, summed=SUMMED_KIB, timeout=120):
        done = subprocess.run(["busybox", "sh", "-c", MANIFEST % (point, summed)], capture_output=True, timeout=timeout,
                              env=dict(os.environ, PATH=self.applets + ":/usr/bin:/bin"))
        return parse_manifest(done.stdout, done.stderr)


class VolumeVM(KernelHost):
    """A VM with the kernel's OCFS2 and the given images as /dev/vda, /dev/vdb, ..."""

    def __init__(self, name, address, folder, images, mebibytes=512):
        self.name, self.address, self.images, self.mebibytes = name, address, images, mebibytes
        self.scratch = os.path.join(folder, name + ".push")
        self.boot()

    def boot(self):
        disks = [word for image in self.images for word in ("--disk", image)]
        refnode("start", self.name, self.address, *disks, "--mem", self.mebibytes, timeout=180)
        self.clear_log()

    def revive(self):
        if ("%s %s running" % (self.name, self.address)) not in refnode("list").stdout:
            refnode("kill", self.name)
            self.boot()

    def device(self, image):
        return "/dev/vd" + string.ascii_lowercase[self.images.index(image)]

    def mount(self, image):
        self.shell("mount.ocfs2 %s /mnt" % self.device(image))

    def umount(self):
        self.shell("cd /; umount /mnt")

    def put(self, content, remote):
        with open(self.scratch, "wb") as out:
            out.write(content)
        refnode("push", self.name, self.scratch, remote)

    def put_program(self, path):
        """A program of this host with the libraries that the VM lacks."""
        libraries = [word for word in run("ldd", path).stdout.split() if word.startswith("/") and ".so" in word]
        have = self.shell("ls " + " ".join(libraries) + " 2>/dev/null", check=False).stdout.split()
        for name in [path] + [library for library in libraries if library not in have]:
            refnode("push", self.name, os.path.realpath(name), "/usr/local/bin/" + os.path.basename(path)
                    if name == path else name)

    def manifest(self, point="/mnt", summed=SUMMED_KIB, timeout=120):
        self.put((MANIFEST % (point, summed)).encode(), "/tmp/manifest.sh")
        done = self.shell("sh /tmp/manifest.sh 2>/tmp/manifest.err | gzip -1 | base64; cat /tmp/manifest.err >&2",
                          timeout=timeout)
        lines = done.stdout.split("\n")
        text = "".join(line for line in lines if line and " " not in line and ":" not in line)
        return parse_manifest(gzip.decompress(base64.b64decode(text)), b"")

    def complaints(self):
        """Lines of the kernel's log that tell of a fault."""
        words = ("ERROR", "BUG", "WARNING", "Oops", "call trace", "corrupt", "I/O error", "error -")
        return [line for line in self.dmesg().splitlines() if any(word.lower() in line.lower() for word in words)]


def unescape(name):
    """getfattr's names: bytes outside of ASCII and backslashes are `\\ooo`."""
    out, at = bytearray(), 0
    while at < len(name):
        if name[at:at + 1] == b"\\" and name[at + 1:at + 4].isdigit():
            out.append(int(name[at + 1:at + 4], 8))
            at += 4
        else:
            out += name[at:at + 1]
            at += 1
    return bytes(out)


def parse_manifest(text, errors):
    """The script's output as {path: {field: value}}."""
    tree, section, current = {}, None, None
    for line in text.split(b"\n"):
        if line.startswith(b"=") and line[1:].isalpha():
            section = line[1:].decode()
        elif not line:
            continue
        elif section == "stat":
            facts, name = line.split(b"|", 1)
            mode, owner, size, links, date, time, zone, blocks, device = facts.decode().split()
            tree[name] = dict(mode=mode, owner=owner, size=int(size), links=int(links), mtime=date + " " + time,
                              blocks=int(blocks), device=device)
        elif section == "sum":
            tree[line[66:]]["sha256"] = line[:64].decode()
        elif section == "link":
            target, name = line.rsplit(b"|", 1)
            tree[name]["target"] = target
        elif section == "xattr" and line.startswith(b"# file: "):
            current = tree[unescape(line[8:])].setdefault("xattrs", {})
        elif section == "xattr":
            key, _, value = line.partition(b"=")
            current[unescape(key)] = value
    if section != "end" or errors.strip():
        raise Failed("no whole manifest: last section %r, %d paths\n%s" % (
            section, len(tree), errors.decode(errors="replace")[-2000:]))
    return tree


def differences(first, second, below=b"", limit=20):
    """Lines that tell where two manifests differ, for paths that begin with `below`."""
    out = []
    for path in sorted(set(first) | set(second)):
        if not path.startswith(below):
            continue
        if path not in first or path not in second:
            out.append("%r: only in the %s" % (path, "second" if path in second else "first"))
            continue
        one, two = first[path], second[path]
        for field in sorted(set(one) | set(two)):
            if one.get(field) != two.get(field):
                out.append("%r: %s %.200r / %.200r" % (path, field, one.get(field), two.get(field)))
    return out[:limit] + (["... and %d more" % (len(out) - limit)] if len(out) > limit else [])


def faults(path, timeout=120):
    """What fsck.ocfs2 complains about; its exit status is 0 even then."""
    done = run("fsck.ocfs2", "-fn", path, check=False, timeout=timeout)
    if "All passes succeeded" not in done.stdout:
        raise Failed("fsck.ocfs2 %s: exit %d\n%s%s" % (path, done.returncode, done.stdout, done.stderr))
    return [line for line in done.stdout.splitlines() if line.startswith("[")]


def unlisted(path, timeout=120):
    """Faults without those that fsck.ocfs2 reports of the kernel's own volumes (Spec: ocfs2-disk-2 23)."""
    found = run("debugfs.ocfs2", "-R", "stats", path).stdout
    system = re.search(r"System Dir Blknum:\s+(\d+)", found).group(1)
    known = ("[INODE_SPARSE_SIZE]", "[XATTR_FREE_START_INVALID]", "[CLUSTER_ALLOC_BIT]",
             "[DX_TREE_MISSING] Directory %s is" % system)
    return [line for line in faults(path, timeout) if not line.startswith(known)]


class Filler:
    """A seeded tree with every kind of object; the same seed makes the same tree."""

    def __init__(self, top, seed, scale=1.0):
        self.top, self.scale, self.choose = os.fsencode(top), scale, random.Random(seed)

    def count(self, number):
        return max(3, int(number * self.scale))

    def path(self, *parts):
        return os.path.join(self.top, *(part if isinstance(part, bytes) else part.encode() for part in parts))

    def write(self, *parts, size=None, content=None):
        path = self.path(*parts)
        with open(path, "wb") as out:
            out.write(self.choose.randbytes(size) if content is None else content)
        return path

    def everything(self):
        self.small_files()
        self.big_directory()
        self.links()
        self.holes()
        self.many_extents()
        self.preallocated()
        self.special_files()
        self.deep()
        self.attributes()
        self.access_lists()
        self.times()
        return self

    def small_files(self):
        os.mkdir(self.path("small"))
        sizes = (0, 1, 11, 100, 1000, 3000, 3896, 3897, 4095, 4096, 4097, 9000, 40000)
        for number in range(self.count(600)):
            path = self.write("small", "f%04d" % number, size=sizes[number % len(sizes)])
            os.chmod(path, self.choose.choice((0o644, 0o600, 0o4755, 0o2711, 0o000, 0o1777)))
            os.chown(path, self.choose.randrange(70000), self.choose.randrange(70000))
        self.write("large", size=9 << 20)

    def big_directory(self):
        os.mkdir(self.path("big"))
        names = set()
        while len(names) < self.count(2000):
            length = self.choose.choice((1, 5, 8, 20, 60, 120, 254, 255))
            name = bytes(self.choose.choice(b"abcXYZ019 ._-+'\"$*\x80\xa0\xc3\xff\x01") for _ in range(length))
            if name not in (b".", b".."):
                names.add(name)
        for name in sorted(names):
            os.close(os.open(self.path("big", name), os.O_CREAT | os.O_WRONLY, 0o640))
        # Holes in the leaves, and names again in the freed places.
        for name in sorted(names)[::5]:
            os.unlink(self.path("big", name))
        for number in range(self.count(150)):
            self.write("big", "again-%d" % number, content=b"again")

    def links(self):
        os.mkdir(self.path("links"))
        first = self.write("links", "first", size=5000)
        for number in range(self.count(300)):
            os.link(first, self.path("links", "hard-%03d" % number))
        for length in (1, 59, 60, 61, 300, 1000, 3000, 4000):
            os.symlink((b"t" * 49 + b"/") * (length // 50) + b"e" * (length % 50 or 1),
                       self.path("links", "soft-%d" % length))

    def holes(self):
        os.mkdir(self.path("holes"))
        for number in range(self.count(8)):
            with open(self.path("holes", "h%d" % number), "wb") as out:
                for _ in range(self.choose.randrange(1, 40)):
                    out.seek(self.choose.randrange(4 << 20))
                    out.write(self.choose.randbytes(self.choose.randrange(1, 9000)))
                out.truncate(self.choose.choice((5 << 20, (4 << 20) + 1)))
        with open(self.path("holes", "far"), "wb") as out:
            out.seek(3 << 40)
            out.write(b"end")

    def many_extents(self):
        """Two files that grow in turn, and one written backwards in every second block."""
        os.mkdir(self.path("extents"))
        with open(self.path("extents", "a"), "wb") as a, open(self.path("extents", "b"), "wb") as b:
            for _ in range(self.count(400)):
                for out in (a, b):
                    out.write(self.choose.randbytes(4096))
                    out.flush()
        with open(self.path("extents", "back"), "wb") as out:
            for block in range(self.count(1500), 0, -1):
                out.seek(block * 2 * 4096)
                out.write(self.choose.randbytes(4096))
                out.flush()

    def preallocated(self):
        os.mkdir(self.path("unwritten"))
        path = self.write("unwritten", "plain", content=b"")
        run("fallocate", "-l", 5 << 20, path.decode())
        with open(path, "r+b") as out:
            for offset in (0, 70000, 1 << 20, (3 << 20) + 17):
                out.seek(offset)
                out.write(self.choose.randbytes(6000))
        for name, options in (("keep", ("-n", "-o", 8192, "-l", 1 << 20)), ("punched", ("-p", "-o", 10000, "-l", 900000)),
                              ("zeroed", ("-z", "-o", 5000, "-l", 700000))):
            path = self.write("unwritten", name, size=2 << 20 if name != "keep" else 3)
            run("fallocate", *options, path.decode(), check=name != "zeroed")

    def special_files(self):
        os.mkdir(self.path("special"))
        os.mknod(self.path("special", "char"), 0o20666, os.makedev(1, 3))
        os.mknod(self.path("special", "block"), 0o60600, os.makedev(259, 1000))
        os.mkfifo(self.path("special", "pipe"), 0o622)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        os.chdir(self.path("special"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
        os.fchdir(here)
        os.close(here)

    def deep(self):
        path = self.path("deep")
        os.mkdir(path)
        for level in range(self.count(60)):
            path = os.path.join(path, b"level-%02d" % level)
            os.mkdir(path)
        with open(os.path.join(path, b"bottom"), "wb") as out:
            out.write(b"bottom")

    def attributes(self):
        os.mkdir(self.path("xattr"))
        put = os.setxattr
        one = self.write("xattr", "one", content=b"one")
        put(one, "user.small", b"value")
        put(one, "trusted.empty", b"")
        for size in (1, 79, 80, 81, 300, 4000, 30000, 65536):
            path = self.write("xattr", "v%d" % size, size=10)
            put(path, "user.v%d" % size, self.choose.randbytes(size))
            put(path, "trusted.t", b"t")
        many = self.write("xattr", "many", size=100)
        for number in range(self.count(500)):
            put(many, "user.name-%05d" % number, self.choose.randbytes(self.choose.choice((0, 5, 40, 80, 81, 200))))
        for number in range(0, self.count(500), 3):
            os.removexattr(many, "user.name-%05d" % number)
        for number in range(1, self.count(500), 6):
            if number % 3:
                put(many, "user.name-%05d" % number, self.choose.randbytes(self.choose.choice((60, 100, 3000))))
        directory = self.path("xattr", "directory")
        os.mkdir(directory)
        put(directory, "user.d", b"d" * 70)
        for number in range(30):
            put(directory, "trusted.n%d" % number, b"x" * number * 8)
        os.symlink("x", self.path("xattr", "link"))
        put(self.path("xattr", "link"), "trusted.link", b"of the link", follow_symlinks=False)

    def access_lists(self):
        os.mkdir(self.path("acl"))
        path = self.write("acl", "file", size=10).decode()
        run("setfacl", "-m", "u:1000:rwx,u:1001:r,g:50:rx,m::rx", path)
        top = self.path("acl", "heirs").decode()
        os.mkdir(top)
        run("setfacl", "-d", "-m", "u:1000:rwx,g:7:r", top)
        os.mkdir(self.path("acl", "heirs", "child"))
        self.write("acl", "heirs", "child", "grandchild", size=10)

    def times(self):
        for nanoseconds in (0, 1, 1_000_000_000, 1_234_567_890_123_456_789, 4_000_000_000_999_999_999):
            path = self.write("time-%d" % nanoseconds, content=b"")
            os.utime(path, ns=(nanoseconds, nanoseconds))


def change_every_third(top, choose):
    """What the VM's script does as well: every third file removed, renamed, appended to; new ones made."""
    files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(os.fsencode(top)) for name in names
                   if os.path.isfile(os.path.join(folder, name)) and not os.path.islink(os.path.join(folder, name)))
    for number, path in enumerate(files):
        if number % 3 == 0:
            os.unlink(path)
        elif number % 3 == 1:
            os.rename(path, os.path.join(os.path.dirname(path), b"moved-%d" % number))
        else:
            with open(path, "ab") as out:
                out.write(choose.randbytes(choose.choice((1, 100, 5000))))
    os.mkdir(os.path.join(os.fsencode(top), b"newer"))
    for number in range(300):
        with open(os.path.join(os.fsencode(top), b"newer/n%d" % number), "wb") as out:
            out.write(choose.randbytes(choose.randrange(20000)))
