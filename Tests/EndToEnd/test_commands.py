"""Two daemons under two roots on loopback addresses, driven by the classic commands and by yoke's own.

Run: python3 -m unittest -v test_commands      (from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, Failed, run, wait_until

SIZE_MIB = 64
CONFIGURATION = """
global { usage-count no; }
common { protocol C; syncer { rate 200M; verify-alg sha1; } }
resource r0 {
    startup { wfc-timeout 20; %(startup)s }
    net { allow-two-primaries; ping-timeout 10; }
    disk { c-plan-ahead 0; }
    handlers { %(handlers)s }
    on alpha { device /dev/drbd3; disk /disk0; address 127.0.0.21:%(port)d; meta-disk internal; }
    on beta { device /dev/drbd3; disk /disk0; address 127.0.0.22:%(port)d; meta-disk internal; }
}
"""


def free_port():
    """A port that nobody uses now; the hosts of one test share it on two loopback addresses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class LoopbackHost:
    def __init__(self, name, folder):
        self.name = name
        self.root = os.path.join(folder, name)
        self.daemon = None
        self.log_path = os.path.join(folder, name + ".log")
        os.makedirs(self.root + "/etc")
        with open(self.root + "/disk0", "wb") as disk:
            disk.truncate(SIZE_MIB << 20)

    def configure(self, text):
        with open(self.root + "/etc/drbd.conf", "w") as out:
            out.write(text)

    def yoke(self, *words, check=True, node=True, **options):
        place = ["--root", self.root] + (["--node", self.name] if node else [])
        return run(BINARIES + "/yoke", *place, *words, check=check, **options)

    def start(self, *options):
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen([BINARIES + "/yoked", "--root", self.root, "--node", self.name, *options],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("%s answers" % self.name, lambda: self.yoke("status", check=False).returncode != 20, 20)

    def stop(self):
        if self.daemon is None:
            return None
        self.daemon.terminate()
        try:
            return self.daemon.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
            raise Failed("%s did not stop\n%s" % (self.name, self.log()))
        finally:
            self.daemon = None

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def state(self):
        done = self.yoke("drbdadm", "dstate", "r0", check=False)
        return self.yoke("drbdadm", "cstate", "r0", check=False).stdout.strip(), done.stdout.strip()

    def wait_state(self, connection, disks, seconds=60):
        try:
            wait_until("%s %s" % (connection, disks), lambda: self.state() == (connection, disks), seconds)
        except Failed as failure:
            raise Failed("%s\n%s" % (failure, self.log())) from failure

    @property
    def uri(self):
        return "nbd+unix:///r0?socket=%s/run/yoke/nbd.sock" % self.root

    def replicated_bytes(self):
        size = json.loads(self.yoke("status", "--json", check=False).stdout)["resources"][0]["volumes"][0]["sizeBytes"]
        with open(self.root + "/disk0", "rb") as disk:
            return disk.read(size)


class Pair(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="yoke-cmd-")
        self.port = free_port()
        self.alpha = LoopbackHost("alpha", self.folder)
        self.beta = LoopbackHost("beta", self.folder)
        self.hosts = (self.alpha, self.beta)
        self.configure()

    def tearDown(self):
        for host in self.hosts:
            host.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, startup="", handlers=""):
        for host in self.hosts:
            host.configure(CONFIGURATION % dict(port=self.port, startup=startup, handlers=handlers))

    def create_md(self):
        for host in self.hosts:
            host.yoke("drbdadm", "create-md", "r0")

    def connected(self):
        """Both daemons up by themselves, one promoted by force, the first resync done."""
        self.create_md()
        for host in self.hosts:
            host.start()
        for host in self.hosts:
            host.wait_state("Connected", "Inconsistent/Inconsistent")
        self.alpha.yoke("drbdadm", "--", "--overwrite-data-of-peer", "primary", "r0")
        for host in self.hosts:
            host.wait_state("Connected", "UpToDate/UpToDate")

    def assert_equal_disks(self):
        self.assertTrue(self.alpha.replicated_bytes() == self.beta.replicated_bytes(), "the disks differ")


