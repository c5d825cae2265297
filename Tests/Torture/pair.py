"""Two hosts that mount one replicated volume by fstab, each a machine of its own as far as one machine can be two: network
and mount namespaces that outlive its daemon, so that what a killed daemon leaves behind is there when it comes back.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Harness"))
from cluster import DUAL, FAST, FAST_TIMERS, MemberHost, both_primary, cluster_conf, make_volume, service_settings
from hosts import BINARIES, Network, configuration, differing_blocks, refnode, run, wait_until
from load import Process
from volumes import unlisted

SIZE_MIB = 192
GATEWAY = "10.99.0.1"


class Machine(MemberHost):
    """A host whose namespaces stay when its daemon ends."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.holder = subprocess.Popen(["ip", "netns", "exec", self.name, "sleep", "1000000"])
        network = "/proc/%d/ns/net" % self.holder.pid
        wait_until("the namespace", lambda: os.stat(network).st_ino != os.stat("/proc/self/ns/net").st_ino, 10)
        self.probe = None
        self.mark = 0

    def within(self, *words):
        return ["nsenter", "--target", str(self.holder.pid), "--mount", "--net", "--", *map(str, words)]

    def inside(self, *words):
        return self.within(*words)

    def sh(self, script, check=True, timeout=60):
        return run(*self.within("sh", "-c", "cd %s && { %s\n}" % (self.point, script)), check=check, timeout=timeout)

    def up(self):
        self.start("--log-level", "info")

    def send(self, number):
        self.daemon.send_signal(number)

    def set_mark(self):
        self.mark = os.path.getsize(self.log_path)

    def since_mark(self):
        with open(self.log_path, errors="replace") as log:
            log.seek(self.mark)
            return log.read()

    @property
    def was_fenced(self):
        return "is no member any more" in self.since_mark()

    def is_healthy(self):
        """Mounted, with both members, and the data of both are the same."""
        return (self.probe.call("is_there") and self.members() == [0, 1]
                and self.states() == ("Connected", ("Primary", "Primary"), ("UpToDate", "UpToDate")))

    def close(self):
        if self.daemon:
            # It may be stopped.
            self.daemon.send_signal(signal.SIGCONT)
        super().close()
        if self.probe:
            self.probe.close()
        self.holder.kill()
        self.holder.wait()


class Pair:
    def __init__(self, with_gateway=False):
        self.folder = tempfile.mkdtemp(prefix="yoke-torture-")
        self.network = Network(with_kernel_hosts=False)
        self.has_gateway = with_gateway
        self.hosts = []
        if with_gateway:
            refnode("host", "gateway", GATEWAY)
        for name, address in (("alpha", "10.99.0.21"), ("beta", "10.99.0.22")):
            host = Machine(name, address, SIZE_MIB, self.folder)
            self.hosts.append(host)
            if with_gateway:
                run(*host.inside("ip", "route", "add", "default", "via", GATEWAY))
        self.alpha, self.beta = self.hosts

    def start(self):
        make_volume(self.alpha.image, SIZE_MIB)
        shutil.copyfile(self.alpha.image, self.beta.image)
        for host in self.hosts:
            host.configure_cluster(cluster_conf(self.hosts), service_settings(**FAST_TIMERS))
            host.start()
        both_primary(self.hosts)
        text = configuration(self.hosts, net=DUAL, disk=FAST,
                             startup="become-primary-on both; wfc-timeout 10; degr-wfc-timeout 10;")
        for host in self.hosts:
            host.configure(text)
            with open(host.root + "/etc/fstab", "w") as out:
                out.write("/dev/drbd0  /mnt  ocfs2  noauto,x-yoke.auto,noatime,nodiratime  0 0\n")
            host.stop()
        for host in self.hosts:
            host.up()
            host.probe = Process(host, "probe of " + host.name, host.name,
                                 os.path.join(self.folder, host.name + ".plain"))
        for host in self.hosts:
            wait_until("%s is mounted" % host.name, host.is_healthy, 60)

    def other(self, host):
        return self.beta if host is self.alpha else self.alpha

    def check_daemons(self):
        for host in self.hosts:
            if host.daemon and host.daemon.poll() is not None:
                raise AssertionError("%s: the daemon ended with %s\n%s" % (
                    host.name, host.daemon.returncode, host.log_tail()))
            for word in ("Fatal error", "Illegal instruction", "Split-Brain"):
                if word in host.dmesg():
                    raise AssertionError("%s: %s\n%s" % (host.name, word, host.log_tail()))

    def assert_replicas_equal(self, attempts=8):
        """While nobody changes the volume, but for signs of life: those may be under way."""
        for host in self.hosts:
            host.probe.call("switch", False)
        size = None
        for _ in range(attempts):
            if size is None:
                size = self.alpha.size_sectors() * 512
            contents = []
            for host in self.hosts:
                with open(host.image, "rb") as image:
                    contents.append(image.read(size))
            different = differing_blocks(*contents)
            if not different:
                for host in self.hosts:
                    host.probe.call("switch", True)
                return
            time.sleep(0.7)
        raise AssertionError("the replicas differ in %d blocks: %s" % (len(different), different[:10]))

    def stall(self, host, since, until):
        """The longest time that a synced write on the host took, and the same of a plain file, in seconds: of what was
        under way in that time."""
        worst = []
        for samples in host.probe.call("samples", since):
            worst.append(max((ended - max(begun, since) for begun, ended, _ in samples if begun <= until), default=0))
        return tuple(worst)

    def end(self):
        """Everything is unmounted and ended; the volume is without fault."""
        for host in self.hosts:
            code = host.stop()
            if code != 0:
                raise AssertionError("%s: the daemon ended with %s\n%s" % (host.name, code, host.log_tail()))
        for host in self.hosts:
            faults = unlisted(host.image)
            if faults:
                raise AssertionError("%s: fsck.ocfs2: %s" % (host.name, faults[:20]))

    def close(self, keep=False):
        for host in self.hosts:
            host.close()
        self.network.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
