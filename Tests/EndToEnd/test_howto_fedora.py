"""The howto "Dual-primary DRBD with OCFS2" (Fedora 14), step by step, on two Yoke hosts.

Each step is what the text says, in its order, with its commands and its configuration (folder howto/fedora: as
printed, addresses included). `yoke check` has nothing to say about it. Where the steps had to be adapted:

    the text says                        here
    yum -y install                       links of the classic names to yoke; /etc/drbd.conf as the package has it
    dd ... count=1000                    count=0 seek=1000: the same size, sparse
    losetup in an init script            /dev/loop7 is a link to /drbd-loop.img: loop devices belong to both machines
    /etc/init.d/drbd start               the script of drbd-utils in short, with yoked as the kernel module
    /etc/init.d/o2cb, ocfs2              the same: yoked if it does not run, then o2cb; mount -a
    cat /proc/drbd                       yoke proc-drbd
    version: 8.3.8, queue_delay, r----   the form of 8.4: no queue_delay, one more flag
    wo:b                                 wo:f: flushes, there are no barriers below a process
    reboot                               /etc/init.d/... stop in turn, then the plug is pulled; or only the plug

Run: python3 -m unittest -v test_howto_fedora   (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Harness"))
from hosts import Background, wait_until
from howto import HowtoMachine, Steps
from machine import Switch

PRINTED = os.path.join(HERE, "howto", "fedora")
PACKAGED = 'include "drbd.d/global_common.conf";\ninclude "drbd.d/*.res";\n'
LOOP_SCRIPT = "#!/bin/sh\n[ \"$1\" != start ] || ln -sf /drbd-loop.img /dev/loop7\n"
KIB = 1023932
"""Of the volume, as the text shows it: 1000 MiB without the metadata."""

HEAD = (r"^version: 8\.\d+\.\d+ \(api:\d+/proto:\d+-\d+\)$", r"^srcversion: \w+ *$")
COUNTERS = r"^    ns:\d+ nr:\d+ dw:\d+ dr:\d+ al:\d+ bm:\d+ lo:\d+ pe:\d+ ua:\d+ ap:\d+ ep:\d+ wo:f oos:"


def printed(name):
    with open(os.path.join(PRINTED, name)) as file:
        return file.read()


class Fedora(Steps):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-fedora-")
        cls.switch = Switch("10.181.0.1/16")
        cls.machines = [HowtoMachine("server1", "10.181.76.0/16", cls.folder, cls.switch),
                        HowtoMachine("server2", "10.181.76.1/16", cls.folder, cls.switch)]
        cls.server1, cls.server2 = cls.machines
        for machine in cls.machines:
            machine.power_on()

    @classmethod
    def tearDownClass(cls):
        try:
            if os.environ.get("YOKE_SHOW_LOGS"):
                for machine in cls.machines:
                    print("=== %s\n%s" % (machine.name, machine.log()), file=sys.stderr)
        finally:
            for machine in cls.machines:
                machine.power_off()
            cls.switch.close()
            shutil.rmtree(cls.folder, ignore_errors=True)

    def on_both(self, script, **options):
        """At the same time, as an admin with two terminals."""
        waits = [Background(machine.out, script) for machine in self.machines]
        return [wait.join(120) for wait in waits]

    def proc_drbd(self, machine, *patterns, seconds=60):
        """Waits until /proc/drbd looks like this."""
        def matches():
            text = machine.out("yoke proc-drbd")
            at = 0
            for pattern in patterns:
                found = re.compile(pattern, re.M).search(text, at)
                if not found:
                    return False
                at = found.end()
            return True
        try:
            wait_until("%s: /proc/drbd" % machine.name, matches, seconds, 0.05)
        except AssertionError:
            self.assert_lines(machine.out("yoke proc-drbd"), *patterns)

    # MARK: DRBD

    def test_01_loop_file(self):
        for machine in self.machines:
            machine.sh("dd if=/dev/zero of=/drbd-loop.img bs=1M count=0 seek=1000")
            machine.write("/etc/init.d/loop-for-drbd", LOOP_SCRIPT)
            machine.sh("chmod a+x /etc/init.d/loop-for-drbd\nchkconfig loop-for-drbd on\n"
                       "/etc/init.d/loop-for-drbd start")

    def test_02_resource_file_as_printed_is_good(self):
        for machine in self.machines:
            machine.write("/etc/drbd.conf", PACKAGED)
            machine.write("/etc/drbd.d/r0.res", printed("r0.res"))
            machine.write("/etc/drbd.d/global_common.conf", printed("global_common.conf"))
            self.assertEqual(machine.out("yoke check 2>/dev/null"),
                             "/etc/drbd.conf: good; resources of this host: r0\n")

    def test_03_create_the_volume_and_start_drbd(self):
        for machine in self.machines:
            self.assertIn("New drbd meta data block successfully created.", machine.out("drbdadm create-md r0"))
        self.on_both("/etc/init.d/drbd start && chkconfig drbd on")
        for machine in self.machines:
            # "errors thrown about having two primaries but neither are up to date"
            self.proc_drbd(machine, r"^ 0: cs:Connected ro:Secondary/Secondary ds:Inconsistent/Inconsistent C r-----?$")

    def test_04_primary_o_and_the_sync(self):
        self.server1.sh("drbdsetup /dev/drbd0 primary -o")
        self.proc_drbd(
            self.server2, *HEAD, r"^ 0: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----?$",
            COUNTERS + r"\d+$", r"^\t\[=*>\.*\] sync'ed: *\d+\.\d%% \(\d+/%d\)K" % KIB,
            r"^\tfinish: \d+:\d\d:\d\d speed: [\d,]+ \([\d,]+\) want: [\d,]+ K/sec$", seconds=20)
        self.proc_drbd(self.server2, *HEAD, r"^ 0: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----?$",
                       COUNTERS + "0$", seconds=120)
        received = re.search(r"nr:(\d+) dw:(\d+)", self.server2.out("yoke proc-drbd"))
        self.assertEqual([int(number) for number in received.groups()], [KIB, KIB])

    def test_05_the_secondary_becomes_primary_as_well(self):
        self.server2.sh("drbdadm primary r0")
        self.proc_drbd(self.server2, *HEAD, r"^ 0: cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate C r-----?$",
                       COUNTERS + "0$")

    # MARK: OCFS2

    def test_06_cluster_conf_as_printed_is_good(self):
        for machine in self.machines:
            machine.write("/etc/hosts", machine.read("/etc/hosts") + "10.181.76.0 server1\n10.181.76.1 server2\n")
            machine.write("/etc/ocfs2/cluster.conf", printed("cluster.conf"))
            self.assertEqual(machine.out("yoke check 2>/dev/null"),
                             "/etc/drbd.conf: good; resources of this host: r0\n")

    def test_07_service_o2cb_configure(self):
        for machine in self.machines:
            said = machine.out("service o2cb configure", answers="y\n\nweb\n\n\n\n\n")
            self.assert_lines(said, r"Load O2CB driver on boot \(y/n\) \[n\]: ",
                              r"Cluster to start on boot \(Enter \"none\" to clear\) \[none\]: ",
                              r"Writing O2CB configuration: OK$")
            self.assert_lines(machine.read("/etc/default/o2cb"), "^O2CB_ENABLED=true$", "^O2CB_BOOTCLUSTER=web$")
            machine.sh("chkconfig o2cb on && chkconfig ocfs2 on\n/etc/init.d/o2cb start && /etc/init.d/ocfs2 start")
            self.assertIn('Checking O2CB cluster "web": Online', machine.out("service o2cb status"))

    def test_08_mkfs(self):
        made = self.server1.out('mkfs.ocfs2 -L "web" /dev/drbd0')
        self.assert_lines(made, "^Label: web$", r"^Volume size: \d+", "^mkfs.ocfs2 successful$")

    def test_09_mount_by_fstab_and_rc_local(self):
        for machine in self.machines:
            machine.sh('mkdir /mnt/storage\n'
                       'echo "/dev/drbd0  /mnt/storage  ocfs2  noauto,noatime  0 0" >> /etc/fstab\n'
                       'mount /dev/drbd0\n'
                       'echo "mount /dev/drbd0" >> /etc/rc.local')
            self.assertRegex(machine.out("mount"), r"(?m)^/dev/drbd0 on /mnt/storage type fuse\.ocfs2 \(rw,.*noatime")

    def test_10_a_file_appears_and_disappears_on_both(self):
        self.copy_and_remove()

    def copy_and_remove(self):
        for here, there in ((self.server1, self.server2), (self.server2, self.server1)):
            here.sh("cp /etc/passwd /mnt/storage/copied")
            self.assertEqual(there.out("cat /mnt/storage/copied"), there.out("cat /etc/passwd"))
            there.sh("rm /mnt/storage/copied")
            here.sh("test ! -e /mnt/storage/copied")

    # MARK: "test reboots of both machines to ensure that everything comes up properly at boot time"

    def test_11_reboot_of_one(self):
        self.server1.sh("echo before > /mnt/storage/file; sync /mnt/storage/file")
        self.server2.shut_down()
        self.assertLess(self.server1.elapsed("echo during >> /mnt/storage/file; sync /mnt/storage/file"), 1)
        self.server2.boot()
        self.assertEqual(self.server2.out("cat /mnt/storage/file"), "before\nduring\n")
        self.copy_and_remove()

    def test_12_plug_of_one_is_pulled(self):
        self.server1.sh("echo mine > /mnt/storage/mine; sync /mnt/storage/mine")
        self.server1.power_off()
        self.assertLess(self.server2.elapsed("cat /mnt/storage/mine; echo on >> /mnt/storage/mine"), 15)
        self.server1.boot()
        self.assertEqual(self.server1.out("cat /mnt/storage/mine"), "mine\non\n")
        self.copy_and_remove()

    def test_13_reboot_of_both(self):
        for machine in self.machines:
            machine.shut_down()
        self.boot_both()

    def test_14_plugs_of_both_are_pulled(self):
        self.server1.sh("sync /mnt/storage/file /mnt/storage/mine")
        for machine in self.machines:
            machine.power_off()
        self.boot_both()

    def boot_both(self):
        boots = [Background(machine.boot) for machine in self.machines]
        for boot in boots:
            boot.join(150)
        for machine in self.machines:
            self.assertEqual(machine.out("cat /mnt/storage/file /mnt/storage/mine"), "before\nduring\nmine\non\n")
        self.copy_and_remove()

    def test_15_the_volume_has_no_fault(self):
        for machine in self.machines:
            machine.sh("umount /mnt/storage")
        self.assertIn("All passes succeeded", self.server1.out("fsck.ocfs2 -fn /dev/drbd0"))


if __name__ == "__main__":
    unittest.main()