class Life(Pair):
    def test_first_sync_writes_from_both_sides_and_clean_stop(self):
        self.connected()
        self.beta.yoke("drbdadm", "primary", "r0")
        self.assertEqual(self.alpha.yoke("drbdadm", "role", "r0").stdout, "Primary/Primary\n")
        run("qemu-io", "-f", "raw", "-c", "write -P 0x5a 1M 2M", "-c", "flush", self.alpha.uri)
        run("qemu-io", "-f", "raw", "-c", "write -P 0xa5 8M 64k", "-c", "read -P 0x5a 1M 2M", self.beta.uri)
        run("qemu-io", "-f", "raw", "-c", "read -P 0xa5 8M 64k", self.alpha.uri)
        self.assert_equal_disks()
        status = json.loads(self.alpha.yoke("status", "--json").stdout)
        self.assertEqual((status["node"], status["health"]), ("alpha", "healthy"))
        for host in self.hosts:
            self.assertEqual(host.stop(), 0)
        for words in ("role( Secondary -> Primary )", "conn( WFConnection -> WFReportParams )",
                      "Handshake successful: Agreed network protocol version 101", "conn( Disconnecting -> StandAlone )"):
            self.assertIn(words, self.alpha.log())

    def test_metadata_made_by_the_classic_drbdmeta(self):
        if not shutil.which("drbdmeta"):
            self.skipTest("no drbdmeta")
        for host in self.hosts:
            run("drbdmeta", "--force", "-", "v08", host.root + "/disk0", "internal", "create-md")
            host.start()
        for host in self.hosts:
            host.wait_state("Connected", "Inconsistent/Inconsistent")
        self.alpha.yoke("drbdadm", "primary", "--force", "r0")
        self.beta.wait_state("Connected", "UpToDate/UpToDate")
        self.alpha.yoke("drbdadm", "secondary", "r0")
        expected = self.alpha.yoke("drbdadm", "get-gi", "r0").stdout.split(":")[:4]
        for host in self.hosts:
            host.stop()
        # The kernel's tool wants the log applied first, as after a clean stop of the kernel.
        run("drbdmeta", "--force", "-", "v08", self.alpha.root + "/disk0", "internal", "apply-al")
        found = run("drbdmeta", "--force", "-", "v08", self.alpha.root + "/disk0", "internal", "get-gi").stdout
        self.assertEqual(found.strip().splitlines()[-1].split(":")[:4], expected)

    def test_kill_in_the_middle_of_writes_costs_a_short_resync(self):
        self.connected()
        writer = subprocess.Popen(
            ["qemu-io", "-f", "raw"] + ["-c", "write -P 0x11 4M 4M"] * 200 + [self.alpha.uri],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("the peer writes", lambda: json.loads(self.beta.yoke("status", "--json", check=False).stdout)[
            "resources"][0]["volumes"][0]["receivedBytes"] > (SIZE_MIB << 20) + (8 << 20))
        self.alpha.daemon.kill()
        self.alpha.daemon.wait()
        self.alpha.daemon = None
        writer.kill()
        writer.wait()
        self.beta.wait_state("WFConnection", "UpToDate/DUnknown")
        self.alpha.start()
        for host in self.hosts:
            host.wait_state("Connected", "UpToDate/UpToDate")
        self.assert_equal_disks()
        self.assertIn("bits set]", self.alpha.log())

    def test_split_brain_is_told_and_solved_by_hand(self):
        self.connected()
        self.beta.yoke("drbdadm", "primary", "r0")
        self.alpha.yoke("drbdadm", "disconnect", "r0")
        self.beta.wait_state("WFConnection", "UpToDate/DUnknown")
        run("qemu-io", "-f", "raw", "-c", "write -P 1 0 64k", self.alpha.uri)
        run("qemu-io", "-f", "raw", "-c", "write -P 2 0 64k", self.beta.uri)
        self.alpha.yoke("drbdadm", "connect", "r0")
        wait_until("both have seen it", lambda: all("Split-Brain detected" in host.log() for host in self.hosts))
        told = self.beta.yoke("status", check=False)
        self.assertEqual(told.returncode, 2)
        self.assertIn("r0: BROKEN - Split-Brain detected", told.stdout)
        self.beta.yoke("drbdadm", "disconnect", "r0", check=False)
        self.alpha.yoke("drbdadm", "disconnect", "r0", check=False)
        self.beta.yoke("drbdadm", "secondary", "r0")
        self.beta.yoke("drbdadm", "--", "--discard-my-data", "connect", "r0")
        self.alpha.yoke("drbdadm", "connect", "r0")
        for host in self.hosts:
            host.wait_state("Connected", "UpToDate/UpToDate")
        run("qemu-io", "-f", "raw", "-c", "read -P 1 0 64k", self.alpha.uri)
        self.assert_equal_disks()

    def test_export_on_tcp_is_loopback_and_only_when_asked(self):
        self.connected()
        port = free_port()
        self.assertIn("nbd://127.0.0.1:%d/r0/0\n" % port, self.alpha.yoke("export", "r0", "--tcp", port).stdout)
        run("qemu-io", "-f", "raw", "-c", "read 0 64k", "nbd://127.0.0.1:%d/r0" % port)
        self.assertNotIn("nbd://", self.alpha.yoke("export", "r0", "--no-tcp").stdout)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 2)

    def test_become_primary_on_and_handlers(self):
        out = self.folder + "/handler"
        self.configure(startup="become-primary-on both;",
                       handlers='after-resync-target "env > %s.$DRBD_PEER";' % out)
        self.create_md()
        for host in self.hosts:
            host.start("--no-start")
            host.yoke("drbdadm", "up", "all")
        self.alpha.yoke("drbdadm", "wait-connect", "r0")
        self.alpha.yoke("drbdadm", "primary", "--force", "r0")
        self.beta.wait_state("Connected", "UpToDate/UpToDate")
        wait_until("the handler ran", lambda: os.path.exists(out + ".alpha"))
        wait_until("the handler has written", lambda: os.path.getsize(out + ".alpha") > 0)
        with open(out + ".alpha") as told:
            environment = dict(line.split("=", 1) for line in told.read().splitlines() if "=" in line)
        for name, value in (("DRBD_RESOURCE", "r0"), ("DRBD_MINOR", "3"), ("DRBD_VOLUME", "0"), ("DRBD_PEERS", "alpha"),
                            ("DRBD_PEER_AF", "ipv4"), ("DRBD_PEER_ADDRESS", "127.0.0.21"), ("HOME", "/"),
                            ("TERM", "linux"), ("PWD", "/")):
            self.assertEqual(environment.get(name), value, name)
        self.assertTrue(environment["DRBD_LL_DISK"].endswith("/disk0"))
        for host in self.hosts:
            host.stop()
        for host in self.hosts:
            host.start()
        wait_until("both are Primary", lambda: self.alpha.yoke("drbdadm", "role", "r0", check=False).stdout
                   == "Primary/Primary\n", 40)


