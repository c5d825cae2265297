"""`yoke o2cb` with a real daemon under a root of its own: the files, the registration, the service's verbs.

Run: python3 -m unittest -v test_o2cb      (from this folder; binaries from scripts/build, or YOKE_BINARIES)
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import BINARIES, run, wait_until

ONLINE = """Stack plugin "o2cb": Loaded
Checking O2CB cluster "web": Online
  Heartbeat dead threshold: 4
  Network idle timeout: 5000
  Network keepalive delay: 1000
  Network reconnect delay: 2000
  Heartbeat mode: Local
Checking O2CB heartbeat: Not active
"""


class Cluster(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="yoke-o2cb-")
        self.addCleanup(shutil.rmtree, self.root)
        os.makedirs(self.root + "/etc")
        with open(self.root + "/etc/drbd.conf", "w") as out:
            out.write("global { usage-count no; }\n")
        self.daemon = None
        self.addCleanup(self.stop)

    def start(self):
        with open(self.root + "/yoked.log", "ab") as log:
            self.daemon = subprocess.Popen([BINARIES + "/yoked", "--root", self.root, "--node", "alpha.example.org"],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("yoked answers", lambda: "Loaded\n" in self.o2cb("status").stdout.replace("Not loaded", ""), 20)

    def stop(self):
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(timeout=30)
            self.daemon = None

    def log(self):
        with open(self.root + "/yoked.log") as log:
            return log.read()

    def o2cb(self, *words, **options):
        return run(BINARIES + "/yoke", "--root", self.root, "o2cb", *words, check=False, **options)

    def good(self, *words):
        done = self.o2cb(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        return done.stdout

    def make_cluster(self):
        self.good("add-cluster", "web")
        self.good("add-node", "--ip", "127.0.0.31", "web", "alpha")
        self.good("add-node", "web", "localhost")
        self.assertEqual(self.good("list-nodes", "--oneline", "web"),
                         "node: 0 alpha 127.0.0.31:7777 web\nnode: 1 localhost 127.0.0.1:7777 web\n")

    def test_register_status_and_unregister(self):
        self.make_cluster()
        self.assertEqual(self.o2cb("register-cluster", "web").returncode, 1)
        self.good("timers", "fast")
        self.start()
        self.assertEqual((self.o2cb("cluster-status").returncode, self.o2cb("cluster-status").stdout), (1, "offline\n"))
        self.good("register-cluster", "web")
        self.assertEqual(self.good("cluster-status", "web"), "Cluster 'web' is online\n")
        self.assertEqual(self.good("status", "web"), ONLINE)
        # Again after a change, as the classic tool allows; another cluster has to wait.
        self.good("add-node", "--ip", "127.0.0.33", "web", "gamma")
        self.good("register-cluster", "web")
        self.good("add-cluster", "mail")
        refused = self.o2cb("register-cluster", "mail")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("cluster 'web' is registered", refused.stderr)
        self.good("unregister-cluster", "web")
        self.assertIn("o2cb: cluster web registered, this host is node 0 at 127.0.0.31:7777", self.log())

    def test_global_mode_is_refused_by_name_with_the_line(self):
        self.make_cluster()
        self.good("heartbeat-mode", "web", "global")
        self.start()
        refused = self.o2cb("register-cluster", "web")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("/etc/ocfs2/cluster.conf:1: heartbeat_mode = global: Yoke does not serve", refused.stderr)
        self.assertIn("hint: yoke o2cb heartbeat-mode web local", refused.stderr)

    def test_an_enabled_cluster_is_online_when_the_daemon_has_started(self):
        self.make_cluster()
        answers = "y\n\nweb\n\n\n\n\n"
        done = self.o2cb("configure", input=answers)
        self.assertIn("Writing O2CB configuration: OK\n", done.stdout)
        self.start()
        wait_until("the cluster is online", lambda: self.o2cb("online-status").returncode == 0, 10)
        self.assertEqual(self.good("offline"), 'Stopping O2CB cluster web: Unregistering O2CB cluster "web": OK\n')


if __name__ == "__main__":
    unittest.main()
