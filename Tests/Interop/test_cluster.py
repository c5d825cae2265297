"""A Yoke host and a kernel host (DRBD, O2CB, OCFS2 of the kernel) mount one dual-primary volume at once.

Run: python3 -m unittest -v test_cluster      (root; from this folder; binaries from scripts/build)
One VM boots for each order of node numbers, and again after each test that cuts its power.
"""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from cluster import CLUSTER, DUAL, FAST, MemberHost, cluster_conf, make_volume, service_settings
from coherence import Coherence
from hosts import FULL, FULL_ONLY, Background, Failed, KernelHost, Network, configuration, refnode, wait_until
from volumes import unlisted

SIZE_MIB = 96


class KernelMember(KernelHost):
    """A VM whose disk begins as a copy of an image."""

    def __init__(self, name, address, folder, original):
        self.original = original
        super().__init__(name, address, SIZE_MIB, folder)

    def fresh_disk(self):
        shutil.copyfile(self.original, self.image)

    def start_cluster(self, conf, threshold):
        self.shell("mkdir -p /etc/ocfs2 /mnt; cat > /etc/ocfs2/cluster.conf <<'END'\n%s\nEND" % conf)
        self.shell("o2cb register-cluster %s; echo %d > /sys/kernel/config/cluster/%s/heartbeat/dead_threshold" % (
            CLUSTER, threshold, CLUSTER))

    def mount(self, check=True, timeout=120):
        return self.shell("mount.ocfs2 /dev/drbd0 /mnt", check=check, timeout=timeout)

    def umount(self, check=True):
        return self.shell("cd /; umount /mnt", check=check)

    def sh(self, script, check=True, timeout=120):
        return self.shell("cd /mnt && { %s\n}" % script, check=check, timeout=timeout)

    # What the kernel says of faults, without what it says at every reboot of this VM.
    COMPLAINT = re.compile(r"ERROR|BUG|WARNING|Oops|Call Trace|corrupt|I/O error|status = -|very sorry", re.I)

    def complaints(self):
        return [line for line in self.dmesg().splitlines() if self.COMPLAINT.search(line)]


class Pair(unittest.TestCase):
    """A fresh volume for each test."""
    kernel_is_first = True
    threshold = 31

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-interop-cluster-")
        cls.original = os.path.join(cls.folder, "original.ocfs2")
        make_volume(cls.original, SIZE_MIB)
        cls.network = Network()
        cls.kernel = KernelMember("k1", "10.99.0.11", cls.folder, cls.original)
        cls.yoke = MemberHost("y1", "10.99.0.12", SIZE_MIB, cls.folder)
        cls.conf = cluster_conf([cls.kernel, cls.yoke] if cls.kernel_is_first else [cls.yoke, cls.kernel])
        cls.yoke.configure_cluster(cls.conf, service_settings(threshold=cls.threshold))
        cls.yoke.start()
        cls.kernel.start_cluster(cls.conf, cls.threshold)

    @classmethod
    def tearDownClass(cls):
        cls.yoke.close()
        cls.kernel.close()
        cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        if refnode("list").stdout.find("k1 10.99.0.11 running") < 0:
            self.kernel.boot()
            self.kernel.start_cluster(self.conf, self.threshold)
        self.kernel.link("up")
        self.yoke.link("up")
        if self.yoke.daemon is None or self.yoke.daemon.poll() is not None:
            self.yoke.daemon = None
            self.yoke.start()
        self.kernel.tear_down()
        self.yoke.tear_down()
        self.kernel.clear_log()
        self.yoke.clear_log()
        self.bring_up()

    def bring_up(self):
        text = configuration([self.kernel, self.yoke], net=DUAL, disk=FAST)
        self.kernel.configure(text)
        self.yoke.configure(text)
        shutil.copyfile(self.original, self.yoke.image)
        self.yoke.yoke("drbdadm", "--", "--force", "create-md", "r0")
        refnode("push", "k1", self.original, "/dev/shm/original")
        self.kernel.shell("dd if=/dev/shm/original of=/dev/vda bs=1M oflag=direct 2>/dev/null; rm /dev/shm/original; "
                          "drbdmeta --force 0 v08 /dev/vda internal create-md >/dev/null 2>&1")
        hosts = (self.kernel, self.yoke)
        for host in hosts:
            host.drbdadm("up", "r0")
        for host in hosts:
            host.wait_for(cs="Connected", disk="Inconsistent/Inconsistent")
        self.kernel.shell("drbdsetup new-current-uuid --clear-bitmap 0")
        for host in hosts:
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate")
        for host in hosts:
            host.drbdadm("primary", "r0")
        for host in hosts:
            host.wait_for(role="Primary/Primary")

    def tearDown(self):
        if os.environ.get("YOKE_SHOW_LOGS"):
            print("=== kernel\n%s\n=== yoke\n%s" % (
                "\n".join(l for l in self.kernel.dmesg().splitlines() if "audit" not in l), self.yoke.dmesg()),
                file=sys.stderr)
        self.assertNotRegex(self.yoke.log_tail(400), r"Fatal error|Illegal instruction|Precondition", "the daemon trapped")
        self.yoke.umount("--lazy", check=False)
        self.kernel.shell("cd /; umount /mnt 2>/dev/null", check=False)

    def assert_quiet(self):
        self.assertEqual(self.kernel.complaints(), [])

    def assert_members(self):
        self.assertEqual(self.yoke.members(), [0, 1])

    def assert_clean(self):
        self.kernel.shell("sync")
        self.assertEqual(unlisted(self.yoke.image), [])