RESOURCES = """
global { usage-count no; }
resource r0 {
    disk { resync-rate 16M; c-plan-ahead 0; }
    on alpha { address 127.0.0.21:%(port)d;
        volume 0 { device /dev/drbd0; disk /disk0; meta-disk internal; }
        volume 1 { device /dev/drbd1; disk /disk1; meta-disk internal; } }
    on beta { address 127.0.0.22:%(port)d;
        volume 0 { device /dev/drbd0; disk /disk0; meta-disk internal; }
        volume 1 { device /dev/drbd1; disk /disk1; meta-disk internal; } }
}
resource r1 {
    disk { resync-rate 16M; c-plan-ahead 0; resync-after r0/1; }
    on alpha { device /dev/drbd9; disk /disk2; address 127.0.0.21:%(other)d; meta-disk internal; }
    on beta { device /dev/drbd9; disk /disk2; address 127.0.0.22:%(other)d; meta-disk internal; }
}
"""


class SeveralResources(Pair):
    def configure(self):
        ports = dict(port=self.port, other=free_port())
        for host in self.hosts:
            host.configure(RESOURCES % ports)
            for number in range(3):
                with open("%s/disk%d" % (host.root, number), "wb") as disk:
                    disk.truncate(24 << 20)

    def test_volumes_and_resync_after(self):
        for host in self.hosts:
            host.yoke("drbdadm", "create-md", "all")
            host.start()

        def states():
            text = self.beta.yoke("proc-drbd", check=False).stdout
            return [line.split()[1] for line in text.splitlines() if line[2:3] == ":"]

        wait_until("all are connected", lambda: states() == ["cs:Connected"] * 3)
        self.alpha.yoke("drbdadm", "primary", "--force", "all")
        wait_until("the second resource waits", lambda: states() == ["cs:SyncTarget", "cs:SyncTarget", "cs:PausedSyncT"])
        self.assertIn("resync-suspended:dependency", self.beta.yoke("drbdsetup", "status", "r1").stdout
                      .replace("peer,", ""))
        wait_until("its turn comes", lambda: states()[2] == "cs:SyncTarget")
        wait_until("all are in sync", lambda: self.beta.yoke("status", check=False).returncode == 0)
        exports = run("nbdinfo", "--list", self.alpha.uri.replace("///r0", "///")).stdout
        self.assertEqual([line for line in exports.splitlines() if line.startswith("export=")],
                         ['export="r0/0":', 'export="r0/1":', 'export="r1/0":'])
        self.alpha.yoke("drbdadm", "down", "all")
        self.assertEqual(self.alpha.yoke("drbdsetup", "status").stdout, "")


