"""Two Yoke hosts mount one replicated volume at once: joining, sharing, leaving, and the death of one.

Run: python3 -m unittest -v test_cluster      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from cluster import make_volume, mount_all, yoke_pair
from hosts import Background, Network, wait_until
from volumes import unlisted

SIZE_MIB = 96


class Members(unittest.TestCase):
    """A fresh pair for each test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="yoke-cluster-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.network = Network(with_kernel_hosts=False)
        self.addCleanup(self.network.close)
        self.hosts = yoke_pair(self.folder, SIZE_MIB, lambda host: self.addCleanup(host.close))
        self.alpha, self.beta = self.hosts

    def tearDown(self):
        if os.environ.get("YOKE_SHOW_LOGS"):
            for host in self.hosts:
                print("=== %s\n%s" % (host.name, host.dmesg()), file=sys.stderr)
        for host in self.hosts:
            self.assertNotRegex(host.dmesg(), r"Fatal error|Illegal instruction", "%s trapped" % host.name)

    def both_mount(self):
        mount_all(self.hosts)

    def assert_clean(self):
        """The volume has no fault; nobody has it mounted."""
        for host in self.hosts:
            self.assertEqual(unlisted(host.image), [], host.name)


class Sharing(Members):
    def test_one_after_the_other(self):
        begun = time.monotonic()
        self.alpha.mount()
        self.alpha.sh("echo hello > first")
        self.beta.mount()
        self.assertLess(time.monotonic() - begun, 60)
        self.assertEqual(self.beta.sh("cat first").stdout, "hello\n")
        self.beta.sh("echo world > second")
        self.assertEqual(self.alpha.sh("ls; cat second").stdout.split(), ["first", "lost+found", "second", "world"])
        self.alpha.umount()
        self.assertEqual(self.beta.sh("cat first second").stdout, "hello\nworld\n")
        self.beta.umount()
        self.assert_clean()

    def test_disk_without_replication(self):
        disk = os.path.join(self.folder, "disk.ocfs2")
        make_volume(disk, SIZE_MIB)
        refused = self.alpha.mount("-o", "heartbeat=none", source=disk, check=False)
        self.assertIn("Heartbeat has to be started", refused.stderr)
        self.alpha.mount("-o", "heartbeat=local", source=disk)
        self.assertEqual(self.alpha.members(), [0])
        self.assertEqual(self.alpha.yoke("o2cb", "unregister-cluster", "web", check=False).returncode, 1)
        self.alpha.sh("echo here > file")
        self.alpha.umount()
        self.assertEqual(unlisted(disk), [])
        self.assertIn("Not active", self.alpha.yoke("o2cb", "status", check=False).stdout)

    def test_both_at_once(self):
        self.both_mount()
        for host in self.hosts:
            self.assertEqual(host.sh("ls").stdout, "lost+found\n")
            self.assertIn("Checking O2CB heartbeat: Active", host.yoke("o2cb", "status", check=False).stdout)
        for host in self.hosts:
            host.umount()
        self.assert_clean()


class Death(Members):
    """One host goes, by itself or by force; the other goes on."""

    def survive(self, victim, survivor):
        """Seconds until the survivor can change what the victim had locked."""
        begun = time.monotonic()
        survivor.sh("echo after > shared/after; cat shared/before; echo more >> shared/before", timeout=90)
        return time.monotonic() - begun

    def share(self):
        self.both_mount()
        self.alpha.sh("mkdir shared; echo before > shared/before; sync shared/before shared")
        self.assertEqual(self.beta.sh("cat shared/before").stdout, "before\n")

    def kill(self, victim, survivor):
        self.share()
        victim.sh("echo mine > shared/mine; sync shared/mine shared")
        victim.kill()
        self.assertLess(self.survive(victim, survivor), 3)
        self.assertEqual(survivor.sh("cat shared/mine").stdout, "mine\n")
        self.assertRegex(survivor.dmesg(), r"goes on alone: the peer's daemon is gone")
        victim.start()
        victim.drbdadm("up", "r0")
        for host in self.hosts:
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate")
        victim.drbdadm("primary", "r0")
        victim.mount()
        self.assertEqual(victim.sh("cat shared/before shared/after shared/mine").stdout.split(),
                         ["before", "more", "after", "mine"])
        self.assertEqual(victim.members(), [0, 1])
        for host in self.hosts:
            host.umount()
        self.assert_clean()

    def test_kill_of_the_preferred_host(self):
        self.kill(self.alpha, self.beta)

    def test_kill_of_the_other_host(self):
        self.kill(self.beta, self.alpha)

    def test_cut_cable(self):
        self.share()
        self.beta.link("down")
        self.assertLess(self.survive(self.beta, self.alpha), 20)
        self.assertRegex(self.alpha.dmesg(), r"goes on alone: .*this host is preferred")
        wait_until("beta freezes", lambda: "FROZEN" in self.beta.yoke("status", check=False).stdout, 20)
        late = Background(self.beta.sh, "echo no > shared/no; sync shared/no", False, 120)
        time.sleep(2)
        self.assertTrue(late.thread.is_alive(), "a frozen host acknowledges nothing")
        self.assertEqual(self.alpha.sh("ls shared").stdout.split(), ["after", "before"])
        self.beta.link("up")
        wait_until("beta gives up", lambda: "is no member any more" in self.beta.dmesg(), 90)
        late.join(30)
        self.assertNotEqual(late.value.returncode, 0)
        self.comes_back(self.beta)

    def test_takeover(self):
        self.share()
        self.alpha.link("down")
        self.alpha.kill()
        wait_until("beta freezes", lambda: "FROZEN" in self.beta.yoke("status", check=False).stdout, 30)
        wait = Background(self.survive, self.alpha, self.beta)
        time.sleep(1)
        self.assertTrue(wait.thread.is_alive())
        self.beta.yoke("takeover")
        wait.join(10)
        self.assertEqual(self.beta.members(), [1])
        self.beta.umount()

    def test_stopped_host_writes_nothing_when_it_wakes(self):
        self.share()
        self.beta.sh("echo old > shared/old")
        self.beta.daemon.send_signal(signal.SIGSTOP)
        try:
            self.assertLess(self.survive(self.beta, self.alpha), 25)
        finally:
            self.beta.daemon.send_signal(signal.SIGCONT)
        wait_until("beta knows", lambda: "is no member any more" in self.beta.dmesg(), 10)
        self.assertNotEqual(self.beta.sh("echo no > shared/no; cat shared/old", check=False).returncode, 0)
        self.assertEqual(self.alpha.sh("ls shared").stdout.split(), ["after", "before"])
        self.comes_back(self.beta)

    def comes_back(self, loser):
        """The host that gave up takes the other's data and mounts again; no data of two histories."""
        loser.umount()
        loser.drbdadm("secondary", "r0")
        loser.drbdadm("disconnect", "r0", check=False)
        loser.drbdadm("connect", "r0")
        for host in self.hosts:
            host.drbdadm("connect", "r0", check=False)
        for host in self.hosts:
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate", seconds=30)
            self.assertNotIn("Split-Brain", host.dmesg())
        loser.drbdadm("primary", "r0")
        loser.mount()
        self.assertEqual(loser.sh("cat shared/before").stdout, "before\nmore\n")
        for host in self.hosts:
            host.umount()
        self.assert_clean()


if __name__ == "__main__":
    unittest.main()
