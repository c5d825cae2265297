"""One OCFS2 volume, served by Yoke and by the kernel in turn: each reads, recovers and changes what the other left.

Run: python3 -m unittest -v test_filesystem      (root; from this folder; binaries from scripts/build)
One VM boots for the whole file and again after the test that cuts its power.
"""
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import FULL, FULL_ONLY, Failed, Network, run, wait_until
from volumes import (Filler, LocalHost, VolumeVM, change_every_third, differences, unlisted)

SIZE_MIB = 320
EVERY_THIRD = r"""
cd /mnt; find . -type f | sort > /tmp/list; [ $(wc -l < /tmp/list) -gt 50 ] || exit 1
awk 'NR % 3 == 0' /tmp/list | tr '\n' '\0' | xargs -0 rm
awk 'NR % 3 == 2' /tmp/list | while IFS= read -r f; do printf 'appended by the kernel' >> "$f"; done
awk 'NR % 15 == 1' /tmp/list | { i=0; while IFS= read -r f; do i=$((i + 1)); mv "$f" "$(dirname "$f")/moved-$i"; done; }
mkdir new; for i in $(seq 400); do echo "new $i" > new/a-long-name-for-a-new-file-$i; done
dd if=/dev/urandom of=new/data bs=64k count=60 2>/dev/null
head -c 300000 /dev/urandom > new/part; dd if=new/part of=new/data bs=1000 seek=777 conv=notrunc 2>/dev/null
ln -s new/data link-to-data; ln new/data new/hard; truncate -s 1000000 new/part; rm -r deep/level-00/level-01
setfattr -n user.kernel -v "set by the kernel" new/data; setfattr -n trusted.big -v $(head -c 3000 /dev/zero | tr '\0' x) new/hard
sync
"""