class Mixed(Pair):
    """The kernel host is node 0 and accepts; the subclass turns it round."""

    def leaves_cleanly(self, first, second):
        first.umount()
        self.assertEqual(second.sh("ls").stdout, "lost+found\n")
        second.umount()
        self.assert_quiet()
        self.assert_clean()

    def test_kernel_mounts_first_and_leaves_first(self):
        self.kernel.mount()
        self.yoke.mount()
        self.assert_members()
        for host in (self.kernel, self.yoke):
            self.assertEqual(host.sh("ls").stdout, "lost+found\n")
        self.leaves_cleanly(self.kernel, self.yoke)

    def test_yoke_mounts_first_and_leaves_first(self):
        self.yoke.mount()
        self.kernel.mount()
        self.assert_members()
        for host in (self.kernel, self.yoke):
            self.assertEqual(host.sh("ls").stdout, "lost+found\n")
        self.leaves_cleanly(self.yoke, self.kernel)

    @unittest.skipUnless(FULL, FULL_ONLY)
    def test_each_sees_what_the_other_does(self):
        self.kernel.mount()
        self.yoke.mount()
        for turn, (one, other) in enumerate([(self.kernel, self.yoke), (self.yoke, self.kernel)] * 3):
            one.sh("mkdir d%d; echo 'made %d' > d%d/file; ln -s file d%d/link" % (turn, turn, turn, turn))
            self.assertEqual(other.sh("cat d%d/link" % turn).stdout, "made %d\n" % turn)
            other.sh("echo more >> d%d/file; mv d%d/file d%d/renamed" % (turn, turn, turn))
            self.assertEqual(one.sh("cat d%d/renamed; ls d%d" % (turn, turn)).stdout.split(),
                             ["made", str(turn), "more", "link", "renamed"])
            one.sh("rm d%d/renamed" % turn)
            self.assertEqual(other.sh("ls d%d" % turn).stdout.split(), ["link"])
        names = " ".join("d%d" % turn for turn in range(6))
        self.yoke.sh("rm -r " + names)
        self.leaves_cleanly(self.kernel, self.yoke)

    def test_both_mount_at_once(self):
        waits = [Background(host.mount) for host in (self.kernel, self.yoke)]
        for wait in waits:
            wait.join(120)
        self.assert_members()
        self.leaves_cleanly(self.kernel, self.yoke)


@unittest.skipUnless(FULL, FULL_ONLY)
class MixedYokeFirst(Mixed):
    """The Yoke host is node 0: the kernel host connects."""
    kernel_is_first = False


class Death(Pair):
    """One host dies; the other notices by the heartbeat, as two kernel hosts do, here after 20 s."""
    threshold = 10
    DETECTION = 45

    def share(self, victim):
        for host in (self.kernel, self.yoke):
            host.mount()
        self.assert_members()
        victim.sh("mkdir shared; echo mine > shared/mine; sync shared/mine shared")

    def test_kernel_sees_the_death_of_the_daemon(self):
        self.share(self.yoke)
        self.yoke.kill()
        begun = time.monotonic()
        self.assertEqual(self.kernel.sh("cat shared/mine; echo after > shared/after; sync", timeout=120).stdout,
                         "mine\n")
        self.assertLess(time.monotonic() - begun, self.DETECTION)
        log = self.kernel.dmesg()
        self.assertRegex(log, r"o2net: No longer connected to node y1")
        self.assertRegex(log, r"o2dlm: Begin recovery on domain")
        self.kernel.umount()
        # What the lock manager says of every death, also of a kernel host's.
        usual = re.compile(r"dlm_\w+:\d+ ERROR: (link to 1 went down!|node down! 1|status = -(11|107|112))$")
        self.assertEqual([line for line in self.kernel.complaints() if not usual.search(line)], [])

    def test_yoke_sees_the_power_cut_of_the_kernel(self):
        self.share(self.kernel)
        self.kernel.kill()
        begun = time.monotonic()
        self.assertEqual(self.yoke.sh("cat shared/mine; echo after > shared/after; cat shared/after",
                                      timeout=120).stdout, "mine\nafter\n")
        self.assertLess(time.monotonic() - begun, self.DETECTION)
        log = self.yoke.dmesg()
        self.assertRegex(log, r"node 0 died with slot \d: recovering")
        self.assertNotRegex(log, r"goes on alone|frozen", "a kernel fellow is not judged")
        self.yoke.umount()
        self.assertEqual(unlisted(self.yoke.image), [])


class Together(Coherence, Pair):
    """Both have the volume mounted all the time: what one does the other sees at once."""
    # The VM has no help of the processor.
    many = 80

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one, cls.two = cls.kernel, cls.yoke
        cls.isMounted = False

    def setUp(self):
        if not Together.isMounted:
            super().setUp()
            for host in (self.kernel, self.yoke):
                host.mount()
            Together.isMounted = True

    def tearDown(self):
        self.assertNotRegex(self.yoke.log_tail(400), r"Fatal error|Illegal instruction|Precondition", "the daemon trapped")
        self.assert_quiet()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.kernel.umount()
            cls.yoke.umount()
            faults = unlisted(cls.yoke.image)
        finally:
            super().tearDownClass()
        assert faults == [], faults


if __name__ == "__main__":
    unittest.main()
