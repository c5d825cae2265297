"""Two Yoke hosts use one volume: what one does the other sees at once.

Run: python3 -m unittest -v test_coherence      (root; from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from cluster import end_pair, mount_all, yoke_pair
from coherence import Coherence
from hosts import Background, Network, wait_until

SIZE_MIB = 96

SHARED_MAPPING = """
import mmap, sys
with open("map", "r+b") as f, mmap.mmap(f.fileno(), 8192) as m:
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "store":
            m[int(words[1])] = int(words[2])
        print(m[int(words[1])], flush=True)
"""


class YokePair(Coherence, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yoke-coherence-")
        cls.network = Network(with_kernel_hosts=False)
        cls.hosts = cls.one, cls.two = yoke_pair(cls.folder, SIZE_MIB)
        mount_all(cls.hosts)

    @classmethod
    def tearDownClass(cls):
        end_pair(cls.hosts, cls.network, cls.folder, lambda host: host.umount())

    def tearDown(self):
        for host in self.hosts:
            self.assertNotRegex(host.dmesg(), r"Fatal error|Illegal instruction", "%s trapped" % host.name)

    def mapper(self, host):
        import subprocess
        process = subprocess.Popen(
            ["nsenter", "-t", str(host.daemon.pid), "-m", "-n", sys.executable, "-c",
             "import os; os.chdir(%r)\n%s" % (host.point, SHARED_MAPPING)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def ask(self, process, text):
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def test_shared_mappings_on_both_hosts(self):
        self.one.sh("dd if=/dev/zero of=map bs=8192 count=1 2>/dev/null")
        one, two = self.mapper(self.one), self.mapper(self.two)
        for round in range(1, 20):
            writer, reader = (one, two) if round % 2 else (two, one)
            place = (round * 517) % 8192
            self.ask(writer, "store %d %d" % (place, round))
            self.assertEqual(self.ask(reader, "load %d" % place), round)

    def test_mapping_beside_reads_and_writes(self):
        self.one.sh("dd if=/dev/zero of=map bs=8192 count=1 2>/dev/null")
        one = self.mapper(self.one)
        for round in range(1, 10):
            self.ask(one, "store 100 %d" % round)
            self.assertEqual(self.two.sh("od -An -tu1 -j100 -N1 map").stdout.split(), [str(round)])
            self.two.sh("printf '\\%03o' | dd of=map bs=1 seek=4100 conv=notrunc 2>/dev/null" % (round + 50))
            self.assertEqual(self.ask(one, "load 4100"), round + 50)

    def test_extended_attributes(self):
        for writer, reader in self.both():
            writer.sh("echo x > labelled; setfattr -n user.colour -v green labelled")
            self.assertEqual(reader.sh("getfattr --only-values -n user.colour labelled").stdout, "green")
            reader.sh("setfattr -n user.colour -v red labelled")
            self.assertEqual(writer.sh("getfattr --only-values -n user.colour labelled").stdout, "red")
            writer.sh("rm labelled")

    def test_direct_writes(self):
        for writer, reader in self.both():
            writer.sh("tr '\\0' D < /dev/zero | dd of=direct bs=65536 count=4 iflag=fullblock oflag=direct 2>/dev/null")
            self.assertEqual(reader.sh("tr -d D < direct | wc -c; wc -c < direct").stdout.split(), ["0", "262144"])
            reader.sh("rm direct")

    def test_flock(self):
        for one, two in self.both():
            one.sh(": > lock")
            holder = Background(one.sh, "flock -x lock sh -c 'echo held > state; while [ ! -e go ]; do sleep 0.1; done'", True, 60)
            wait_until("the lock is held", lambda: two.sh("cat state", check=False).stdout == "held\n", 20)
            self.assertEqual(two.sh("flock -n -x lock true", check=False).returncode, 1)
            self.assertEqual(two.sh("flock -n -s lock true", check=False).returncode, 1)
            self.assertEqual(two.sh("timeout 1 flock -x lock true", check=False).returncode, 124)
            waiter = Background(two.sh, "flock -x lock echo mine", True, 60)
            one.sh(": > go")
            holder.join(30)
            waiter.join(30)
            self.assertEqual(two.sh("flock -n -s lock flock -n -s lock echo both").stdout, "both\n")
            one.sh("rm lock state go")

    def test_appends_at_the_same_time_lose_nothing(self):
        script = "i=0; while [ $i -lt 100 ]; do echo %s-$i >> both; i=$((i+1)); done"
        waits = [Background(host.sh, script % host.name, True, 120) for host in self.hosts]
        for wait in waits:
            wait.join(130)
        for host in self.hosts:
            self.assertEqual(host.sh("sort both | uniq | wc -l; wc -l < both").stdout.split(), ["200", "200"])


if __name__ == "__main__":
    unittest.main()