class Volumes(unittest.TestCase):
    IMAGES = ("plain", "odd", "cluster", "filled", "killed")

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-interop-fs-")
        cls.point = os.path.join(cls.folder, "mnt")
        os.mkdir(cls.point)
        cls.images = {name: os.path.join(cls.folder, name + ".ocfs2") for name in cls.IMAGES}
        for image in cls.images.values():
            with open(image, "wb") as out:
                out.truncate(SIZE_MIB << 20)
        cls.network = Network()
        cls.kernel = VolumeVM("k1", "10.99.0.11", cls.folder, list(cls.images.values()))
        cls.yoke = LocalHost("fs1", cls.folder)
        cls.yoke.start()

    @classmethod
    def tearDownClass(cls):
        cls.yoke.close()
        cls.kernel.close()
        cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.kernel.revive()
        self.yoke.revive()
        self.kernel.clear_log()

    def tearDown(self):
        self.assertNotRegex(self.yoke.log_tail(400), r"Fatal error|Illegal instruction", "the daemon trapped")
        if os.path.ismount(self.point):
            run("umount", "-l", self.point, check=False)
            self.yoke.kill()
        self.kernel.shell("cd /; umount /mnt 2>/dev/null", check=False)

    def assert_same(self, first, second, what, below=b""):
        self.assertGreater(len(first), 50)
        found = differences(first, second, below)
        self.assertEqual(found, [], "%s:\n%s\n%s" % (what, "\n".join(found), self.yoke.log_tail(20)))

    def assert_clean(self, image):
        self.assertEqual(unlisted(image), [])

    def yoke_mounts(self, image):
        self.yoke.mount(image, self.point)

    def yoke_unmounts(self):
        self.yoke.umount(self.point)
        self.assertFalse(os.path.ismount(self.point))

    def kernel_sees(self, image, expected):
        """The VM mounts the image read-write and sees `expected`."""
        self.kernel.mount(image)
        self.assert_same(expected, self.kernel.manifest(), "the kernel's view of what Yoke left (Yoke / kernel)")

    # Yoke first

    def killed_with_an_orphan(self, image):
        """The daemon dies with an unlinked file open; the next mount gives its space back."""
        self.yoke_mounts(image)
        free = os.statvfs(self.point).f_bfree
        handle = os.open(self.point + "/orphan", os.O_CREAT | os.O_RDWR)
        os.write(handle, b"o" * (4 << 20))
        os.fsync(handle)
        os.unlink(self.point + "/orphan")
        os.fsync(handle)
        self.yoke.cut(self.point)
        try:
            os.close(handle)
        except OSError:
            pass  # the daemon is gone
        self.yoke.revive()
        self.yoke_mounts(image)
        slack = (1 << 20) // os.statvfs(self.point).f_bsize
        wait_until("the orphan's space is free", lambda: os.statvfs(self.point).f_bfree > free - slack, 20)
        self.assertFalse(os.path.exists(self.point + "/orphan"))

    def yoke_fills_kernel_changes(self, name, *options, scale):
        image = self.images[name]
        self.yoke.yoke("mkfs.ocfs2", "-q", "-F", *options, image)
        self.yoke_mounts(image)
        Filler(self.point, name, scale).everything()
        self.yoke_unmounts()
        self.assert_clean(image)
        self.killed_with_an_orphan(image)
        expected = self.yoke.manifest(self.point)
        self.yoke_unmounts()
        self.assert_clean(image)
        self.kernel_sees(image, expected)
        self.kernel.shell(EVERY_THIRD)
        left = self.kernel.manifest()
        self.kernel.umount()
        self.assertEqual(self.kernel.complaints(), [])
        self.assert_clean(image)
        self.yoke_mounts(image)
        self.assert_same(left, self.yoke.manifest(self.point), "Yoke's view of what the kernel left (kernel / Yoke)")
        change_every_third(self.point, random.Random(name))
        self.yoke_unmounts()
        self.assert_clean(image)

    @unittest.skipUnless(FULL, FULL_ONLY)
    def test_yoke_fills_a_local_volume(self):
        self.yoke_fills_kernel_changes("plain", "-M", "local", "-N", "2", scale=1.0)

    def test_yoke_fills_small_blocks_with_checksums(self):
        self.yoke_fills_kernel_changes("odd", "-M", "local", "-b", "1024", "-C", "32K", "--fs-features=metaecc",
                                       scale=0.2)

    def test_yoke_fills_a_cluster_volume(self):
        self.kernel.shell("o2cb add-cluster web && o2cb add-node web k1 --ip 10.99.0.11 && o2cb register-cluster web")
        self.yoke_fills_kernel_changes("cluster", "-N", "2", scale=0.1)

    # The kernel first

    def kernel_fills(self):
        """A seeded tree by tar, then what only the kernel's own calls make."""
        base = os.path.join(self.folder, "source")
        os.mkdir(base)
        filler = Filler(base, "filled", 0.5)
        filler.small_files()
        filler.big_directory()
        filler.links()
        filler.deep()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.GNU_FORMAT, compresslevel=1,
                          encoding="utf-8", errors="surrogateescape") as tar:
            tar.add(base, ".")
        shutil.rmtree(base)
        self.kernel.put(packed.getvalue(), "/tmp/tree.tar.gz")
        self.kernel.put_program("/usr/bin/fallocate")
        self.kernel.put_program("/usr/bin/cp")
        self.kernel.shell(r"""
            set -e; cd /mnt; tar xzf /tmp/tree.tar.gz; rm /tmp/tree.tar.gz
            mkdir more; cd more; mknod null c 1 3; mkfifo pipe
            fallocate() { /usr/local/bin/fallocate "$@"; }
            head -c 3000000 /dev/urandom > base; for i in 1 2 3; do /usr/local/bin/cp --reflink=always base ref$i; done
            head -c 100000 /dev/urandom > piece; dd if=piece of=ref1 bs=4096 seek=100 conv=notrunc 2>/dev/null
            dd if=piece of=base bs=1000 seek=5 conv=notrunc 2>/dev/null; rm ref3
            fallocate -l 4M pre; dd if=piece of=pre bs=5000 seek=30 conv=notrunc 2>/dev/null
            echo short > keep; fallocate -n -o 1M -l 1M keep
            cat base > hole; fallocate -p -o 50000 -l 900000 hole
            for i in $(seq 0 2 800); do dd if=piece of=deep bs=4096 seek=$((900 - i)) count=1 conv=notrunc; done 2>/dev/null
            dd if=piece of=far bs=4096 seek=700000000 count=1 2>/dev/null
            echo x > attrs; v=0123456789; v=$v$v$v$v$v
            for i in $(seq 120); do echo "user.name-$i=\"$v$i\""; [ $((i % 9)) != 0 ] || echo "trusted.t$i=\"$v$v$v$v\""; done > /tmp/a
            { echo "# file: attrs"; cat /tmp/a; echo; } > /tmp/b; setfattr --restore=/tmp/b
            for i in 3 30 60 61; do setfattr -x user.name-$i attrs; done
            setfattr -n user.large -v $(head -c 20000 /dev/zero | tr '\0' L) attrs
            echo y > one; setfattr -n trusted.one -v 1 one; setfattr -n user.two -v $v$v one
            mkdir heirs; setfacl -d -m u:1000:rwx heirs; mkdir heirs/child; setfacl -m g:55:rw one
            sync""")

    def test_kernel_fills_and_loses_power(self):
        image = self.images["filled"]
        run("mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "2", "-b", "4096", "-C", "4096",
            "--fs-features=metaecc,refcount,xattr,indexed-dirs,unwritten,sparse,inline-data,discontig-bg", image,
            input="y\n")
        self.kernel.mount(image)
        self.kernel_fills()
        # A directory that grew has too many blocks in the kernel's memory, until the next mount.
        self.kernel.umount()
        self.kernel.mount(image)
        self.kernel.shell("cd /mnt; mkdir live; for i in $(seq 40); do head -c $((i * 900)) /dev/urandom | "
                          "dd of=live/s$i conv=fsync 2>/dev/null; done; sync")
        left = self.kernel.manifest()
        # Orphans, and writes and deletions in flight, in a folder of their own.
        self.kernel.shell(r"""cd /mnt; mkdir busy
            (exec 7<>orphan; head -c 2000000 /dev/urandom >&7; rm orphan; sync; sleep 1000) </dev/null >/dev/null 2>&1 &
            (i=0; while :; do i=$((i + 1)); head -c $((i % 50 * 1000)) /dev/urandom > busy/f$i; ln busy/f$i busy/l$i
              [ $((i % 4)) != 0 ] || rm busy/f$((i - 2)); [ $((i % 40)) != 0 ] || sync; done) </dev/null >/dev/null 2>&1 &
            sleep 6; sync; ls busy | wc -l""")
        time.sleep(1)  # into the next transaction; any moment is as good
        self.kernel.kill()
        free = self.after_the_power_cut(image, left)
        self.kernel.revive()
        self.kernel_sees(image, free)
        self.kernel.shell("cd /mnt && rm -r small busy && echo more > more/again && sync")
        self.kernel.umount()
        self.assertEqual(self.kernel.complaints(), [])
        self.assert_clean(image)

    def after_the_power_cut(self, image, left):
        """Yoke replays the kernel's journal, reads all, changes things; the manifest that it leaves."""
        self.yoke_mounts(image)
        seen = self.yoke.manifest(self.point)
        for below in (b"./small", b"./big", b"./links", b"./deep", b"./more", b"./live"):
            self.assert_same(left, seen, "Yoke's view of what the kernel had synced (kernel / Yoke)", below)
        self.assertNotIn(b"./orphan", seen)
        self.assertGreater(sum(path.startswith(b"./busy/") for path in seen), 10)
        # Copies on write, in a shared file and in one whose twin goes away.
        with open(self.point + "/more/ref2", "r+b") as out:
            out.seek(1234567)
            out.write(b"written here" * 5000)
        os.unlink(self.point + "/more/base")
        os.truncate(self.point + "/more/ref1", 1000001)
        change_every_third(self.point + "/big", random.Random(5))
        for number in range(1, 120, 2):
            if number not in (3, 61):
                os.removexattr(self.point + "/more/attrs", "user.name-%d" % number)
        os.setxattr(self.point + "/more/attrs", "user.large", b"smaller")
        after = self.yoke.manifest(self.point)
        self.yoke_unmounts()
        self.assert_clean(image)
        return after

    # Yoke dies

    class Writer(threading.Thread):
        """Writes, renames and syncs in a folder of its own; knows what must be there after a crash."""

        def __init__(self, folder, seed):
            super().__init__(daemon=True)
            self.folder, self.choose = folder, random.Random(seed)
            self.synced, self.touched, self.syncs, self.error = {}, set(), 0, None
            os.mkdir(folder)

        def run(self):
            number = 0
            try:
                while True:
                    number += 1
                    self.step(number)
            except OSError as error:
                self.error = error  # the daemon is gone

        def step(self, number):
            name = "f%d" % self.choose.randrange(60)
            path = os.path.join(self.folder, name)
            content = self.choose.randbytes(self.choose.choice((0, 50, 3000, 5000, 30000, 200000)))
            self.touched = {name, "tmp"}
            kind = self.choose.randrange(4)
            if kind == 0 or name not in self.synced:
                self.replace(path, content)
            elif kind == 1:
                with open(path, "ab") as out:
                    out.write(content)
                    out.flush()
                    os.fsync(out.fileno())
                content = self.synced[name] + content
            elif kind == 2:
                os.unlink(path)
                self.sync_folder()
                content = None
            else:
                with open(path, "r+b") as out:
                    out.write(content)
                    out.flush()
                    os.fdatasync(out.fileno())
                content = content + self.synced[name][len(content):]
            self.syncs += 1
            if content is None:
                del self.synced[name]
            else:
                self.synced[name] = content
            self.touched = set()

        def replace(self, path, content):
            temporary = os.path.join(self.folder, "tmp")
            with open(temporary, "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            os.rename(temporary, path)
            self.sync_folder()

        def sync_folder(self):
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def noise(self):
        """Changes without any sync, until the daemon is gone."""
        folder, number = self.point + "/noise", 0
        os.mkdir(folder)

        def body():
            nonlocal number
            try:
                while True:
                    number += 1
                    with open("%s/n%d" % (folder, number % 400), "wb") as out:
                        out.write(bytes([number % 256]) * (number % 40 * 1000))
                    if number % 3 == 0:
                        os.unlink("%s/n%d" % (folder, (number - 1) % 400))
            except OSError:
                pass
        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        return thread

    def test_yoke_dies_and_the_kernel_replays(self):
        image = self.images["killed"]
        for turn, features in enumerate(("metaecc", "nometaecc")):
            with self.subTest(features=features):
                self.yoke.revive()
                os.truncate(image, 0)
                os.truncate(image, SIZE_MIB << 20)
                self.yoke.yoke("mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "2", "--fs-features=" + features, image)
                self.yoke_mounts(image)
                writers = [self.Writer("%s/w%d" % (self.point, number), 10 * turn + number) for number in range(3)]
                threads = writers + [self.noise()]
                for writer in writers:
                    writer.start()
                begun = time.monotonic()
                wait_until("enough was synced", lambda: all(writer.syncs > 60 or writer.error for writer in writers)
                           or time.monotonic() - begun > 15, 20)
                self.assertGreater(min(writer.syncs for writer in writers), 5, "syncs in %.1f s: %r" % (
                    time.monotonic() - begun, [writer.syncs for writer in writers]))
                self.assertEqual([writer.error for writer in writers], [None] * len(writers))
                self.yoke.cut(self.point)
                for thread in threads:
                    thread.join(30)
                    self.assertFalse(thread.is_alive())
                self.kernel.mount(image)
                seen = self.kernel.manifest()
                missing = []
                for index, writer in enumerate(writers):
                    for name, content in writer.synced.items():
                        entry = seen.get(b"./w%d/%s" % (index, name.encode()), {})
                        if name not in writer.touched and entry.get("sha256") != hashlib.sha256(content).hexdigest():
                            missing.append("w%d/%s: %d bytes synced, %r" % (index, name, len(content), entry))
                    extra = {os.path.basename(path).decode() for path in seen
                             if path.startswith(b"./w%d/" % index)} - set(writer.synced) - writer.touched
                    missing += ["w%d/%s: was removed and synced" % (index, name) for name in sorted(extra)]
                self.assertEqual(missing, [])
                # A local mount of the kernel reads the root directory before it replays, and later writes the link count
                # of then (also after a cut of its own power): so it mounts once more before it changes anything.
                self.kernel.umount()
                self.assert_clean(image)
                self.kernel.mount(image)
                self.kernel.shell("cd /mnt && rm -r noise w0 && echo after > after && sync")
                left = self.kernel.manifest()
                self.kernel.umount()
                self.assertEqual(self.kernel.complaints(), [])
                self.assert_clean(image)
                self.yoke.revive()
                self.yoke_mounts(image)
                self.assert_same(left, self.yoke.manifest(self.point), "Yoke after the kernel's replay (kernel / Yoke)")
                self.yoke_unmounts()


if __name__ == "__main__":
    unittest.main(verbosity=2)
