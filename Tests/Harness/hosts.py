"""Hosts for tests with real processes: a kernel host (a VM with the real DRBD 8.4) and Yoke hosts (namespaces).

Every host offers the same verbs (drbdadm, states, write, read, pattern), so that a test reads the same in both
directions. Nothing here sleeps for a fixed time to let something happen: tests wait for a condition with a deadline.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from nbd import NBDClient, NBDError

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
REFNODE = os.path.join(TOP, "Tests", "Reference", "refnode")
BINARIES = os.environ.get("YOKE_BINARIES", os.path.join(TOP, ".build", "release"))
# A run of everything takes a part of the slowest tests; a step that is named takes all of them.
FULL = os.environ.get("YOKE_EXTENT", "full") == "full"
FULL_ONLY = "only when its step is named: scripts/test interop"
SECTOR = 512
BLOCK = 4096


class Failed(AssertionError):
    """A command that should have succeeded did not."""


def wait_until(what, condition, seconds=60, pause=0.1):
    """Waits for `condition()` to be true; its last value is in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed("not within %g s: %s (last: %r)" % (seconds, what, value))
        time.sleep(pause)


def run(*words, check=True, timeout=120, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode:
        raise Failed("%s: exit %d\n%s%s" % (" ".join(map(str, words)), done.returncode, done.stdout, done.stderr))
    return done


def refnode(*words, **options):
    return run(REFNODE, *words, **options)


class Network:
    """The LAN of one test run; removed with everything on it at the end."""

    def __init__(self, with_kernel_hosts=True):
        if with_kernel_hosts:
            refnode("build", timeout=600)
        refnode("clean")
        refnode("lan", "up")

    def close(self):
        refnode("clean")


def configuration(hosts, net="", disk="", startup="", handlers="", common="", name="r0", port=7788, legacy=""):
    """The text of drbd.conf for the given hosts, each a (name, address, disk path, meta-disk) tuple."""
    sections = "\n".join(
        "  on %s {\n    device /dev/drbd0;\n    disk %s;\n    address %s:%d;\n    meta-disk %s;\n  }" % (
            host.name, host.disk_path, host.address, port, host.meta_disk) for host in hosts)
    return """global { usage-count no; }
%(common)s
resource %(name)s {
  %(legacy)s
  net { %(net)s }
  disk { %(disk)s }
  startup { %(startup)s }
  handlers { %(handlers)s }
%(sections)s
}
""" % dict(common=common, name=name, net=net, disk=disk, startup=startup, handlers=handlers, sections=sections,
           legacy=legacy)


class Host:
    meta_disk = "internal"

    def states(self):
        """(connection, (own role, peer role), (own disk, peer disk)) of minor 0, as /proc/drbd tells it."""
        match = re.search(r"^\s*0: cs:(\S+)(?: ro:(\S+)/(\S+) ds:(\S+)/(\S+))?", self.proc_drbd(), re.M)
        if not match:
            return ("Unconfigured", ("", ""), ("", ""))
        cs, role, peer, disk, peer_disk = match.groups()
        return (cs, (role, peer), (disk, peer_disk))

    def counters(self):
        """The counters of /proc/drbd's second line as numbers (KiB where it says so)."""
        line = re.search(r"^\s+ns:.*$", self.proc_drbd(), re.M)
        return {k: int(v) for k, v in re.findall(r"(\w+):(\d+)", line.group(0))} if line else {}

    def wait_for(self, cs=None, role=None, disk=None, seconds=90):
        def reached():
            now = self.states()
            self.last = now
            return ((cs is None or now[0] in (cs if isinstance(cs, tuple) else (cs,)))
                    and (role is None or "/".join(now[1]) == role) and (disk is None or "/".join(now[2]) == disk))
        try:
            wait_until("%s: cs %s ro %s ds %s" % (self.name, cs, role, disk), reached, seconds)
        except Failed as failure:
            raise Failed("%s: wanted cs:%s ro:%s ds:%s, is %r\n--- log\n%s" % (
                self.name, cs, role, disk, self.last, self.log_tail())) from failure

    def get_gi(self):
        return self.drbdadm("get-gi", "r0").stdout.strip().splitlines()[-1]

    def data_bytes(self):
        """The replicated part of the disk file, read from outside."""
        sectors = self.size_sectors()
        with open(self.image, "rb") as image:
            return image.read(sectors * SECTOR)


class KernelHost(Host):
    """A VM with Debian's kernel and its drbd.ko."""
    disk_path = "/dev/vda"

    def __init__(self, name, address, size_mib, folder):
        self.name, self.address = name, address
        self.image = os.path.join(folder, name + ".img")
        self.size_mib = size_mib
        self.fresh_disk()
        self.boot()

    def fresh_disk(self):
        with open(self.image, "wb") as image:
            image.truncate(self.size_mib << 20)

    def boot(self):
        refnode("start", self.name, self.address, "--disk", self.image, timeout=180)

    def shell(self, script, check=True, timeout=120):
        done = run(REFNODE, "sh", self.name, script, check=False, timeout=timeout)
        if check and done.returncode:
            raise Failed("%s: %s\nexit %d\n%s" % (self.name, script, done.returncode, done.stdout + done.stderr))
        return done

    def configure(self, text):
        self.shell("cat > /etc/drbd.conf <<'END'\n%s\nEND" % text)

    def drbdadm(self, *words, check=True, timeout=120):
        return self.shell("drbdadm " + " ".join(words), check=check, timeout=timeout)

    def create_md(self):
        """Fresh metadata on a disk of zeroes: equal to the other host's, so that a first sync may be left out."""
        self.shell("dd if=/dev/zero of=/dev/vda bs=4M oflag=direct 2>/dev/null; drbdmeta --force 0 v08 /dev/vda internal"
                   " create-md >/dev/null 2>&1")

    def proc_drbd(self):
        return self.shell("cat /proc/drbd", check=False).stdout

    def size_sectors(self):
        return int(self.shell("blockdev --getsz /dev/drbd0 2>/dev/null || cat /sys/block/drbd0/size").stdout.split()[0])

    def write(self, offset, data, fua=False):
        path = os.path.join(os.path.dirname(self.image), "push.bin")
        with open(path, "wb") as out:
            out.write(data)
        refnode("push", self.name, path, "/tmp/push.bin")
        self.shell("dd if=/tmp/push.bin of=/dev/drbd0 bs=4096 seek=%d oflag=direct conv=notrunc 2>/dev/null"
                   % (offset // BLOCK))

    def write_pattern(self, offset, length, byte):
        """Fills a range with one byte value, direct."""
        self.shell("head -c %d /dev/zero | tr '\\0' '\\%03o' > /dev/shm/p && dd if=/dev/shm/p of=/dev/drbd0 bs=4096 "
                   "seek=%d oflag=direct conv=notrunc 2>/dev/null; rm -f /dev/shm/p"
                   % (length, byte, offset // BLOCK))

    def trim(self, offset, length):
        self.shell("blkdiscard -o %d -l %d /dev/drbd0" % (offset, length))

    def fio(self, *options, timeout=300):
        return self.shell("fio --filename=/dev/drbd0 --direct=1 --name=j %s" % " ".join(options), timeout=timeout)

    def log_tail(self, lines=60):
        return self.shell("dmesg | grep -v audit | tail -%d" % lines, check=False).stdout

    def dmesg(self):
        return self.shell("dmesg", check=False).stdout

    def clear_log(self):
        self.shell("dmesg -c >/dev/null", check=False)

    def kill(self):
        refnode("kill", self.name)

    def link(self, state):
        refnode("link", self.name, state)

    def tear_down(self):
        self.shell("drbdadm down all >/dev/null 2>&1; drbdsetup down r0 >/dev/null 2>&1; true", check=False)

    def close(self):
        self.kill()


class YokeHost(Host):
    """A network namespace with its own root and daemon."""

    def __init__(self, name, address, size_mib, folder, own_namespace=True):
        self.name, self.address = name, address
        self.root = os.path.join(folder, name)
        self.image = os.path.join(folder, name + ".img")
        self.disk_path = self.image
        self.size_mib = size_mib
        self.daemon = None
        self.log_path = os.path.join(folder, name + ".log")
        os.makedirs(self.root + "/etc/drbd.d", exist_ok=True)
        self.fresh_disk()
        if own_namespace:
            refnode("host", name, address)

    def fresh_disk(self):
        with open(self.image, "wb") as image:
            image.truncate(self.size_mib << 20)

    def inside(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def start(self, *options):
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen(
                self.inside(BINARIES + "/yoked", "--root", self.root, "--node", self.name,
                            *(options or ("--no-start",))),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("%s: the control socket answers" % self.name,
                   lambda: self.yoke("status", check=False).returncode in (0, 1, 2)
                   and os.path.exists(self.root + "/run/yoke/yoked.sock"), 20)

    def boot(self):
        self.start()

    def yoke(self, *words, check=True, timeout=120):
        return run(*self.inside(BINARIES + "/yoke", "--root", self.root, "--node", self.name, *words), check=check,
                   timeout=timeout)

    def configure(self, text):
        with open(self.root + "/etc/drbd.conf", "w") as out:
            out.write(text)

    def drbdadm(self, *words, check=True, timeout=120):
        return self.yoke("drbdadm", *words, check=check, timeout=timeout)

    def create_md(self):
        """Fresh metadata on a disk of zeroes: equal to the other host's, so that a first sync may be left out."""
        self.fresh_disk()
        self.yoke("drbdadm", "--", "--force", "create-md", "r0")

    def proc_drbd(self):
        return self.yoke("proc-drbd", check=False).stdout

    def size_sectors(self):
        text = self.yoke("drbdsetup", "status", "r0", "--verbose", "--statistics").stdout
        return 2 * int(re.search(r"\bsize:(\d+)", text).group(1))

    @property
    def nbd_socket(self):
        return self.root + "/run/yoke/r0.0.nbd"

    def nbd(self):
        return NBDClient(self.nbd_socket, "r0")

    def write(self, offset, data, fua=False):
        with self.nbd() as client:
            client.write(offset, data, fua)

    def write_pattern(self, offset, length, byte):
        with self.nbd() as client:
            while length:
                piece = min(length, 1 << 20)
                client.write(offset, bytes([byte]) * piece)
                offset, length = offset + piece, length - piece

    def trim(self, offset, length):
        with self.nbd() as client:
            client.trim(offset, length)

    def fio(self, *options, timeout=300):
        return run("fio", "--ioengine=nbd", "--uri=nbd+unix:///r0?socket=" + self.nbd_socket, "--name=j", *options,
                   cwd=self.root, timeout=timeout)

    def log_tail(self, lines=60):
        with open(self.log_path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def dmesg(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def clear_log(self):
        os.truncate(self.log_path, 0)

    def kill(self):
        """kill -9 of the daemon: `ip netns exec` has become it by exec."""
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None

    def stop(self):
        if self.daemon:
            self.daemon.terminate()
            code = self.daemon.wait(timeout=60)
            self.daemon = None
            return code

    def link(self, state):
        refnode("link", self.name, state)

    def tear_down(self):
        self.drbdadm("down", "all", check=False)

    def close(self):
        if self.daemon:
            self.daemon.terminate()
            try:
                self.daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
            self.daemon = None


def differing_blocks(first, second):
    """Numbers of the 4 KiB blocks in which two byte strings differ; the lengths must be equal."""
    assert len(first) == len(second), "sizes %d and %d" % (len(first), len(second))
    if first == second:
        return []
    return [at // BLOCK for at in range(0, len(first), BLOCK) if first[at:at + BLOCK] != second[at:at + BLOCK]]


class Background:
    """A function in a thread; its exception comes back with join()."""

    def __init__(self, function, *arguments):
        self.error = self.value = None

        def body():
            try:
                self.value = function(*arguments)
            except BaseException as error:  # noqa: reported by join
                self.error = error
        self.thread = threading.Thread(target=body, daemon=True)
        self.thread.start()

    def join(self, seconds=300):
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise Failed("still running after %g s" % seconds)
        if self.error:
            raise self.error
        return self.value
