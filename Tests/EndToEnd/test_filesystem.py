"""A filesystem served by yoked: made by the field's mkfs.ocfs2, used through the kernel, checked by fsck.ocfs2.

Run: python3 -m unittest -v test_filesystem      (root; from this folder; binaries from scripts/build)
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, Failed, YokeHost, run, wait_until

SIZE_MIB = 600
SOURCE_TREE = "/usr/lib/python3.11/asyncio"


class LocalHost(YokeHost):
    """A daemon without a network namespace of its own: its mounts are those of this process."""

    def __init__(self, name, folder):
        super().__init__(name, "127.0.0.1", SIZE_MIB, folder, own_namespace=False)

    def inside(self, *words):
        return [str(word) for word in words]


def make_volume(path, *options):
    with open(path, "wb") as image:
        image.truncate(SIZE_MIB << 20)
    run("mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "2", *options, path, input="y\n")


def faults(path):
    """What fsck.ocfs2 complains about; its exit status is 0 even then."""
    done = run("fsck.ocfs2", "-fn", path, check=False, timeout=60)
    if "All passes succeeded" not in done.stdout:
        raise Failed("fsck.ocfs2 %s: exit %d\n%s%s" % (path, done.returncode, done.stdout, done.stderr))
    return [line for line in done.stdout.splitlines() if line.startswith("[")]


class Filesystem(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-fs-")
        cls.host = LocalHost("fs1", cls.folder)
        cls.host.start()

    @classmethod
    def tearDownClass(cls):
        cls.host.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        if self.host.daemon is None or self.host.daemon.poll() is not None:
            self.host.daemon = None
            self.host.start()
        self.image = os.path.join(self.folder, self.id().split(".")[-1] + ".ocfs2")
        self.point = os.path.join(self.folder, "mnt")
        os.makedirs(self.point, exist_ok=True)

    def tearDown(self):
        if os.path.ismount(self.point):
            run("umount", "-l", self.point, check=False)
        if os.path.exists(self.image):
            os.unlink(self.image)

    def mount(self, *options, source=None):
        self.host.yoke("mount", *options, source or self.image, self.point)

    def umount(self):
        self.host.yoke("umount", self.point)
        self.assertFalse(os.path.ismount(self.point))

    def clean(self):
        self.assertEqual(faults(self.image), [])

    def same_tree(self, copy):
        done = run("rsync", "-aHAXn", "--checksum", "--itemize-changes", "--delete", SOURCE_TREE + "/", copy + "/",
                   timeout=60)
        self.assertEqual(done.stdout, "")

    def test_a_tree_survives(self):
        make_volume(self.image)
        self.mount()
        self.assertTrue(os.path.ismount(self.point))
        with open("/proc/mounts") as mounts:
            line = next(line for line in mounts if " %s " % self.point in line)
        self.assertIn("%s %s fuse.ocfs2" % (self.image, self.point), line)
        copy = self.point + "/tree"
        run("cp", "-a", SOURCE_TREE, copy, timeout=60)
        self.same_tree(copy)
        self.umount()
        self.clean()
        self.mount()
        self.same_tree(copy)
        before = os.statvfs(self.point).f_bfree
        shutil.rmtree(copy)
        self.assertGreater(os.statvfs(self.point).f_bfree, before)
        self.umount()
        self.clean()

    def test_posix(self):
        make_volume(self.image)
        self.mount()
        script = """
            set -eu; cd %s
            mkdir -p a/b; echo hello > a/b/f; ln a/b/f a/g; ln -s b/f a/s; test "$(cat a/s)" = hello
            test "$(stat -c %%h a/g)" = 2
            mknod a/null c 1 3; test "$(stat -c %%t:%%T a/null)" = 1:3; echo x > a/null; mkfifo a/p
            mv a/g a/moved; ! test -e a/g; mv -n a/moved a/b/f; touch -d 2001-02-03T04:05:06.789 a/b/f
            chmod 4755 a/b/f; chown 7:8 a/b/f; test "$(stat -c %%u:%%g a/b/f)" = 7:8
            truncate -s 1M sparse; test "$(stat -c %%b sparse)" = 0
            printf tail >> sparse; test "$(stat -c %%s sparse)" = 1048580
            dd if=/dev/urandom of=r bs=1M count=20 status=none; cp r r2; cmp r r2; sync r2
            dd if=r of=r3 bs=64k oflag=direct status=none; cmp r r3
            exec 7<> open; rm open; echo still >&7; exec 7>&-
            for i in $(seq 2000); do : > many-$i; done; test $(ls | grep -c many-) = 2000; rm many-*
        """ % self.point
        run("bash", "-c", script, timeout=60)
        self.umount()
        self.clean()
        self.mount()
        run("bash", "-c", "cd %s; cmp r r2; cmp r r3; test \"$(cat a/s)\" = hello" % self.point)
        self.umount()

    def test_options_and_refusals(self):
        make_volume(self.image)
        wrong = self.host.yoke("mount", "-o", "noatime,nosuch=1", self.image, self.point, check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("nosuch=1", wrong.stderr)
        nothing = os.path.join(self.folder, "zeroes")
        with open(nothing, "wb") as zeroes:
            zeroes.truncate(64 << 20)
        none = self.host.yoke("mount", nothing, self.point, check=False)
        self.assertEqual(none.returncode, 32)
        self.assertIn("no OCFS2 volume", none.stderr)
        self.mount("-o", "noatime,nodiratime,commit=10,errors=remount-ro,data=ordered,_netdev")
        again = self.host.yoke("mount", self.image, self.point, check=False)
        self.assertEqual(again.returncode, 32)
        self.assertIn("mounted already", again.stderr)
        self.assertIn("%s on %s type ocfs2" % (self.image, self.point), self.host.yoke("mount").stdout)
        with open(self.point + "/busy", "w"):
            busy = self.host.yoke("umount", self.point, check=False)
            self.assertEqual(busy.returncode, 32)
        self.umount()
        self.clean()

    def test_helper_of_mount(self):
        make_volume(self.image, "-L", "helped")
        helper = os.path.join(self.folder, "mount.ocfs2")
        os.symlink(os.path.join(BINARIES, "yoke"), helper)
        environment = dict(os.environ, YOKE_ROOT=self.host.root, YOKE_NODE=self.host.name)
        run(helper, self.image, self.point, "-o", "rw,noatime", env=environment)
        self.assertTrue(os.path.ismount(self.point))
        open(self.point + "/f", "w").close()
        # The user's umount ends it as well; the device is free once the volume is clean.
        run("umount", self.point)
        wait_until("the mount is gone", lambda: self.host.yoke("mount").stdout == "")
        self.clean()

    def test_stop_unmounts(self):
        make_volume(self.image)
        self.mount()
        used = os.open(self.point + "/f", os.O_WRONLY | os.O_CREAT)
        os.write(used, b"kept\n")
        # In use: its user is cut off, but nothing written is lost.
        self.assertEqual(self.host.stop(), 0)
        with self.assertRaises(OSError):
            os.fsync(used)
        os.close(used)
        self.assertFalse(os.path.ismount(self.point))
        self.clean()
        self.host.start()
        self.mount()
        with open(self.point + "/f") as kept:
            self.assertEqual(kept.read(), "kept\n")
        self.umount()

    def test_replicated_volume(self):
        other = os.path.join(self.folder, "other.img")
        self.host.configure("""
            global { usage-count no; }
            resource r0 {
              on fs1 { device /dev/drbd0; disk %s; address 127.0.0.1:17788; meta-disk internal; }
              on fs2 { device /dev/drbd0; disk %s; address 127.0.0.2:17788; meta-disk internal; }
            }""" % (self.host.image, other))
        self.host.create_md()
        self.host.drbdadm("up", "r0")
        secondary = self.host.yoke("mount", "r0", self.point, check=False)
        self.assertEqual(secondary.returncode, 32)
        self.assertIn("Secondary", secondary.stderr)
        self.host.drbdadm("primary", "--force", "r0")
        # mkfs works on the backing image: the volume begins where it begins.
        sectors = self.host.size_sectors()
        self.host.drbdadm("down", "r0")
        run("mkfs.ocfs2", "-q", "-F", "-M", "local", "-b", "4096", "-L", "vol", self.host.image, sectors // 8, input="y\n")
        self.host.drbdadm("up", "r0")
        self.host.drbdadm("primary", "--force", "r0")
        self.mount(source="LABEL=vol")
        run("cp", "-a", SOURCE_TREE, self.point + "/tree", timeout=60)
        held = self.host.drbdadm("secondary", "r0", check=False)
        self.assertNotEqual(held.returncode, 0)
        # The mount is inside of yoked and claims no device node: neither -F nor another name of the node gets past it.
        self.host.yoke("device", "r0")
        node = self.host.root + "/dev/drbd0"
        for name in ("/dev/drbd0", node, os.path.realpath(node)):
            refused = self.host.yoke("mkfs.ocfs2", "-q", "-x", "-F", "-M", "local", name, check=False)
            self.assertEqual(refused.returncode, 1, name)
            self.assertIn("in use by a mount on " + self.point, refused.stderr)
        self.umount()
        claim = os.open(node, os.O_RDONLY | os.O_EXCL)
        claimed = self.host.yoke("mount", "r0", self.point, check=False)
        os.close(claim)
        self.assertEqual(claimed.returncode, 32)
        self.assertIn("is in use", claimed.stderr)
        self.host.yoke("device", "--remove", "r0")
        self.host.drbdadm("secondary", "r0")
        self.host.drbdadm("primary", "r0")
        self.mount(source="/dev/drbd0")
        self.same_tree(self.point + "/tree")
        self.umount()
        self.host.drbdadm("down", "r0")
        self.assertEqual(faults(self.host.image), [])


if __name__ == "__main__":
    unittest.main()
