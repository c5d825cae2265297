"""Two fresh hosts become a pair: `yoke init` on one, the line that it prints on the other, nothing else.

Run: python3 -m unittest -v test_init      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from cluster import MemberHost
from hosts import BINARIES, Failed, Network, run, wait_until
from volumes import unlisted

SIZE = "96M"
FILES = ["etc/drbd.conf", "etc/drbd.d/web.res", "etc/ocfs2/cluster.conf", "etc/default/o2cb", "etc/fstab"]


class FreshHost(MemberHost):
    """A host with a daemon and an empty root."""

    def __init__(self, name, address, folder):
        super().__init__(name, address, 1, folder)
        self.wipe()
        self.point = self.root + "/srv/web"

    def wipe(self):
        shutil.rmtree(self.root)
        os.makedirs(self.root + "/etc")

    def boot(self):
        self.start("--log-level", "info")

    def read(self, path):
        try:
            with open(os.path.join(self.root, path)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def tree(self):
        """What a set-up may leave: files and directories of the root, without what runs."""
        found = []
        for folder, folders, files in os.walk(self.root):
            inside = os.path.relpath(folder, self.root)
            if inside.startswith("run"):
                continue
            found += [os.path.join(inside, name) for name in files]
        return sorted(found)

    def follow(self, *words):
        """A command whose output is read while it runs."""
        return subprocess.Popen(
            self.inside(BINARIES + "/yoke", "--root", self.root, "--node", self.name, *words), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1)

    def init(self, name="web", mount="/srv/web", *words, size=SIZE):
        """Begins an init; the process, and the words of the join line behind the address of the other host."""
        process = self.follow("init", name, "--size", size, "--mount", mount, "--address", self.address, *words)
        told = ""
        for line in process.stdout:
            told += line
            match = re.match(r"\s+yoke join (\S+) --address <address of that host> (\S+) (\S+)$", line)
            if match:
                return process, list(match.groups())
        raise Failed("no join line: exit %s\n%s" % (process.wait(), told))

    def join(self, line, *words, check=True):
        name, place, token = line
        return self.yoke("join", name, "--address", self.address, *words, place, token, check=check)

    def mounted(self, directory="/srv/web"):
        return self.daemon and self.sh("mountpoint -q %s" % (self.root + directory), check=False).returncode == 0

    def sh(self, script, check=True, timeout=60):
        done = run("nsenter", "-t", self.daemon.pid, "-m", "-n", "sh", "-c", "cd %s && { %s\n}" % (
            self.root, script), check=False, timeout=timeout)
        if check and done.returncode:
            raise Failed("%s: %s\nexit %d\n%s%s\n--- log\n%s" % (
                self.name, script, done.returncode, done.stdout, done.stderr, self.log_tail()))
        return done


def finished(process, seconds=90):
    try:
        told, _ = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode, told


class Pairs(unittest.TestCase):
    """Each test begins with two fresh hosts."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-init-")
        cls.network = Network(with_kernel_hosts=False)
        cls.alpha = FreshHost("alpha", "10.99.0.21", cls.folder)
        cls.beta = FreshHost("beta", "10.99.0.22", cls.folder)
        cls.hosts = [cls.alpha, cls.beta]

    @classmethod
    def tearDownClass(cls):
        for host in cls.hosts:
            host.close()
        cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.processes = []
        for host in self.hosts:
            host.clear_log() if os.path.exists(host.log_path) else None
            host.boot()

    def tearDown(self):
        if self._outcome and getattr(self._outcome, "success", True) is False:
            for host in self.hosts:
                print("--- log of %s\n%s" % (host.name, host.log_tail(100)), file=sys.stderr)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        for host in self.hosts:
            host.link("up")
            host.stop()
            host.wipe()

    def init(self, *words, **options):
        process, line = self.alpha.init(*words, **options)
        self.processes.append(process)
        return process, line

    def pair(self):
        """The whole of it."""
        process, line = self.init()
        done = self.beta.join(line)
        status, told = finished(process)
        self.assertEqual(status, 0, told)
        return told, done.stdout

    def both_have_it(self, text, directory="srv/web"):
        self.alpha.sh("echo %s > %s/from-alpha; sync %s/from-alpha" % (text, directory, directory))
        self.assertEqual(self.beta.sh("cat %s/from-alpha" % directory).stdout, text + "\n")
        self.beta.sh("echo %s > %s/from-beta; sync %s/from-beta" % (text, directory, directory))
        self.assertEqual(self.alpha.sh("cat %s/from-beta" % directory).stdout, text + "\n")

    def untouched(self, host):
        self.assertEqual(host.tree(), [], host.log_tail())
        self.assertFalse(host.mounted())

    def test_two_fresh_hosts(self):
        told, joined = self.pair()
        for words in ("beta (10.99.0.22) joins", "no first sync is needed", "is mounted on /srv/web on both hosts"):
            self.assertIn(words, told)
        self.assertIn("alpha (10.99.0.21) makes web with this host: 96.0 MiB, mounted on /srv/web", joined)
        for path in FILES:
            self.assertIsNotNone(self.alpha.read(path), path)
            self.assertEqual(self.alpha.read(path), self.beta.read(path), path)
        self.assertEqual(os.stat(self.alpha.root + "/etc/drbd.d/web.res").st_mode & 0o777, 0o600)
        self.assertEqual(self.alpha.read("etc/fstab"),
                         "/dev/drbd0  /srv/web  ocfs2  noauto,x-yoke.auto,noatime  0 0\n")
        for host in self.hosts:
            self.assertEqual(host.yoke("check").returncode, 0)
            self.assertEqual(host.yoke("status").returncode, 0)
            self.assertEqual([name for name in host.tree() if "setup-" in name], [])
        self.both_have_it("first")
        self.assertEqual(self.alpha.members(), [0, 1])
        self.assertTrue(self.alpha.yoke("status").stdout.startswith("alpha: healthy - 1 resource, 1 mount\n"))

        self.assertEqual(self.beta.stop(), 0)
        check = self.alpha.yoke("check").stdout
        self.assertIn("warning: web: nobody listens on beta at 10.99.0.22:7789\n\thint: is yoked (or DRBD) up", check)
        self.assertIn("only the files were checked", self.beta.yoke("check").stderr)
        self.assertEqual(self.alpha.stop(), 0)
        self.assertEqual([unlisted(host.root + "/var/lib/yoke/web.img") for host in self.hosts], [[], []])
        for host in self.hosts:
            host.boot()
        for host in self.hosts:
            wait_until("%s has it mounted by itself" % host.name, host.mounted, 60)
        self.assertEqual(self.beta.sh("cat srv/web/from-alpha").stdout, "first\n")
        self.both_have_it("again")

        # A second volume of the same cluster.
        before = {path: self.alpha.read(path) for path in ("etc/drbd.conf", "etc/ocfs2/cluster.conf", "etc/default/o2cb")}
        process, line = self.init("mail", "/srv/mail")
        self.beta.join(line)
        status, told = finished(process)
        self.assertEqual(status, 0, told)
        for path, text in before.items():
            self.assertEqual((self.alpha.read(path), self.beta.read(path)), (text, text), path)
        self.both_have_it("second", "srv/mail")
        self.both_have_it("still", "srv/web")
        self.assertIn("/dev/drbd1  /srv/mail", self.beta.read("etc/fstab"))
        done = self.alpha.yoke("init", "web", "--size", SIZE, "--mount", "/srv/x", "--address", self.alpha.address,
                               check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("web", done.stderr)

    def test_wrong_token(self):
        process, line = self.init()
        wrong = line[:2] + ["0000-" * 7 + "0000"]
        done = self.beta.join(wrong, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the token is wrong", done.stderr)
        self.untouched(self.beta)
        self.assertIn("a wrong token from 10.99.0.22", self.alpha.dmesg())
        # Others that connect and say nothing, or nonsense, do not get in the way.
        strangers = []
        for bytes_ in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x00\x00\x00\x04abcd", b"\xff" * 200):
            script = ("import socket,time; s=socket.create_connection(('10.99.0.21', 8789)); s.sendall(%r); "
                      "time.sleep(30)" % bytes_)
            strangers.append(subprocess.Popen(self.beta.inside("python3", "-c", script), stderr=subprocess.DEVNULL))
        try:
            self.beta.join(line)
            self.assertEqual(finished(process)[0], 0)
        finally:
            for stranger in strangers:
                stranger.kill()
                stranger.wait()
        self.both_have_it("after all")
        again = self.beta.join(line, check=False)
        self.assertEqual(again.returncode, 1)

    def test_refused_before_anything_is_written(self):
        def refused(host, words, *command):
            done = host.yoke(*command, check=False)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(words, done.stderr)
        init = ("init", "web", "--address", self.alpha.address)
        os.makedirs(self.alpha.root + "/srv/full/inner")
        refused(self.alpha, "/srv/full is not empty", *init, "--size", SIZE, "--mount", "/srv/full")
        refused(self.alpha, "is no address of this host", "init", "web", "--size", SIZE, "--mount", "/srv/web",
                "--address", "10.99.0.200")
        refused(self.alpha, "no room for 900.0 TiB", *init, "--size", "900T", "--mount", "/srv/web")
        refused(self.alpha, "too small for a volume", *init, "--size", "1M", "--mount", "/srv/web")
        process, line = self.init()
        os.makedirs(self.beta.root + "/srv/web/inner")
        done = self.beta.join(line, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/srv/web is not empty", done.stderr)
        os.rmdir(self.beta.root + "/srv/web/inner")
        other = self.beta.join(["mail"] + line[1:], check=False)
        self.assertIn("beta wants to join 'mail', this is 'web'", other.stderr)
        with self.assertRaises(Failed):
            self.alpha.init("web")
        self.untouched(self.alpha)
        self.untouched(self.beta)
        cancelled = self.alpha.yoke("init", "--cancel", "web")
        self.assertIn("waits no more", cancelled.stdout)
        status, told = finished(process)
        self.assertEqual(status, 1)
        self.assertIn("/srv/web is not empty", told)
        done = self.beta.join(line, check=False)
        self.assertIn("cannot be reached", done.stderr)

    def test_failure_half_way_and_a_second_try(self):
        process, line = self.init()
        # Its own metadata cannot be made: something else lies where a file of the configuration shall be.
        os.makedirs(self.beta.root + "/etc/default/o2cb")
        done = self.beta.join(line, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/etc/default/o2cb", done.stderr)
        self.assertIn("Nothing of it is left on this host", done.stderr)
        self.untouched(self.beta)
        wait_until("alpha takes back", lambda: "the set-up is taken back" in self.alpha.dmesg(), 30)
        self.untouched(self.alpha)
        os.rmdir(self.beta.root + "/etc/default/o2cb")
        self.beta.join(line)
        self.assertEqual(finished(process)[0], 0)
        self.both_have_it("second try")

    def test_interrupted_join(self):
        process, line = self.init()
        name, place, token = line
        joining = self.beta.follow("join", name, "--address", self.beta.address, place, token)
        self.processes.append(joining)
        for text in joining.stdout:
            if "waiting for alpha" in text:
                break
        joining.kill()
        for host in self.hosts:
            wait_until("%s takes back" % host.name, lambda: "the set-up is taken back" in host.dmesg(), 60)
            self.untouched(host)
        self.beta.join(line)
        self.assertEqual(finished(process)[0], 0)
        self.both_have_it("not interrupted")

    def test_daemon_killed_half_way(self):
        process, line = self.init()
        name, place, token = line
        joining = self.beta.follow("join", name, "--address", self.beta.address, place, token)
        self.processes.append(joining)
        for text in joining.stdout:
            if "waiting for alpha" in text:
                break
        self.beta.kill()
        self.assertNotEqual(self.beta.tree(), [])
        self.beta.boot()
        self.untouched(self.beta)
        self.assertIn("a set-up that was interrupted is taken back", self.beta.dmesg())
        wait_until("alpha takes back", lambda: "the set-up is taken back" in self.alpha.dmesg(), 60)
        self.untouched(self.alpha)
        self.beta.join(line)
        self.assertEqual(finished(process)[0], 0)
        self.both_have_it("still alive")

    def test_command_ends_and_the_daemon_waits_on(self):
        process, line = self.init("web", "/srv/web", "--sparse", "--timeout", "10m")
        process.kill()
        process.wait()
        following = self.alpha.follow("init", "web")
        self.processes.append(following)
        self.beta.join(line, "--sparse")
        status, told = finished(following)
        self.assertEqual(status, 0, told)
        self.assertIn("yoke join web", told)
        self.both_have_it("followed")

    def test_timeout(self):
        process, line = self.init("web", "/srv/web", "--timeout", "2s")
        status, told = finished(process, 20)
        self.assertEqual(status, 1)
        self.assertIn("nobody joined in time", told)

    def test_disk_that_holds_something(self):
        """It is asked for, and gets the data by a full sync."""
        disk = self.beta.root + "/disk.img"
        with open(disk, "wb") as image:
            image.write(b"precious" * 1000)
            image.truncate(100 << 20)
        process, line = self.init()
        done = self.beta.join(line, "--disk", "/disk.img", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("/disk.img holds some data; all of it would be lost", done.stderr)
        self.beta.join(line, "--disk", "/disk.img", "--overwrite")
        status, told = finished(process)
        self.assertEqual(status, 0, told)
        self.assertIn("the first sync to beta has begun", told)
        wait_until("beta mounts by itself", self.beta.mounted, 120)
        self.both_have_it("synced")


if __name__ == "__main__":
    unittest.main()
