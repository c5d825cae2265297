"""Disks as a power cut may leave them, recovered by the kernel and by Yoke: both see the same, and fsck.ocfs2 no fault.

The filesystem simulator cuts the power of a workload at every write; a sample of those disks is saved as it was left.

Run: python3 -m unittest -v test_crashpoints      (root; from this folder; binaries from scripts/build)
"""
import glob
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, FULL, Network, run
from volumes import LocalHost, VolumeVM, differences, unlisted

SAMPLES = 20 if FULL else 6


class CrashPoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-interop-crash-")
        cls.point = os.path.join(cls.folder, "mnt")
        os.mkdir(cls.point)
        cls.network = cls.kernel = cls.yoke = None

    @classmethod
    def tearDownClass(cls):
        for part in (cls.yoke, cls.kernel, cls.network):
            if part:
                part.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def cut(self):
        """Disks of cuts all over the workloads, of both block sizes."""
        disks = []
        for seed, size in ((4100, 1024), (4200, 4096)):
            folder = os.path.join(self.folder, str(size))
            os.mkdir(folder)
            run(BINARIES + "/yoke-fs-sim", "crash", "--seed", seed, "--points", 1000, "--steps", 300, "--workers", 2,
                "--fsck-every", 0, "--block-size", size, "--save-every", 40, "--save-to", folder, timeout=300)
            saved = sorted(glob.glob(folder + "/crash-*.img"))
            disks += saved[::max(1, len(saved) // (SAMPLES // 2))][:SAMPLES // 2]
        return disks

    def test_kernel_recovers(self):
        cls = type(self)
        disks = self.cut()
        self.assertEqual(len(disks), SAMPLES)
        for disk in disks:
            shutil.copy(disk, disk + ".own")
        cls.network = Network()
        cls.kernel = VolumeVM("k1", "10.99.0.11", self.folder, disks)
        cls.yoke = LocalHost("fs1", self.folder)
        self.yoke.start()
        paths = 0
        for disk in disks:
            with self.subTest(disk=os.path.basename(disk)):
                self.kernel.clear_log()
                self.kernel.mount(disk)
                seen = self.kernel.manifest()
                self.kernel.umount()
                self.assertEqual(self.kernel.complaints(), [])
                self.assertEqual(unlisted(disk), [], "after the kernel's recovery")
                self.yoke.mount(disk + ".own", self.point)
                own = self.yoke.manifest(self.point)
                self.yoke.umount(self.point)
                self.assertEqual(unlisted(disk + ".own"), [], "after Yoke's recovery")
                # A local mount of the kernel shows the root directory's attributes of before its replay.
                del seen[b"."], own[b"."]
                self.assertEqual(differences(seen, own), [], "the kernel's recovery / Yoke's")
                paths += len(seen)
        self.assertGreater(paths, 10 * SAMPLES, "the disks hold next to nothing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
