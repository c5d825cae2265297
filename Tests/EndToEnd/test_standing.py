"""Mounts that the daemon keeps: two hosts that come up, and come back, with no command given.

Run: python3 -m unittest -v test_standing      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from cluster import DUAL, FAST, end_pair, yoke_pair
from hosts import Network, configuration, wait_until

SIZE_MIB = 96


class Standing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-standing-")
        cls.network = Network(with_kernel_hosts=False)
        cls.hosts = cls.alpha, cls.beta = yoke_pair(cls.folder, SIZE_MIB)
        text = configuration(cls.hosts, net=DUAL, disk=FAST,
                             startup="become-primary-on both; wfc-timeout 10; degr-wfc-timeout 10;")
        for host in cls.hosts:
            host.configure(text)
            with open(host.root + "/etc/fstab", "w") as out:
                out.write("/dev/drbd0  /mnt  ocfs2  noauto,x-yoke.auto,noatime,nodiratime  0 0\n")
            host.stop()
        for host in cls.hosts:
            host.start("--log-level", "info")

    @classmethod
    def tearDownClass(cls):
        for host in cls.hosts:
            host.umount(check=False)
        end_pair(cls.hosts, cls.network, cls.folder, lambda host: host.stop())

    def up(self, host, seconds=60):
        def mounted():
            return host.sh("test -e lost+found && ls", check=False).returncode == 0
        wait_until("%s has it mounted by itself" % host.name, mounted, seconds)

    def both_up(self):
        for host in self.hosts:
            self.up(host)

    def test_1_both_come_up_by_themselves(self):
        self.both_up()
        self.alpha.sh("echo hello > file; sync file .")
        self.assertEqual(self.beta.sh("cat file").stdout, "hello\n")
        self.beta.sh("rm file; sync .")
        self.alpha.sh("test ! -e file")

    def test_2_one_is_restarted(self):
        self.both_up()
        self.alpha.sh("echo before > kept; sync kept .")
        self.beta.stop()
        self.alpha.sh("echo during >> kept; sync kept .")
        self.beta.start("--log-level", "info")
        self.up(self.beta)
        self.assertEqual(self.beta.sh("cat kept").stdout, "before\nduring\n")

    def test_3_one_is_killed(self):
        self.both_up()
        self.beta.sh("echo mine > killed; sync killed .")
        self.beta.kill()
        self.assertEqual(self.alpha.sh("cat killed; echo more >> killed; sync killed .", timeout=30).stdout, "mine\n")
        self.beta.start("--log-level", "info")
        self.up(self.beta)
        self.assertEqual(self.beta.sh("cat killed").stdout, "mine\nmore\n")

    def test_4_both_are_restarted(self):
        self.both_up()
        self.alpha.sh("echo all > rebooted; sync rebooted .")
        for host in self.hosts:
            host.stop()
        for host in self.hosts:
            host.start("--log-level", "info")
        self.both_up()
        for host in self.hosts:
            self.assertEqual(host.sh("cat rebooted").stdout, "all\n")

    def test_5_cable_pulled_and_put_back(self):
        self.both_up()
        self.beta.link("down")
        self.alpha.sh("echo alone > cut; sync cut .", timeout=40)
        self.beta.link("up")

        def back():
            return self.beta.sh("cat cut", check=False).stdout == "alone\n"
        wait_until("beta is back with the other's data", back, 90)
        self.both_up()
        self.beta.sh("echo together >> cut; sync cut .")
        self.assertEqual(self.alpha.sh("cat cut").stdout, "alone\ntogether\n")


if __name__ == "__main__":
    unittest.main()
