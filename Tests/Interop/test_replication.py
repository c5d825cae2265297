"""A Yoke host and a kernel host as the two halves of one DRBD pair, in both directions.

Run: python3 -m unittest -v test_replication      (root; from this folder; binaries from scripts/build)
One VM boots for the whole file and again after each test that cuts its power.
"""
import os
import random
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import (BLOCK, Background, Failed, KernelHost, Network, YokeHost, configuration, differing_blocks, refnode,
                   run, wait_until)

SIZE_MIB = 64
DUAL = ("protocol C; allow-two-primaries yes; after-sb-0pri discard-zero-changes; after-sb-1pri discard-secondary; "
        "after-sb-2pri disconnect; ")
FAST = "resync-rate 200M; c-plan-ahead 0; "


class Pair(unittest.TestCase):
    """Two hosts that live for the whole class; each test starts from fresh metadata."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-interop-")
        cls.network = Network()
        cls.kernel = KernelHost("k1", "10.99.0.11", SIZE_MIB, cls.folder)
        cls.yoke = YokeHost("y1", "10.99.0.12", SIZE_MIB, cls.folder)
        cls.yoke.start()

    @classmethod
    def tearDownClass(cls):
        cls.yoke.close()
        cls.kernel.close()
        cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.revive()
        self.kernel.tear_down()
        self.yoke.tear_down()
        self.kernel.clear_log()

    def revive(self):
        """Brings back what the test before it killed or cut."""
        self.kernel.link("up")
        self.yoke.link("up")
        if refnode("list").stdout.find("k1 10.99.0.11 running") < 0:
            self.kernel.boot()
        if self.yoke.daemon is None or self.yoke.daemon.poll() is not None:
            self.yoke.daemon = None
            self.yoke.start()

    def tearDown(self):
        log = self.yoke.log_tail(400)
        self.assertNotRegex(log, r"Fatal error|Illegal instruction", "the daemon trapped")

    def configure(self, **sections):
        sections.setdefault("net", DUAL)
        sections.setdefault("disk", FAST)
        text = configuration([self.kernel, self.yoke], **sections)
        self.kernel.configure(text)
        self.yoke.configure(text)

    def fresh(self, first="kernel", **sections):
        """New metadata on both, both up; `first` comes up first (so the other connects to it)."""
        self.configure(**sections)
        self.kernel.create_md()
        self.yoke.create_md()
        order = [self.kernel, self.yoke] if first == "kernel" else [self.yoke, self.kernel]
        for host in order:
            host.drbdadm("up", "r0")
        for host in order:
            host.wait_for(cs="Connected", disk="Inconsistent/Inconsistent")

    def synced(self, source=None, **sections):
        """Both UpToDate without a long first sync: `new-current-uuid --clear-bitmap` as an admin would."""
        self.fresh(**sections)
        self.kernel.shell("drbdsetup new-current-uuid --clear-bitmap 0")
        for host in (self.kernel, self.yoke):
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate")
        # Fresh images are all zero on both, so "no sync" was the truth.

    def both_up_to_date(self, seconds=120):
        for host in (self.kernel, self.yoke):
            host.wait_for(cs="Connected", disk="UpToDate/UpToDate", seconds=seconds)

    def assert_equal_disks(self):
        self.kernel.shell("sync")
        kernel = self.kernel.data_bytes() if self.kernel.states()[1][0] else b""
        with open(self.yoke.image, "rb") as image:
            yoke = image.read(len(kernel))
        self.assertGreater(len(kernel), 1 << 20)
        self.assertEqual(differing_blocks(kernel, yoke)[:20], [], "blocks that differ")
        for host in (self.kernel, self.yoke):
            self.assertEqual(host.counters().get("oos"), 0, "out-of-sync count on " + host.name)

    def disconnect_on(self, host):
        host.drbdadm("disconnect", "r0")
        host.wait_for(cs="StandAlone")


class InitialSync(Pair):
    def full_sync(self, source, target, first):
        self.fresh(first=first)
        content = random.Random(1).randbytes(1 << 20)
        source.drbdadm("primary", "--force", "r0")
        source.write(0, content)
        source.write(40 << 20, content)
        self.both_up_to_date()
        self.assert_equal_disks()
        self.assertEqual(self.gi_without_low_bits(source), self.gi_without_low_bits(target))
        return content

    @staticmethod
    def gi_without_low_bits(host):
        return [int(part, 16) & ~1 for part in host.get_gi().split(":")[:4]]

    def test_yoke_is_source_and_connects(self):
        self.full_sync(self.yoke, self.kernel, first="kernel")

    def test_yoke_is_target_and_accepts(self):
        self.full_sync(self.kernel, self.yoke, first="yoke")

    def test_yoke_is_target_and_connects(self):
        self.full_sync(self.kernel, self.yoke, first="kernel")

    def test_yoke_is_source_and_accepts(self):
        self.full_sync(self.yoke, self.kernel, first="yoke")


class Writes(Pair):
    def patterns(self, host, seed, blocks, count):
        """Random blocks out of `blocks`; each write is whole blocks with contents of their own."""
        choose = random.Random(seed)
        if host is self.yoke:
            with host.nbd() as client:
                for _ in range(count):
                    length = choose.choice((1, 1, 1, 2, 8, 32)) * BLOCK
                    client.write(choose.choice(blocks) * BLOCK, choose.randbytes(length), fua=choose.random() < 0.1)
                    if choose.random() < 0.02:
                        client.flush()
        else:
            first, last = blocks[0] * BLOCK, (blocks[-1] + 33) * BLOCK
            host.fio("--rw=randwrite", "--bsrange=4k-64k", "--bs_unaligned=0", "--ioengine=libaio", "--iodepth=8",
                     "--offset=%d" % first, "--size=%d" % (last - first), "--io_size=%d" % (count * 16384),
                     "--randseed=%d" % seed, "--randrepeat=1", "--fsync=64")

    def test_both_primaries_write_at_once(self):
        self.synced()
        self.kernel.drbdadm("primary", "r0")
        self.yoke.drbdadm("primary", "r0")
        self.kernel.wait_for(role="Primary/Primary")
        blocks = (SIZE_MIB << 20) // BLOCK - 2048
        low, high = range(0, blocks // 2 - 40), range(blocks // 2, blocks - 40)
        jobs = [Background(self.patterns, self.kernel, 1, low, 600), Background(self.patterns, self.yoke, 2, high, 1500)]
        for job in jobs:
            job.join()
        self.both_up_to_date()
        self.assertNotRegex(self.kernel.dmesg(), "BAD! BarrierAck|Timed out waiting|ProtocolError")
        self.assert_equal_disks()

    def protocol(self, letter):
        self.synced(net="protocol %s; " % letter)
        for host in (self.kernel, self.yoke):
            host.drbdadm("primary", "r0")
            blocks = range(0, 8000)
            self.patterns(host, 3, blocks, 200)
            host.drbdadm("secondary", "r0")
            self.both_up_to_date()
            wait_until("nothing is in flight", lambda: all(
                self.yoke.counters()[c] == 0 and self.kernel.counters()[c] == 0 for c in ("pe", "ua", "ap")), 20)
            self.assert_equal_disks()
        self.assertNotRegex(self.kernel.dmesg(), "BAD!|ProtocolError|NetworkFailure")

    def test_protocol_a(self):
        self.protocol("A")

    def test_protocol_b(self):
        self.protocol("B")

    def test_protocol_c(self):
        self.protocol("C")

    def test_discards_and_zeroes(self):
        self.synced()
        self.kernel.drbdadm("primary", "r0")
        self.kernel.write_pattern(0, 8 << 20, 0x5A)
        self.kernel.trim(1 << 20, 2 << 20)
        self.both_up_to_date()
        self.assert_equal_disks()
        with open(self.yoke.image, "rb") as image:
            image.seek(1 << 20)
            self.assertEqual(image.read(2 << 20).strip(b"\0"), b"")
        self.kernel.drbdadm("secondary", "r0")
        self.yoke.drbdadm("primary", "r0")
        self.yoke.trim(4 << 20, 1 << 20)
        with self.yoke.nbd() as client:
            client.zero(7 << 20, 65536)
            self.assertEqual(client.read(7 << 20, 65536).strip(b"\0"), b"")
        self.both_up_to_date()
        self.assert_equal_disks()


class Reconnect(Pair):
    def only_changes_travel(self, writer, other):
        self.synced()
        writer.drbdadm("primary", "r0")
        self.disconnect_on(other)
        blocks = [1, 7, 1500, 9000, 12000]
        for block in blocks:
            writer.write(block * BLOCK, os.urandom(BLOCK))
        before = {h: h.counters() for h in (writer, other)}
        self.assertEqual(before[writer]["oos"], 4 * len(blocks))
        other.drbdadm("connect", "r0")
        self.both_up_to_date()
        after_other, after_writer = other.counters(), writer.counters()
        # Connecting resets nothing but what the chapter says; nr and ns count KiB since the connect.
        self.assertEqual(after_other["nr"], 4 * len(blocks), "KiB received by the target")
        self.assertEqual(after_writer["ns"] - (before[writer]["ns"] if after_writer["ns"] >= before[writer]["ns"] else 0),
                         4 * len(blocks), "KiB sent by the source")
        self.assert_equal_disks()

    def test_kernel_wrote(self):
        self.only_changes_travel(self.kernel, self.yoke)

    def test_yoke_wrote(self):
        self.only_changes_travel(self.yoke, self.kernel)

    def test_cable_pulled_under_a_primary(self):
        self.synced(net=DUAL + "ping-int 1; ping-timeout 5; timeout 20; connect-int 2; ")
        self.yoke.drbdadm("primary", "r0")
        self.yoke.link("down")
        self.yoke.wait_for(cs="WFConnection", disk="UpToDate/DUnknown", seconds=30)
        self.yoke.write_pattern(0, 1 << 20, 0x33)
        self.yoke.link("up")
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_pause_resume_invalidate(self):
        self.synced()
        self.yoke.drbdadm("invalidate", "r0")
        self.both_up_to_date()
        self.kernel.drbdadm("primary", "r0")
        self.kernel.write_pattern(0, 4 << 20, 0x11)
        self.yoke.drbdadm("invalidate-remote", "r0", check=False)
        self.both_up_to_date()
        self.kernel.drbdadm("invalidate-remote", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()


class SplitBrain(Pair):
    def split(self, yoke_writes, kernel_writes, yoke_stays=False, kernel_stays=False, both_stay=False):
        """Both Primary while apart; the named ones write; demoted before they meet again unless told to stay."""
        self.disconnect_on(self.yoke)
        self.kernel.drbdadm("disconnect", "r0", check=False)
        self.kernel.wait_for(cs="StandAlone")
        for host, writes, stays in ((self.yoke, yoke_writes, yoke_stays or both_stay),
                                    (self.kernel, kernel_writes, kernel_stays or both_stay)):
            host.drbdadm("primary", "r0")
            for block in writes:
                host.write(block * BLOCK, os.urandom(BLOCK))
            if not stays:
                host.drbdadm("secondary", "r0")

    def meet(self):
        self.kernel.drbdadm("connect", "r0")
        self.yoke.drbdadm("connect", "r0")

    def test_discard_zero_changes(self):
        self.synced()
        self.split(yoke_writes=[5, 6], kernel_writes=[])
        self.meet()
        self.both_up_to_date()
        self.assert_equal_disks()
        self.assertRegex(self.yoke.dmesg(), "automatically solved. Sync from this node")

    def test_discard_zero_changes_other_way(self):
        self.synced()
        self.split(yoke_writes=[], kernel_writes=[9])
        self.meet()
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_zero_changes_undecided_then_manual_repair(self):
        self.synced()
        self.split(yoke_writes=[5], kernel_writes=[9])
        self.meet()
        for host in (self.kernel, self.yoke):
            host.wait_for(cs="StandAlone")
        self.assertRegex(self.yoke.dmesg(), "Split-Brain detected but unresolved, dropping connection!")
        # The five commands of the howtos, on the side that shall lose.
        self.yoke.drbdadm("secondary", "r0")
        self.yoke.drbdadm("--", "--discard-my-data", "connect", "r0")
        self.kernel.drbdadm("connect", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_manual_repair_kernel_loses(self):
        self.synced()
        self.split(yoke_writes=[5], kernel_writes=[9])
        self.meet()
        for host in (self.kernel, self.yoke):
            host.wait_for(cs="StandAlone")
        self.kernel.drbdadm("--", "--discard-my-data", "connect", "r0")
        self.yoke.drbdadm("connect", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_discard_secondary_kernel_is_primary(self):
        self.synced()
        self.split(yoke_writes=[5], kernel_writes=[9], kernel_stays=True)
        self.meet()
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_discard_secondary_yoke_is_primary(self):
        self.synced()
        self.split(yoke_writes=[5], kernel_writes=[9], yoke_stays=True)
        self.meet()
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_two_primaries_disconnect(self):
        self.synced()
        self.split(yoke_writes=[5], kernel_writes=[9], both_stay=True)
        self.meet()
        for host in (self.kernel, self.yoke):
            host.wait_for(cs="StandAlone")


class Authentication(Pair):
    NET = DUAL + "cram-hmac-alg %s; shared-secret %s; "

    def right(self, algorithm):
        self.synced(net=self.NET % (algorithm, "sEcReT"))
        self.assertRegex(self.kernel.dmesg(), "Peer authenticated using %d bytes HMAC"
                         % {"sha1": 20, "md5": 16, "sha256": 32}[algorithm])

    def test_sha1(self):
        self.right("sha1")

    def test_wrong_secret(self):
        text = lambda secret: configuration([self.kernel, self.yoke], net=self.NET % ("sha1", secret), disk=FAST)
        self.kernel.configure(text("right"))
        self.yoke.configure(text("wrong"))
        self.kernel.create_md()
        self.yoke.create_md()
        self.kernel.drbdadm("up", "r0")
        self.yoke.drbdadm("up", "r0")
        self.yoke.wait_for(cs="StandAlone")
        self.kernel.wait_for(cs="StandAlone")
        self.assertRegex(self.yoke.dmesg(), "Authentication of peer failed")


class Verify(Pair):
    def test_finds_a_planted_difference(self):
        for starter in ("kernel", "yoke"):
            with self.subTest(starter=starter):
                self.setUp()
                self.synced(net=DUAL + "verify-alg crc32c; ")
                for host, block in ((self.yoke, 777), (self.yoke, 4000)):
                    with open(host.image, "r+b") as image:
                        image.seek(block * BLOCK)
                        image.write(b"planted")
                        os.fsync(image.fileno())
                host = getattr(self, starter)
                host.drbdadm("verify", "r0")
                wait_until("the verify has ended", lambda: host.states()[0] == "Connected"
                           and host.counters()["oos"] == 8, 120)
                self.assertEqual(self.kernel.counters()["oos"], 8)
                self.assertEqual(self.yoke.counters()["oos"], 8)
                self.assertRegex(self.yoke.dmesg(), "Online verify|Out of sync: start=6216")


class Deaths(Pair):
    def test_yoke_killed_in_the_middle_of_a_sync(self):
        self.fresh(disk="resync-rate 4M; c-plan-ahead 0; ")
        self.kernel.drbdadm("primary", "--force", "r0")
        self.kernel.write_pattern(0, 4 << 20, 0x77)
        self.yoke.wait_for(cs="SyncTarget")
        wait_until("some blocks travelled", lambda: self.yoke.counters()["nr"] > 4096)
        self.yoke.kill()
        self.kernel.write_pattern(8 << 20, 1 << 20, 0x78)
        self.yoke.start()
        self.yoke.drbdadm("up", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_yoke_killed_as_a_writing_primary(self):
        self.synced(net=DUAL + "ping-int 1; timeout 20; connect-int 2; ")
        self.yoke.drbdadm("primary", "r0")
        written = []

        def write():
            choose = random.Random(7)
            try:
                with self.yoke.nbd() as client:
                    while True:
                        block, data = choose.randrange(12000), choose.randbytes(BLOCK)
                        client.write(block * BLOCK, data)
                        written.append((block, data))
            except OSError:
                pass
        writer = Background(write)
        wait_until("a few hundred writes", lambda: len(written) > 300)
        self.yoke.kill()
        writer.join()
        self.yoke.start()
        self.yoke.drbdadm("up", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()
        self.yoke.drbdadm("primary", "r0")
        last = dict(written)
        with self.yoke.nbd() as client:
            for block, data in last.items():
                self.assertEqual(client.read(block * BLOCK, BLOCK), data, "acknowledged write to block %d" % block)

    def test_kernel_power_cut_as_a_writing_primary(self):
        self.synced(net=DUAL + "ping-int 1; timeout 20; connect-int 2; ")
        self.kernel.drbdadm("primary", "r0")
        self.kernel.shell("(fio --filename=/dev/drbd0 --direct=1 --name=j --rw=randwrite --bs=4k --time_based "
                          "--runtime=60 >/dev/null 2>&1 &)")
        wait_until("it writes", lambda: self.yoke.counters()["nr"] > 400)
        self.kernel.kill()
        self.yoke.wait_for(cs="WFConnection", seconds=30)
        self.kernel.boot()
        self.configure(net=DUAL + "ping-int 1; timeout 20; connect-int 2; ")
        self.kernel.drbdadm("up", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()

    def test_kernel_power_cut_in_the_middle_of_a_sync(self):
        self.fresh(disk="resync-rate 4M; c-plan-ahead 0; ", net=DUAL + "ping-int 1; timeout 20; connect-int 2; ")
        self.yoke.drbdadm("primary", "--force", "r0")
        self.yoke.write_pattern(0, 4 << 20, 0x55)
        self.kernel.wait_for(cs="SyncTarget")
        self.kernel.kill()
        self.yoke.wait_for(cs="WFConnection", seconds=30)
        self.kernel.boot()
        self.configure(disk="resync-rate 4M; c-plan-ahead 0; ", net=DUAL + "ping-int 1; timeout 20; connect-int 2; ")
        self.kernel.drbdadm("up", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()


class TakeOver(Pair):
    def test_disk_goes_from_kernel_to_yoke_and_back(self):
        """The second kernel host is replaced by a Yoke host on its very disk, then gets it back."""
        self.synced()
        self.kernel.drbdadm("primary", "r0")
        self.kernel.write_pattern(0, 2 << 20, 0x21)
        self.kernel.drbdadm("secondary", "r0")
        self.kernel.drbdadm("down", "r0")
        self.yoke.drbdadm("primary", "r0")
        self.yoke.write_pattern(3 << 20, 1 << 20, 0x22)
        kernel_gi = run("drbdmeta", "--force", "-", "v08", self.kernel.image, "internal", "get-gi", check=False).stdout
        refnode("stop", "k1")
        # Yoke takes the kernel's disk: a second Yoke host with the kernel's name, address and image.
        stand_in = YokeHost.__new__(YokeHost)
        stand_in.name, stand_in.address, stand_in.root = "k1", self.kernel.address, os.path.join(self.folder, "stand-in")
        stand_in.image = stand_in.disk_path = self.kernel.image
        stand_in.log_path, stand_in.daemon = os.path.join(self.folder, "stand-in.log"), None
        os.makedirs(stand_in.root + "/etc/drbd.d", exist_ok=True)
        refnode("host", "k1", self.kernel.address)
        try:
            stand_in.configure(configuration([stand_in, self.yoke], net=DUAL, disk=FAST))
            stand_in.start()
            stand_in.drbdadm("up", "r0")
            for host in (stand_in, self.yoke):
                host.wait_for(cs="Connected", disk="UpToDate/UpToDate")
            self.assertEqual(differing_blocks(stand_in.data_bytes(), self.yoke.data_bytes()), [])
            self.disconnect_on(stand_in)
            self.yoke.write_pattern(5 << 20, 1 << 20, 0x23)
            stand_in.drbdadm("down", "r0")
            stand_in.stop()
        finally:
            stand_in.close()
            run("ip", "netns", "del", "k1")
            os.unlink(os.path.join(os.environ.get("REFNODE_DIR", "/var/tmp/refnode"), "k1.host"))
        self.kernel.boot()
        self.configure()
        self.kernel.drbdadm("up", "r0")
        self.both_up_to_date()
        self.assert_equal_disks()
        self.assertTrue(kernel_gi is not None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
