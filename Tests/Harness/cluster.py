"""Hosts of a cluster: Yoke hosts in namespaces that mount one replicated volume at the same time.

A daemon's mounts are in the mount namespace of its process: `sh` runs commands there.
"""
import os
import re
import shutil

from hosts import Background, Failed, YokeHost, configuration, run
from volumes import unlisted

DUAL = ("protocol C; allow-two-primaries yes; after-sb-0pri discard-zero-changes; after-sb-1pri discard-secondary; "
        "after-sb-2pri disconnect; ")
FAST = "resync-rate 200M; c-plan-ahead 0; "
CLUSTER = "web"


def cluster_conf(hosts, name=CLUSTER, port=7777):
    """The text of cluster.conf; node numbers in the order of the hosts."""
    nodes = "\n".join("node:\n\tip_port = %d\n\tip_address = %s\n\tnumber = %d\n\tname = %s\n\tcluster = %s\n" % (
        port, host.address, number, host.name, name) for number, host in enumerate(hosts))
    return "cluster:\n\tnode_count = %d\n\tname = %s\n\n%s" % (len(hosts), name, nodes)


def service_settings(threshold=31, idle=30000, keepalive=2000, reconnect=2000, enabled=False):
    return ("O2CB_ENABLED=%s\nO2CB_BOOTCLUSTER=%s\nO2CB_HEARTBEAT_THRESHOLD=%d\nO2CB_IDLE_TIMEOUT_MS=%d\n"
            "O2CB_KEEPALIVE_DELAY_MS=%d\nO2CB_RECONNECT_DELAY_MS=%d\n" % (
                "true" if enabled else "false", CLUSTER, threshold, idle, keepalive, reconnect))


FAST_TIMERS = dict(threshold=4, idle=5000, keepalive=1000, reconnect=2000)


class MemberHost(YokeHost):
    """A Yoke host that mounts /dev/drbd0 on the directory `mnt` of its root."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.point = os.path.join(self.root, "mnt")
        os.makedirs(self.point, exist_ok=True)
        os.makedirs(self.root + "/etc/ocfs2", exist_ok=True)
        os.makedirs(self.root + "/etc/default", exist_ok=True)

    def configure_cluster(self, conf, settings):
        with open(self.root + "/etc/ocfs2/cluster.conf", "w") as out:
            out.write(conf)
        with open(self.root + "/etc/default/o2cb", "w") as out:
            out.write(settings)

    def sh(self, script, check=True, timeout=60):
        """Runs a shell script where the daemon's mounts are."""
        done = run("nsenter", "-t", self.daemon.pid, "-m", "-n", "sh", "-c", "cd %s && { %s\n}" % (
            self.point, script), check=False, timeout=timeout)
        if check and done.returncode:
            raise Failed("%s: %s\nexit %d\n%s%s\n--- log\n%s" % (
                self.name, script, done.returncode, done.stdout, done.stderr, self.log_tail()))
        return done

    def mount(self, *options, check=True, source="/dev/drbd0"):
        return self.yoke("mount", *options, source, self.point, check=check)

    def umount(self, *options, check=True):
        return self.yoke("umount", *options, self.point, check=check)

    def members(self):
        """The nodes of the volume's lock domain, as `yoke status` shows them."""
        match = re.search(r"members ([0-9 ]+)", self.yoke("status", check=False).stdout)
        return [int(word) for word in match.group(1).split()] if match else []


def make_volume(path, size_mib, *options):
    """A volume of the cluster in the file, with room for metadata of the replication behind it."""
    with open(path, "wb") as image:
        image.truncate(size_mib << 20)
    run("mkfs.ocfs2", "-q", "-F", "-N", "4", "-b", "4096", "-C", "4096", "--cluster-stack=o2cb",
        "--cluster-name=" + CLUSTER, *options, path, (size_mib - 2) * 256, input="y\n")


def both_primary(hosts, net=DUAL, port=7788):
    """The volume of equal images comes up on both hosts, as a dual Primary, without a first sync."""
    text = configuration(hosts, net=net, disk=FAST, port=port)
    for host in hosts:
        host.configure(text)
        host.yoke("drbdadm", "--", "--force", "create-md", "r0")
    for host in hosts:
        host.drbdadm("up", "r0")
    for host in hosts:
        host.wait_for(cs="Connected", disk="Inconsistent/Inconsistent")
    hosts[0].yoke("drbdsetup", "new-current-uuid", "--clear-bitmap", "0")
    for host in hosts:
        host.wait_for(cs="Connected", disk="UpToDate/UpToDate")
    for host in hosts:
        host.drbdadm("primary", "r0")
    for host in hosts:
        host.wait_for(role="Primary/Primary")


def yoke_pair(folder, size_mib, made=lambda host: None):
    """alpha (node 0) and beta (node 1), running, with one volume of the cluster, Primary on both. `made` is told of each
    host before anything can fail."""
    hosts = [MemberHost("alpha", "10.99.0.21", size_mib, folder), MemberHost("beta", "10.99.0.22", size_mib, folder)]
    make_volume(hosts[0].image, size_mib)
    shutil.copyfile(hosts[0].image, hosts[1].image)
    conf = cluster_conf(hosts)
    for host in hosts:
        made(host)
        host.configure_cluster(conf, service_settings(**FAST_TIMERS))
        host.start()
    both_primary(hosts)
    return hosts


def mount_all(hosts):
    """All at once."""
    waits = [Background(host.mount) for host in hosts]
    for wait in waits:
        wait.join(90)


def end_pair(hosts, network, folder, leave):
    """The end of a class with a pair: `leave` unmounts; the volume on both disks has no fault."""
    try:
        for host in hosts:
            leave(host)
        faults = [unlisted(host.image) for host in hosts]
    finally:
        for host in hosts:
            host.close()
        network.close()
        shutil.rmtree(folder, ignore_errors=True)
    assert faults == [[] for _ in hosts], faults
