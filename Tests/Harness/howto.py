"""What the howtos take from their distributions: init scripts, chkconfig, rc.local; and the one who follows `yoke check`.

The scripts do what those of drbd-utils and ocfs2-tools do, with `yoked` in the place of the kernel modules.
"""
import os
import re
import unittest

from hosts import Failed
from machine import Machine

MODULE = """# What stands for `modprobe drbd` and for the modules of O2CB.
load() {
    yoke mount >/dev/null 2>&1 && return
    setsid yoked --no-start >>/var/log/yoked.log 2>&1 </dev/null &
    echo $! >/run/yoked.pid
    until yoke mount >/dev/null 2>&1; do sleep 0.1; done
}
unload() {
    kill $(cat /run/yoked.pid) || return
    while kill -0 $(cat /run/yoked.pid) 2>/dev/null; do sleep 0.1; done
}
"""
DRBD_SCRIPT = """#!/bin/sh
. /etc/init.d/module
case $1 in
start)
    load
    drbdadm up all
    drbdadm wait-con-int
    drbdadm sh-b-pri all
    exit 0
    ;;
stop)
    drbdadm down all
    unload
    ;;
esac
"""
O2CB_SCRIPT = "#!/bin/sh\n. /etc/init.d/module\nload\nexec o2cb \"$@\"\n"
OCFS2_SCRIPT = """#!/bin/sh
case $1 in
start) mount -a -t ocfs2 -O _netdev ;;
stop) umount -a -t fuse.ocfs2 ;;
esac
"""
CHKCONFIG = "#!/bin/sh\nmkdir -p /etc/rc3.d && ln -sf ../init.d/$1 /etc/rc3.d/$1 && [ \"$2\" = on ]\n"
START_ORDER = ("loop-for-drbd", "drbd", "o2cb", "ocfs2")


class HowtoMachine(Machine):
    """A machine with init scripts in the old manner."""

    def make_root(self):
        super().make_root()
        self.write("/etc/init.d/module", MODULE)
        for name, text in (("drbd", DRBD_SCRIPT), ("o2cb", O2CB_SCRIPT), ("ocfs2", OCFS2_SCRIPT)):
            self.write("/etc/init.d/" + name, text, 0o755)
        self.write("/.sbin/chkconfig", CHKCONFIG, 0o755)
        self.write("/etc/rc.local", "")
        os.makedirs(self.path("/etc/rc3.d"))

    def services(self):
        return [name for name in START_ORDER if os.path.lexists(self.path("/etc/rc3.d/" + name))]

    def boot(self):
        """What happens when the power comes back; it asks nobody anything."""
        self.power_on()
        for name in self.services():
            self.sh("/etc/init.d/%s start" % name)
        self.sh("sh /etc/rc.local")

    def shut_down(self):
        """A clean `reboot`, up to the moment when the power goes."""
        for name in reversed(self.services()):
            if name != "loop-for-drbd":
                self.sh("/etc/init.d/%s stop" % name, check=False)
        self.power_off()


class Steps(unittest.TestCase):
    """Tests that are the steps of one text: behind a step that failed the others are skipped."""
    failed = None
    machines = ()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).failed = self._testMethodName

    def setUp(self):
        if self.failed:
            self.skipTest("%s failed" % self.failed)

    def tearDown(self):
        for machine in self.machines:
            self.assertNotRegex(machine.log(), r"Fatal error|Illegal instruction", "%s trapped" % machine.name)

    def assert_lines(self, text, *patterns):
        """Each pattern is found, in this order."""
        at = 0
        for pattern in patterns:
            found = re.compile(pattern, re.M).search(text, at)
            self.assertTrue(found, "no %r in\n%s" % (pattern, text))
            at = found.end()


class Mender:
    """Follows the findings of `yoke check` to the letter, one after the other, and nothing else.

    What only the admin can know (the addresses that were lost in print) he is asked for.
    """

    def __init__(self, machine, addresses, port):
        self.machine, self.addresses, self.port = machine, addresses, port
        self.done = []

    def run(self, limit=40):
        """Until nothing is found any more; returns the last output."""
        for _ in range(limit):
            done = self.machine.sh("yoke check", check=False)
            if not re.search(r"^(error|warning): ", done.stdout, re.M):
                if done.returncode:
                    raise Failed("yoke check: exit %d without a finding\n%s" % (done.returncode, done.stdout))
                return done.stdout
            self.mend(done.stdout)
        raise Failed("yoke check is not content after %d corrections: %s" % (limit, self.done))

    def mend(self, output):
        for rule in (self.brace, self.end_brace, self.address, self.two_primaries, self.header, self.node_address):
            what = rule(output)
            if what:
                self.done.append(what)
                return
        raise Failed("yoke check names no way out that could be followed:\n" + output)

    def edit(self, path, change):
        lines = self.machine.read(path).split("\n")
        change(lines)
        self.machine.write(path, "\n".join(lines))

    def brace(self, output):
        found = re.search(r"opened at (\S+?):\d+:\d+ is not closed.*a '}' is (?:probably )?missing before line (\d+)", output)
        if not found:
            return None
        self.edit(found.group(1), lambda lines: lines.insert(int(found.group(2)) - 1, "}"))
        return "'}' before line " + found.group(2)

    def end_brace(self, output):
        found = re.search(r"opened at (\S+?):\d+:\d+ is not closed at the end of the file$", output, re.M)
        if not found:
            return None
        self.edit(found.group(1), lambda lines: lines.insert(len(lines) - 1, "}"))
        return "'}' at the end"

    def address(self, output):
        found = re.search(r"^error: (\S+?):(\d+): in resource \S+, on (\S+) { \.\.\. }: 'address' keyword missing\.\n"
                          r"\tat .*\n.*add 'address IP:PORT;' to the section", output, re.M)
        if not found:
            return None
        path, line, node = found.groups()
        self.edit(path, lambda lines: lines.insert(
            int(line), "address %s:%d;" % (self.addresses[node], self.port)))
        return "address of " + node

    def two_primaries(self, output):
        found = re.search(r"^warning: (\S+?):\d+: .*\n.*add 'allow-two-primaries;' to 'net {' of resource (\S+)", output,
                          re.M)
        if not found:
            return None

        def change(lines):
            at = next(number for number, line in enumerate(lines) if line.strip() == "net {")
            lines.insert(at + 1, "allow-two-primaries;")
        self.edit(found.group(1), change)
        return "allow-two-primaries"

    def header(self, output):
        found = re.search(r"^error: (\S+?):(\d+): .*\n.*write '(cluster|node):' on a line of its own above", output, re.M)
        if not found:
            return None
        path, line, header = found.groups()
        self.edit(path, lambda lines: lines.insert(int(line) - 1, header + ":"))
        return "%s: before line %s" % (header, line)

    def node_address(self, output):
        found = re.search(r"^error: (\S+?):(\d+): ip_address = '', expected an IPv4 address", output, re.M)
        if not found:
            return None
        path, number = found.group(1), int(found.group(2)) - 1
        nodes = []

        def change(lines):
            names = [line.split("=")[1].strip() for line in lines[number:] if line.strip().startswith("name")]
            nodes.append(names[0])
            lines[number] += " " + self.addresses[names[0]]
        self.edit(path, change)
        return "ip_address of " + nodes[0]
