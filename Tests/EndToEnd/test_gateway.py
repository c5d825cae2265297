"""Two hosts with a default gateway: whoever hears nothing from the other asks whether it is cut off itself.

Run: python3 -m unittest -v test_gateway      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Torture"))
from hosts import Background, wait_until
from pair import Pair


class Gateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pair = Pair(with_gateway=True)
        try:
            cls.pair.start()
        except BaseException:
            cls.pair.close()
            raise
        cls.alpha, cls.beta = cls.pair.hosts

    @classmethod
    def tearDownClass(cls):
        try:
            cls.pair.check_daemons()
            cls.pair.end()
        finally:
            cls.pair.close()

    def setUp(self):
        for host in self.pair.hosts:
            self.healthy(host)
            host.set_mark()

    def healthy(self, host):
        wait_until("%s is back" % host.name, host.is_healthy, 90)

    def frozen(self, host):
        wait_until("%s freezes" % host.name, lambda: "this host is frozen: this host is cut off" in host.since_mark(), 20)

    def goes_on(self, cut, other):
        """The one whose cable is out freezes, whoever is preferred; the other goes on, since it reaches the gateway."""
        cut.sh("echo before > file; sync file .")
        self.assertEqual(other.sh("cat file").stdout, "before\n")
        begun = time.monotonic()
        cut.link("down")
        other.sh("echo after >> file; sync file .", timeout=40)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertIn("goes on alone: the peer is dead or cut off", other.since_mark())
        self.frozen(cut)
        # Frozen: nothing is answered, not even what this host had in memory.
        late = Background(cut.sh, "cat file; echo no > no; sync no", False, 120)
        time.sleep(2)
        self.assertTrue(late.thread.is_alive(), "a frozen host answers nothing")
        cut.link("up")
        late.join(90)
        self.assertNotEqual(late.value.returncode, 0)
        self.assertEqual(late.value.stdout, "")
        self.healthy(cut)
        self.assertEqual(cut.sh("cat file; test ! -e no").stdout, "before\nafter\n")
        cut.sh("rm file")

    def test_the_other_host_is_cut_off(self):
        self.goes_on(self.beta, self.alpha)

    def test_the_preferred_host_is_cut_off(self):
        self.goes_on(self.alpha, self.beta)

    def test_both_are_cut_off_and_resume(self):
        for host in self.pair.hosts:
            host.sh("echo mine > %s; sync %s ." % (host.name, host.name))
        for host in self.pair.hosts:
            host.link("down")
        for host in self.pair.hosts:
            self.frozen(host)
        waits = [Background(host.sh, "echo more >> %s; sync %s" % (host.name, host.name), True, 90)
                 for host in self.pair.hosts]
        time.sleep(1)
        for wait in waits:
            self.assertTrue(wait.thread.is_alive(), "a frozen host acknowledges nothing")
        for host in self.pair.hosts:
            host.link("up")
        for wait in waits:
            wait.join(60)
        for host in self.pair.hosts:
            self.healthy(host)
            self.assertNotIn("is no member any more", host.since_mark())
            self.assertEqual(host.sh("cat alpha beta").stdout, "mine\nmore\n" * 2)
        self.alpha.sh("rm alpha beta")

    def test_cut_off_for_too_long_fails(self):
        self.beta.sh("echo kept > kept; sync kept .")
        self.alpha.sh("cat kept")
        self.beta.link("down")
        self.frozen(self.beta)
        wait = Background(self.beta.sh, "echo no > no; sync no", False, 120)
        wait.join(100)
        self.assertNotEqual(wait.value.returncode, 0)
        self.assertIn("frozen for too long", self.beta.since_mark())
        self.beta.link("up")
        self.healthy(self.beta)
        self.assertEqual(self.beta.sh("cat kept; rm kept; test ! -e no").stdout, "kept\n")


if __name__ == "__main__":
    unittest.main()
