"""Machines for tests that follow a text word by word: each is a host with a root directory of its own.

A machine has its own network, host name, processes, mounts, /etc, /dev, /run and /var, and the machine's programs; in
its /usr/sbin the classic names are links to `yoke`. So commands read as in the text: `drbdadm up res0`, `mount
/dev/drbd0`, `service o2cb status`. Pulling the plug kills its process 1, and with it everything that runs there;
what stays is its root directory, as a disk would.

Nothing outside of the folder that is given is touched. Needs root; no names of network namespaces are used.
"""
import os
import shutil
import signal
import subprocess
import time

from hosts import BINARIES, Failed, run, wait_until

CLASSIC = ("drbdadm", "drbdsetup", "drbdmeta", "drbd-overview", "mkfs.ocfs2", "mounted.ocfs2", "mount.ocfs2", "o2cb",
           "umount.fuse.ocfs2")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = "/srv/yoke"
SYSTEM_PROGRAMS = "/srv/sbin"

# Process 1: ends when this process does; SIGCHLD is ignored, so that nothing that is left to it stays a zombie.
# $1: the root, $2: the name, $3: the programs.
INIT = r"""
set -e
cd "$1"
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount --rbind /usr usr
for name in bin sbin lib lib32 lib64 libx32; do
    if [ -d "/$name" ] && [ ! -L "/$name" ]; then mount --bind "/$name" "$name"; fi
done
mount --bind /usr/sbin .""" + SYSTEM_PROGRAMS + r"""
mount --bind .sbin usr/sbin
mount --bind "$3" .""" + PROGRAMS + r"""
mount -t tmpfs -o mode=755 dev dev
mount -t tmpfs -o mode=755 run run
mount -t proc proc proc
mount --rbind /sys sys
for node in null zero full random urandom tty fuse loop-control; do
    [ -e "/dev/$node" ] && cp -a "/dev/$node" dev/
done
number=0
while [ $number -lt 64 ]; do
    mknod "dev/loop$number" b 7 $number
    [ ! -e "/dev/nbd$number" ] || cp -a "/dev/nbd$number" dev/
    number=$((number + 1))
done
mkdir dev/shm
hostname "$2"
ip link set lo up
echo up
exec chroot . env --ignore-signal=CHLD cat >/dev/null
"""


def child_of(process):
    """The process that `unshare --fork` has made."""
    def found():
        with open("/proc/%d/task/%d/children" % (process.pid, process.pid)) as children:
            return [int(word) for word in children.read().split()]
    return wait_until("unshare has forked", found, 10)[0]


class Switch:
    """What the cables of the machines are plugged into, and their default gateway; a namespace without a name."""

    def __init__(self, gateway):
        """`gateway`: an address with its prefix length."""
        self.gateway = gateway
        self.process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link add br0 type bridge && ip link set br0 up && "
             "ip address add %s dev br0 && echo up && exec cat" % gateway],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"up\n":
            raise Failed("no network namespace with a bridge")

    def ip(self, *words):
        return run("nsenter", "-t", self.process.pid, "-n", "ip", *words)

    def plug(self, name, process, address):
        """A cable named as the machine, to its `eth0`."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", process)
        self.ip("link", "set", name, "master", "br0", "up")
        inside = ("nsenter", "-t", process, "-n", "ip")
        run(*inside, "address", "add", address, "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", self.gateway.split("/")[0])

    def unplug(self, name):
        """The other end goes with its machine, but not at once."""
        run("nsenter", "-t", self.process.pid, "-n", "ip", "link", "delete", name, check=False)

    def cut(self, name):
        self.ip("link", "set", name, "down")

    def heal(self, name):
        self.ip("link", "set", name, "up")

    def close(self):
        self.process.kill()
        self.process.wait()


class Machine:
    """A host; `address` with its prefix length."""

    def __init__(self, name, address, folder, switch):
        self.name, self.address, self.switch = name, address, switch
        self.root = os.path.join(folder, name)
        self.log_path = self.root + "/var/log/yoked.log"
        self.process = self.init = None
        self.make_root()

    def make_root(self):
        for path in ("dev", "proc", "sys", "run", "tmp", "mnt", "root", "usr", ".sbin", "etc/init.d", "var/log",
                     "var/lib", PROGRAMS[1:], SYSTEM_PROGRAMS[1:]):
            os.makedirs(os.path.join(self.root, path), exist_ok=True)
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.islink("/" + name):
                os.symlink(os.readlink("/" + name), os.path.join(self.root, name))
            elif os.path.isdir("/" + name):
                os.makedirs(os.path.join(self.root, name))
        for name in os.listdir("/usr/sbin"):
            if name not in CLASSIC:
                os.symlink(SYSTEM_PROGRAMS + "/" + name, os.path.join(self.root, ".sbin", name))
        for name in CLASSIC + ("yoke", "yoked"):
            program = "yoked" if name == "yoked" else "yoke"
            os.symlink(PROGRAMS + "/" + program, os.path.join(self.root, ".sbin", name))
        shutil.copy("/etc/ld.so.cache", self.root + "/etc/ld.so.cache")
        shutil.copytree("/etc/alternatives", self.root + "/etc/alternatives", symlinks=True)
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        self.write("/etc/group", "root:x:0:\n")
        self.write("/etc/fstab", "")
        self.write("/etc/hosts", "127.0.0.1 localhost\n")
        os.symlink("/proc/self/mounts", self.root + "/etc/mtab")

    # MARK: files

    def path(self, path):
        """Where a file of the machine's own root is, seen from outside; not for what is mounted there."""
        return self.root + path

    def write(self, path, text, mode=0o644):
        full = self.path(path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as out:
            out.write(text)
        os.chmod(full, mode)

    def read(self, path):
        with open(self.path(path)) as file:
            return file.read()

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # MARK: power

    def power_on(self):
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INIT,
             "init", self.root, self.name, BINARIES],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.process.stdout.readline() != b"up\n":
            raise Failed("%s does not come up: %s" % (self.name, self.process.stderr.read().decode()))
        self.init = child_of(self.process)
        wait_until("process 1 of %s has its root" % self.name, self.is_inside, 10, 0.01)
        self.switch.plug(self.name, self.init, self.address)

    def is_inside(self):
        with open("/proc/%d/comm" % self.init) as name:
            return name.read() == "cat\n"

    def power_off(self):
        """Pulls the plug: kill -9 of everything, and all mounts are gone."""
        if self.process is None:
            return
        os.kill(self.init, signal.SIGKILL)
        self.process.wait(timeout=60)
        self.switch.unplug(self.name)
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process = None

    # MARK: commands

    def sh(self, script, check=True, timeout=90, answers=None):
        """Runs what a person types there; standard output and error come back together in `stdout`."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i", "PATH=" + PATH,
             "HOME=/root", "LC_ALL=C", "sh", "-c", script],
            input=answers or "", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
        if check and done.returncode:
            raise Failed("%s: %s\nexit %d\n%s\n--- log\n%s" % (
                self.name, script, done.returncode, done.stdout, self.log()[-4000:]))
        return done

    def out(self, script, **options):
        return self.sh(script, **options).stdout

    def elapsed(self, script, **options):
        begun = time.monotonic()
        self.sh(script, **options)
        return time.monotonic() - begun
