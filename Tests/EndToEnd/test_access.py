"""Two Yoke hosts and the programs that users put on a volume: qemu-img, nbdcopy, fio, ext4 on /dev/drbdN.

Run: python3 -m unittest -v test_access      (root; from this folder; binaries from scripts/build)
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, Background, Network, YokeHost, configuration, differing_blocks, run, wait_until
from nbd import NBDError

SIZE_MIB = 256
NET = "protocol C; allow-two-primaries yes; "
DISK = "resync-rate 1000M; c-plan-ahead 0; "


class Pair(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-end-")
        cls.network = Network(with_kernel_hosts=False)
        cls.first = YokeHost("e1", "10.99.0.21", SIZE_MIB, cls.folder)
        cls.second = YokeHost("e2", "10.99.0.22", SIZE_MIB, cls.folder)
        cls.hosts = (cls.first, cls.second)
        for host in cls.hosts:
            host.start()

    @classmethod
    def tearDownClass(cls):
        for host in cls.hosts:
            host.close()
        cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        for host in self.hosts:
            if host.daemon is None or host.daemon.poll() is not None:
                host.daemon = None
                host.start()
            host.tear_down()

    def pair(self, net=NET, disk=DISK):
        text = configuration(self.hosts, net=net, disk=disk)
        for host in self.hosts:
            host.configure(text)
            host.create_md()
            host.drbdadm("up", "r0")
        for host in self.hosts:
            host.wait_for(cs="Connected", disk="Inconsistent/Inconsistent")
        self.first.drbdadm("primary", "--force", "r0")
        self.up_to_date()

    def up_to_date(self):
        for host in self.hosts:
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate")

    def assert_equal_disks(self):
        self.assertEqual(differing_blocks(self.first.data_bytes(), self.second.data_bytes())[:10], [])

    @staticmethod
    def uri(host):
        return "nbd+unix:///r0?socket=" + host.nbd_socket


class Images(Pair):
    def test_image_goes_in_on_one_host_and_comes_out_of_the_other(self):
        self.pair()
        self.second.drbdadm("primary", "r0")
        raw, image, back = (os.path.join(self.folder, n) for n in ("content.raw", "image.qcow2", "back.raw"))
        tree = os.path.join(self.folder, "tree")
        os.makedirs(tree, exist_ok=True)
        shutil.copytree("/usr/share/perl5", tree + "/perl5", symlinks=True, dirs_exist_ok=True)
        run("mke2fs", "-q", "-t", "ext4", "-d", tree, raw, "100M")
        run("qemu-img", "convert", "-O", "qcow2", raw, image)
        size = os.path.getsize(raw)
        run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", image, self.uri(self.first))
        run("nbdcopy", self.uri(self.second), back, timeout=300)
        with open(raw, "rb") as a, open(back, "rb") as b:
            self.assertEqual(differing_blocks(a.read(), b.read(size)), [])
        compared = run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", self.uri(self.second), image, check=False)
        self.assertIn(compared.returncode, (0, 1), compared.stderr)
        self.assert_equal_disks()

    def test_nbdinfo_names_the_export(self):
        self.pair()
        text = run("nbdinfo", self.uri(self.first)).stdout
        for words in ("protocol: newstyle-fixed", "can_fua: true", "can_flush: true", "can_trim: true",
                      "can_zero: true", "can_multi_conn: true", "is_read_only: false"):
            self.assertIn(words, text)


class Verification(Pair):
    JOB = ("--rw=randwrite", "--bs=4k", "--iodepth=8", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1",
           "--direct=1")

    def test_fio_verifies_on_both_hosts_at_once(self):
        self.pair()
        self.second.drbdadm("primary", "r0")
        half = (SIZE_MIB // 2) - 2
        jobs = [Background(lambda h=host, o=offset: h.fio(
            *self.JOB, "--offset=%dM" % o, "--size=%dM" % half, "--io_size=24M"))
            for host, offset in ((self.first, 0), (self.second, half))]
        for job in jobs:
            job.join()
        self.up_to_date()
        self.assert_equal_disks()


class Roles(Pair):
    def test_secondary_refuses_writers_and_says_what_to_do(self):
        self.pair()
        with self.assertRaisesRegex(NBDError, "Secondary"):
            self.second.nbd().write(0, bytes(4096))

    def test_open_volume_cannot_be_demoted(self):
        self.pair()
        with self.first.nbd() as client:
            client.write(0, bytes(4096))
            refused = self.first.drbdadm("secondary", "r0", check=False)
            self.assertEqual(refused.returncode, 11)
            self.assertIn("State change failed: (-12) Device is held open by someone", refused.stderr + refused.stdout)
        wait_until("the client is gone", lambda: self.first.drbdadm("secondary", "r0", check=False).returncode == 0)


class DeviceNode(Pair):
    def test_ext4_on_the_device_of_a_single_primary(self):
        self.pair(net="protocol C; ")
        self.first.yoke("device", "r0")
        node = os.path.realpath(self.first.root + "/dev/drbd0")
        self.assertTrue(os.path.exists(node), "no device node")
        mount = os.path.join(self.folder, "mount")
        os.makedirs(mount, exist_ok=True)
        run("mkfs.ext4", "-q", "-F", self.first.root + "/dev/drbd0")
        run("mount", "-t", "ext4", self.first.root + "/dev/drbd0", mount)
        try:
            content = random.Random(5).randbytes(8 << 20)
            with open(mount + "/file", "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            run("cp", "-a", "/usr/share/perl5", mount + "/")
            run("fstrim", mount, check=False)
        finally:
            run("umount", mount)
        self.assertEqual(run("e2fsck", "-fn", self.first.root + "/dev/drbd0", check=False).returncode, 0)
        run("mount", "-t", "ext4", "-o", "ro", self.first.root + "/dev/drbd0", mount)
        try:
            with open(mount + "/file", "rb") as back:
                self.assertEqual(back.read(), content)
        finally:
            run("umount", mount)
        self.first.yoke("device", "--remove", "r0")
        wait_until("the device is free", lambda: self.first.drbdadm("secondary", "r0", check=False).returncode == 0)
        self.assert_equal_disks()


    def test_device_that_a_program_has_open_is_not_taken_away(self):
        self.pair(net="protocol C; ")
        self.first.yoke("device", "r0")
        content = random.Random(6).randbytes(4 << 20)
        with open(self.first.root + "/dev/drbd0", "r+b", buffering=0) as device:
            for part in range(0, len(content), 1 << 20):
                device.write(content[part:part + (1 << 20)])
            for command in ("drbdadm secondary r0", "drbdadm down r0", "device --remove r0"):
                refused = self.first.yoke(*command.split(), check=False)
                self.assertNotEqual(refused.returncode, 0, command)
                self.assertIn("(-12) Device is held open by someone", refused.stderr + refused.stdout)
            os.fsync(device.fileno())
            device.seek(0)
            self.assertEqual(device.read(1 << 20), content[:1 << 20])
            # Nobody asks for this to be on a disk.
            device.seek(8 << 20)
            device.write(content)
        self.first.drbdadm("secondary", "r0")
        self.assert_equal_disks()
        self.second.drbdadm("primary", "r0")
        with self.second.nbd() as client:
            self.assertEqual(client.read(0, len(content)), content)
            self.assertEqual(client.read(8 << 20, len(content)), content)


class BadDays(Pair):
    def test_hostile_peers_disturb_nothing(self):
        self.pair()
        address = self.first.address
        script = ("import socket,os,random\n"
                  "for i in range(60):\n"
                  " s=socket.create_connection(('%s',7788),2) if i%%2 else socket.socket()\n"
                  " try:\n  s.sendall(random.Random(i).randbytes(i*7)); s.close()\n except OSError: pass\n" % address)
        # While connected nobody listens: a port scan gets refused. While waiting for the peer it is let in and dropped.
        subprocess.run(self.second.inside("python3", "-c", script), capture_output=True)
        self.up_to_date()
        self.second.drbdadm("disconnect", "r0")
        self.first.wait_for(cs="WFConnection")
        subprocess.run(self.second.inside("python3", "-c", script), capture_output=True)
        self.first.write(0, b"x" * 4096)
        self.second.drbdadm("connect", "r0")
        self.up_to_date()
        self.assert_equal_disks()

    def test_second_daemon_is_refused(self):
        self.pair()
        again = run(*self.first.inside(BINARIES + "/yoked", "--root", self.first.root, "--node", "e1"), check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertRegex(again.stderr + again.stdout, "already|running")

    def test_disk_of_another_daemon_is_refused(self):
        self.pair()
        thief = YokeHost("e3", "10.99.0.23", SIZE_MIB, self.folder)
        thief.disk_path = self.first.image
        thief.configure(configuration([thief, self.second], net=NET, disk=DISK))
        thief.start()
        try:
            refused = thief.drbdadm("attach", "r0", check=False)
            refused = thief.drbdadm("up", "r0", check=False) if refused.returncode == 0 else refused
            self.assertNotEqual(refused.returncode, 0)
        finally:
            thief.close()

    def test_clean_stop_on_sigterm(self):
        self.pair()
        self.assertEqual(self.second.stop(), 0)
        self.first.wait_for(cs="WFConnection")
        self.second.start()
        self.second.drbdadm("up", "r0")
        self.up_to_date()


if __name__ == "__main__":
    unittest.main(verbosity=2)