class Commands(Pair):
    def test_texts_and_exit_statuses(self):
        self.connected()
        alpha = self.alpha

        def told(words, status, text):
            done = alpha.yoke(*words.split(), check=False)
            self.assertEqual(done.returncode, status, words + "\n" + done.stdout + done.stderr)
            self.assertIn(text, done.stdout + done.stderr, words)

        told("drbdadm up r0", 1, "Device '3' is configured!")
        told("drbdadm attach r0", 20, "Device '3' is configured!")
        told("drbdadm connect r0", 10, "r0: Failure: (102) Local address(port) already in use.")
        told("drbdadm nonsense r0", 1, "Unknown command 'nonsense'")
        told("drbdadm role nonex", 1, "'nonex' not defined in your config (for this host).")
        told("drbdadm sh-resources", 0, "r0")
        told("drbdadm sh-dev r0", 0, "/dev/drbd3")
        told("drbdadm -d up r0", 0, "attach 3")
        told("drbdadm pause-sync r0", 0, "")
        told("drbdadm pause-sync r0", 10, "(134) Sync-pause flag is already set")
        told("drbdadm resume-sync r0", 0, "")
        told("drbdadm resume-sync r0", 10, "(135) Sync-pause flag is already cleared")
        told("drbdadm verify r0", 0, "")
        self.beta.wait_state("Connected", "UpToDate/UpToDate")
        told("drbdsetup role 5", 10, "5: Failure: (127) Device minor not allocated")
        told("drbdsetup /dev/drbd3 primary -o", 0, "")
        told("drbdsetup status foo", 10, "foo: No such resource")
        told("drbdsetup primary foo", 20, "Cannot determine minor device number of device 'foo'")
        told("drbdsetup wait-connect 9", 20, "error determining which timeout to use: minor not available")
        told("drbdsetup disk-options 3 --on-io-error=foo", 20, "Option --on-io-error: invalid argument 'foo'")
        told("drbdmeta 3 v08 /disk0 internal create-md", 20, "Device '3' is configured!")
        told("drbdadm adjust r0", 0, "")
        told("status", 0, "r0: healthy - both copies are up to date")
        told("drbd-overview", 0, " 3:r0/0  Connected Primary/Secondary UpToDate/UpToDate")
        told("export r0", 0, "nbd+unix:///r0/0?socket=")
        told("check", 0, "good; resources of this host: r0")
        told("drbdadm disconnect r0", 0, "")
        told("status", 1, "r0: degraded - not connected and not trying: yoke drbdadm connect r0")
        told("drbdadm secondary r0", 0, "")
        told("drbdadm outdate r0", 0, "")
        told("drbdadm primary r0", 17, "State change failed: (-2) Need access to UpToDate data")
        told("drbdadm down r0", 0, "")
        told("drbdadm down r0", 0, "")
        told("drbdadm dstate r0", 0, "Outdated")
        told("drbdadm cstate r0", 10, "(127) Device minor not allocated")

    def test_outputs_that_programs_parse(self):
        self.connected()
        alpha = self.alpha
        gi = alpha.yoke("drbdadm", "get-gi", "r0").stdout.strip()
        self.assertRegex(gi, r"^([0-9A-F]{16}:){4}1:1:1:1:0:0:0$")
        self.assertRegex(alpha.yoke("proc-drbd").stdout, r"(?m)^ 3: cs:Connected ro:Primary/Secondary ds:UpToDate/"
                         r"UpToDate C r-----\n    ns:\d+ nr:0 dw:\d+ dr:\d+ al:\d+ bm:\d+ lo:0 pe:0 ua:0 ap:0 ep:1 "
                         r"wo:f oos:0$")
        events = alpha.yoke("drbdsetup", "events2", "--now", "--timestamps").stdout.splitlines()
        self.assertRegex(events[0], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 exists resource name:r0 role:Primary "
                         r"suspended:no$")
        self.assertTrue(events[-1].endswith(" exists -"))
        status = json.loads(alpha.yoke("drbdsetup", "status", "--json").stdout)
        self.assertEqual(status[0]["connections"][0]["peer_devices"][0]["peer-disk-state"], "UpToDate")
        show = alpha.yoke("drbdsetup", "show", "r0").stdout
        self.assertIn('            disk\t\t\t"%s/disk0";\n' % alpha.root, show)
        self.assertIn("        allow-two-primaries\tyes;\n", show)
        self.assertRegex(alpha.yoke("drbdadm", "sh-status", "r0").stdout, r"(?m)^_cstate=Connected$")
        self.assertEqual(alpha.yoke("drbdadm", "dump", "r0").stdout.count("resource r0 {"), 1)

    def test_links_of_classic_names(self):
        self.connected()
        for name in ("drbdadm", "drbdsetup", "drbdmeta"):
            os.symlink(os.path.abspath(BINARIES + "/yoke"), self.folder + "/" + name)
        environment = dict(os.environ, YOKE_ROOT=self.alpha.root)
        environment.pop("YOKE_NODE", None)
        self.assertEqual(run(self.folder + "/drbdadm", "role", "r0", env=environment).stdout, "Primary/Secondary\n")
        self.assertEqual(run(self.folder + "/drbdsetup", "cstate", "3", env=environment).stdout, "Connected\n")
        done = run(self.folder + "/drbdadm", "--nonsense", check=False, env=environment)
        self.assertNotIn(done.returncode, (0, 64))

    def test_node_name_is_needed_once(self):
        self.connected()
        self.assertEqual(self.alpha.yoke("drbdadm", "role", "r0", node=False).stdout, "Primary/Secondary\n")
        wrong = run(BINARIES + "/yoke", "--root", self.alpha.root, "--node", "gamma", "drbdsetup", "role", "3", check=False)
        self.assertEqual(wrong.returncode, 20)
        self.assertIn("this yoked is node alpha, not gamma", wrong.stderr)

    def test_without_daemon_the_command_says_how_to_start_one(self):
        done = self.alpha.yoke("status", check=False)
        self.assertEqual(done.returncode, 20)
        self.assertEqual(done.stderr, "yoked is not running under %s: start it with: yoked --root %s\n"
                         % (self.alpha.root, self.alpha.root))

    def test_resource_without_metadata_is_skipped_with_what_to_do(self):
        self.alpha.start()
        wait_until("the start has failed", lambda: "not every resource came up" in self.alpha.log())
        self.assertIn("create-md", self.alpha.log())
        self.assertEqual(self.alpha.yoke("status", check=False).returncode, 2)

    def test_hostile_control_clients_disturb_nothing(self):
        self.connected()
        path = self.alpha.root + "/run/yoke/yoked.sock"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        for data in (b"\xff" * 64, struct.pack(">I", 5) + b"{{{{{", struct.pack(">I", 2) + b"[]", b""):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(data)
        self.assertEqual(self.alpha.yoke("status").returncode, 0)

    def test_sighup_is_noted(self):
        self.alpha.start()
        self.alpha.daemon.send_signal(signal.SIGHUP)
        wait_until("SIGHUP is in the log", lambda: "SIGHUP" in self.alpha.log())
        self.assertIsNone(self.alpha.daemon.poll())


if __name__ == "__main__":
    unittest.main(verbosity=2)
