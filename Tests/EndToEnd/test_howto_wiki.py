"""The howto "Clustered Filesystem with DRBD and OCFS2 on CentOS 5", step by step, on two Yoke hosts.

Each step is what the text says, in its order, with its commands and its configuration (folder howto/wiki: as printed,
that is with the braces, headers and addresses that got lost in print). The configuration is mended as `yoke check`
says, and in no other way. Where the steps had to be adapted:

    the text says                           here
    yum install, rpm -Uhv                   links of the classic names to yoke
    /dev/sdf1, a partition                  a link of that name to a file of 512 MiB
    service drbd start                      the script of drbd-utils in short, with yoked as the kernel module
    service o2cb ...                        the same: yoked if it does not run, then o2cb, which has these verbs
    iptables                                there is no packet filter between the machines
    SELinux module                          left out: mounts get their labels by the kernel
    drbd-overview                           in the form of 8.4: volume behind the name, no protocol and flags
    (4388/5112)M                            K below 4 GiB
    umount /shared                          the volume was mounted on /mnt before: the text changes the name
    drbdadm disconnect of a node that has   says "unknown connection", with 10 as its exit status, as 8.4 does
      switched itself to standalone
    one of the nodes will be marked failed  it freezes; it becomes a split brain only by a wrong `yoke takeover`

Run: python3 -m unittest -v test_howto_wiki     (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Harness"))
from hosts import Background, wait_until
from howto import HowtoMachine, Mender, Steps
from machine import Switch

PRINTED = os.path.join(HERE, "howto", "wiki")
ADDRESSES = {"node1": "10.0.0.1", "node2": "10.0.0.2"}
SIZE_MIB = 512
MOUNT = "mount -o noatime,nodiratime /dev/drbd1 "
CORRECTIONS = [
    "'}' before line 14", "'}' before line 23", "'}' before line 28", "'}' before line 33", "'}' at the end",
    "'}' at the end", "address of node1", "address of node2", "cluster: before line 1", "node: before line 5",
    "node: before line 12", "ip_address of node1", "ip_address of node2", "allow-two-primaries",
]


def printed(name):
    with open(os.path.join(PRINTED, name)) as file:
        return file.read()


class Wiki(Steps):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-wiki-")
        cls.switch = Switch("10.0.0.254/24")
        cls.machines = [HowtoMachine(name, address + "/24", cls.folder, cls.switch)
                        for name, address in ADDRESSES.items()]
        cls.node1, cls.node2 = cls.machines
        for machine in cls.machines:
            machine.write("/sdf1.img", "")
            os.truncate(machine.path("/sdf1.img"), SIZE_MIB << 20)
            machine.write("/etc/hosts", "127.0.0.1 localhost\n")
            cls.power_on(machine)

    @classmethod
    def power_on(cls, machine):
        machine.power_on()
        machine.sh("ln -s /sdf1.img /dev/sdf1")

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
        return [machine.out(script, **options) for machine in self.machines]

    def overview(self, machine, line, seconds=60):
        """Waits until drbd-overview has the line of the text."""
        pattern = r"^ *1:res0(/0)? +" + " +".join(line.split()) + r" *"
        wait_until("%s: drbd-overview: %s" % (machine.name, line),
                   lambda: re.search(pattern, machine.out("drbd-overview 2>/dev/null", check=False), re.M), seconds)

    def both_see(self, name, content):
        for machine in self.machines:
            self.assertEqual(machine.out("cat %s" % name), content, machine.name)

    # MARK: Configuring the cluster

    def test_01_configuration_as_printed_and_what_yoke_check_names(self):
        for machine in self.machines:
            machine.write("/etc/drbd.conf", printed("drbd.conf"))
            machine.write("/etc/ocfs2/cluster.conf", printed("cluster.conf"))
        mender = Mender(self.node1, ADDRESSES, 7789)
        self.assertIn("good; resources of this host: res0", mender.run())
        self.assertEqual(mender.done, CORRECTIONS)
        for path in ("/etc/drbd.conf", "/etc/ocfs2/cluster.conf"):
            self.node2.write(path, self.node1.read(path))
        self.assertEqual(self.node2.out("yoke check 2>/dev/null"), "/etc/drbd.conf: good; resources of this host: res0\n")

    def test_02_names_in_etc_hosts(self):
        for machine in self.machines:
            machine.write("/etc/hosts", machine.read("/etc/hosts") + "".join(
                "%s   %s\n" % (address, name) for name, address in ADDRESSES.items()))
            self.assertEqual(machine.out("getent hosts node2").split(), ["10.0.0.2", "node2"])

    def test_03_service_o2cb_configure(self):
        for machine in self.machines:
            said = machine.out("service o2cb configure", answers="y\n\ntestcluster\n\n\n\n\n")
            self.assert_lines(
                said, r"^Configuring the O2CB driver\.$", r"^This will configure the on-boot properties of the O2CB driver",
                r"Load O2CB driver on boot \(y/n\) \[n\]: ", r"Cluster stack backing O2CB \[o2cb\]: ",
                r"Cluster to start on boot \(Enter \"none\" to clear\) \[none\]: ",
                r"Specify heartbeat dead threshold \(>=7\) \[31\]: ",
                r"Specify network idle timeout in ms \(>=5000\) \[30000\]: ",
                r"Specify network keepalive delay in ms \(>=1000\) \[2000\]: ",
                r"Specify network reconnect delay in ms \(>=2000\) \[2000\]: ",
                r"Writing O2CB configuration: OK$", r"^Registering O2CB cluster \"testcluster\": OK$")
            machine.sh("chkconfig o2cb on")
            self.assert_lines(
                machine.out("service o2cb status"), r'^Checking O2CB cluster "testcluster": Online$',
                r"^  Heartbeat dead threshold: 31$", r"^  Network idle timeout: 30000$",
                r"^  Network keepalive delay: 2000$", r"^  Network reconnect delay: 2000$",
                r"^Checking O2CB heartbeat: Not active$")

    # MARK: Initialisation of the cluster resource

    def test_04_the_resource_is_online_although_not_yet_initialised(self):
        starts = [Background(machine.sh, "/etc/init.d/drbd start; chkconfig drbd on") for machine in self.machines]
        for start in starts:
            start.join(60)
        for machine in self.machines:
            self.overview(machine, r"Unconfigured \. \.")

    def test_05_create_md_and_up(self):
        for machine in self.machines:
            self.assertIn("New drbd meta data block successfully created.", machine.out("drbdadm create-md res0"))
        for machine in self.machines:
            machine.sh("drbdadm up res0")
        for machine in self.machines:
            self.overview(machine, "Connected Secondary/Secondary Inconsistent/Inconsistent")

    def test_06_overwrite_data_of_peer_with_a_progress_bar(self):
        self.node1.sh("drbdadm -- --overwrite-data-of-peer primary res0")
        wait_until("drbd-overview shows the progress", lambda: re.search(
            r"^ *1:res0(/0)? +SyncSource +Primary/Secondary +UpToDate/Inconsistent *\n"
            r"\t\[=*>\.+\] sync'ed: +\d+\.\d% \(\d+/\d+\)K", self.node1.out("drbd-overview 2>/dev/null"), re.M), 20, 0.05)
        self.overview(self.node1, "Connected Primary/Secondary UpToDate/UpToDate", 120)

    def test_07_promote_the_other_node_too(self):
        self.node2.sh("drbdadm primary res0")
        for machine in self.machines:
            self.overview(machine, "Connected Primary/Primary UpToDate/UpToDate")
            text = machine.read("/etc/drbd.conf")
            machine.write("/etc/drbd.conf", text.replace("# become-primary-on both;", "become-primary-on both;"))
            self.assertRegex(machine.out("yoke check"), "^/etc/drbd.conf: good; ")

    # MARK: Create and mount the OCFS2 filesystem

    def test_08_mkfs(self):
        made = self.node1.out("mkfs -t ocfs2 -N 2 -L ocfs2_drbd1 /dev/drbd1")
        self.assert_lines(made, r"^Label: ocfs2_drbd1$", r"^Node slots: 2$", r"^mkfs\.ocfs2 successful$")
        self.assertIn("ocfs2_drbd1", self.node2.out("mounted.ocfs2 -d /dev/drbd1"))

    def test_09_mount(self):
        waits = [Background(machine.sh, "mount /dev/drbd1 /mnt") for machine in self.machines]
        for wait in waits:
            wait.join(90)
        for machine in self.machines:
            machine.sh("umount /mnt")
        waits = [Background(machine.sh, MOUNT + "/mnt") for machine in self.machines]
        for wait in waits:
            wait.join(90)
        for machine in self.machines:
            self.assertRegex(machine.out("mount"), r"(?m)^/dev/drbd1 on /mnt type fuse\.ocfs2 \(rw,.*noatime,nodiratime")
            self.assertIn("Checking O2CB heartbeat: Active", machine.out("service o2cb status"))

    def test_10_write_to_and_read_from_either_node(self):
        self.node1.sh("echo one > /mnt/from-node1")
        self.node2.sh("echo two > /mnt/from-node2")
        self.both_see("/mnt/from-node1 /mnt/from-node2", "one\ntwo\n")
        self.node2.sh("rm /mnt/from-node1")
        self.node1.sh("test ! -e /mnt/from-node1")

    # MARK: Failure recovery

    def test_11_unmounts_and_remounts_do_not_freeze_the_other(self):
        writes = Background(self.longest_write, self.node1)
        self.node2.sh("umount /mnt")
        self.node2.sh(MOUNT + "/mnt")
        self.node1.sh("touch /mnt/enough")
        self.assertLess(writes.join(60), 1.0, "seconds of the longest write")
        self.node1.sh("rm /mnt/enough")

    def longest_write(self, machine):
        """Seconds; writes until there is a file `enough`."""
        longest = 0
        while machine.sh("test -e /mnt/enough", check=False).returncode:
            begun, ended = machine.out(
                "date +%s.%N; echo x >> /mnt/log && sync /mnt/log; date +%s.%N").split()
            longest = max(longest, float(ended) - float(begun))
        return longest

    def test_12_split_brain_made_for_real(self):
        for machine in self.machines:
            machine.sh("umount /mnt; mkdir /shared")
        for machine in self.machines:
            machine.sh(MOUNT + "/shared")
        self.node1.sh("echo before > /shared/before; sync /shared/before")
        self.switch.cut("node2")
        self.node1.sh("echo good > /shared/good; sync /shared/good")
        wait_until("node2 is marked failed", lambda: "FROZEN" in self.node2.out("yoke status", check=False), 30)
        # The mistake: node1 is not dead.
        self.node2.sh("yoke takeover")
        self.node2.sh("echo lost > /shared/lost; sync /shared/lost")
        self.switch.heal("node2")
        wait_until("both have seen it", lambda: all("Split-Brain detected" in machine.log() for machine in self.machines),
                   60)
        self.assertIn("StandAlone", "".join(self.on_both("drbd-overview 2>/dev/null")))

    def test_13_split_brain_resolved_by_the_commands_of_the_text(self):
        self.node2.sh("umount /shared")
        said = self.node2.sh("drbdadm disconnect res0", check=False)
        self.assertIn((said.returncode, "unknown connection" in said.stdout), [(0, False), (10, True)])
        self.node2.sh("drbdadm secondary res0")
        self.node2.sh("drbdadm -- --discard-my-data connect res0")
        self.node1.sh("drbdadm connect res0")
        self.overview(self.node2, "Connected Secondary/Primary UpToDate/UpToDate")
        self.node2.sh("drbdadm primary res0")
        self.node2.sh(MOUNT + "/shared")
        self.overview(self.node2, "Connected Primary/Primary UpToDate/UpToDate")
        self.both_see("/shared/before /shared/good", "before\ngood\n")
        for machine in self.machines:
            machine.sh("test ! -e /shared/lost")
        self.node2.sh("echo again > /shared/again")
        self.both_see("/shared/again", "again\n")

    # MARK: Reboots

    def remount(self, machine):
        """What the text has the admin do after a boot: drbd and o2cb were started by it."""
        wait_until("%s is Primary" % machine.name,
                   lambda: re.search(r"1:res0(/0)? +Connected +Primary/Primary +UpToDate/UpToDate",
                                     machine.out("drbd-overview 2>/dev/null")), 60)
        machine.sh(MOUNT + "/shared")

    def boot(self, machine):
        self.power_on(machine)
        for name in machine.services():
            machine.sh("/etc/init.d/%s start" % name)

    def test_14_reboot_of_one(self):
        self.node2.sh("umount /shared")
        self.node2.shut_down()
        self.assertLess(self.node1.elapsed("echo during > /shared/during; sync /shared/during"), 1)
        self.boot(self.node2)
        self.remount(self.node2)
        self.both_see("/shared/during", "during\n")

    def test_15_one_dies_and_the_other_goes_on(self):
        self.node2.sh("echo mine > /shared/mine; sync /shared/mine")
        self.node2.power_off()
        begun = time.monotonic()
        self.assertEqual(self.node1.out("cat /shared/mine; echo on >> /shared/mine; sync /shared/mine"), "mine\n")
        # The text: "after about 30-40 seconds".
        self.assertLess(time.monotonic() - begun, 15)
        self.boot(self.node2)
        self.remount(self.node2)
        self.both_see("/shared/mine", "mine\non\n")

    def test_16_reboot_of_both(self):
        for machine in self.machines:
            machine.shut_down()
        boots = [Background(self.boot, machine) for machine in self.machines]
        for boot in boots:
            boot.join(90)
        remounts = [Background(self.remount, machine) for machine in self.machines]
        for remount in remounts:
            remount.join(90)
        self.both_see("/shared/during /shared/mine", "during\nmine\non\n")
        for machine in self.machines:
            machine.sh("umount /shared")
        self.assertIn("All passes succeeded", self.node1.out("fsck.ocfs2 -fn /dev/drbd1"))


if __name__ == "__main__":
    unittest.main()
