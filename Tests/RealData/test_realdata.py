"""Real programs and real data on one volume: unpacked, copied, cloned, queried; then checked, and given to the kernel.

Run: scripts/test realdata      (root; installs what it needs)
 or: python3 -m unittest -v test_realdata      (from this folder; YOKE_REALDATA=small: a part, without the VM)

The tests run in the order of their names and build on each other: one volume is filled, and the last ones look at all of
it. Each prints what it took.
"""
import contextlib
import glob
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Harness"))
from hosts import Failed, Network, run
from volumes import LocalHost, VolumeVM, differences, unlisted

IS_SMALL = os.environ.get("YOKE_REALDATA") == "small"
KERNEL_SOURCE = "/usr/src/linux-source-6.1.tar.xz"
# Enough of every kind, without large files, which only measure the disk (and the emulated machine that sums them).
COPIED = ["/usr/bin", "/usr/share/doc", "/usr/share/zoneinfo"] if IS_SMALL else ["/usr/bin", "/usr/sbin", "/usr/share"]
COPY_OPTIONS = ["--max-size=1M", "--exclude=/src/linux-source*"]
SQLITE_WRITERS, SQLITE_TRANSACTIONS = (4, 100) if IS_SMALL else (6, 400)
PGBENCH_SCALE, PGBENCH_SECONDS = (2, 5) if IS_SMALL else (10, 30)
PACKAGES = ["rsync", "git", "xz-utils", "postgresql", "postgresql-contrib", "busybox-static", "attr", "acl"] + (
    [] if IS_SMALL else ["linux-source-6.1"])
EVERYTHING = 1 << 30


def install():
    status = run("dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *PACKAGES, check=False).stdout
    missing = [name for name in PACKAGES if name + " installed" not in status.splitlines()]
    if missing:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        run("apt-get", "update", "-qq", env=environment, timeout=300)
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=environment, timeout=900)


@contextlib.contextmanager
def measured(what):
    """Prints what a piece of work took; the caller adds numbers to the list that it gets."""
    begun, notes = time.monotonic(), []
    yield notes
    seconds = time.monotonic() - begun
    print("\n  %s: %.1f s%s" % (what, seconds, "".join(", %s %.0f/s" % (name, count / seconds) for name, count in notes)),
          file=sys.stderr, flush=True)


def transfer(path, seed, count, failures):
    """A process that moves money between accounts, one transaction each."""
    try:
        database = sqlite3.connect(path, timeout=60, isolation_level=None)
        database.execute("pragma synchronous = normal" if seed % 2 else "pragma synchronous = full")
        for number in range(count):
            database.execute("begin immediate")
            one, two = (seed * 7919 + number * 31) % 1000, (seed * 104729 + number * 17) % 1000
            database.execute("update account set balance = balance - 5 where id = ?", (one,))
            database.execute("update account set balance = balance + 5 where id = ?", (two,))
            database.execute("insert into history values (?, ?, ?)", (seed, number, os.urandom(200)))
            database.execute("commit" if number % 10 else "rollback")
            total, = database.execute("select sum(balance) from account").fetchone()
            if total != 100000:
                failures.put("writer %d sees a sum of %d" % (seed, total))
        database.close()
    except sqlite3.Error as error:
        failures.put("writer %d: %s" % (seed, error))


class RealData(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        install()
        cls.folder = tempfile.mkdtemp(prefix="yoke-realdata-", dir=os.environ.get("YOKE_REALDATA_DIR"))
        os.chmod(cls.folder, 0o755)
        cls.image, cls.point = cls.folder + "/volume", cls.folder + "/mnt"
        os.mkdir(cls.point)
        with open(cls.image, "wb") as out:
            out.truncate((4 if IS_SMALL else 24) << 30)
        cls.yoke = LocalHost("fs1", cls.folder)
        cls.yoke.start()
        cls.yoke.yoke("mkfs.ocfs2", "-q", "-F", "-M", "local", "-N", "2", cls.image)
        cls.yoke.mount(cls.image, cls.point)
        cls.manifest = cls.kernel = cls.network = None

    @classmethod
    def tearDownClass(cls):
        if os.path.ismount(cls.point):
            run("umount", "-l", cls.point, check=False)
        cls.yoke.close()
        if cls.kernel:
            cls.kernel.close()
        if cls.network:
            cls.network.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.assertTrue(self.yoke.daemon and self.yoke.daemon.poll() is None, "the daemon is gone")

    def count(self, folder):
        return sum(len(files) + len(folders) for _, folders, files in os.walk(folder))

    def seen(self):
        return self.yoke.manifest(self.point, EVERYTHING, timeout=900)

    def assert_same(self, first, second, what):
        found = differences(first, second)
        self.assertEqual(found, [], "%s (%d paths):\n%s\n%s" % (what, len(first), "\n".join(found), self.yoke.log_tail(20)))

    def remount(self):
        with measured("unmount and mount"):
            self.yoke.umount(self.point)
            self.yoke.mount(self.image, self.point)

    @unittest.skipIf(IS_SMALL, "large")
    def test_1_kernel_source(self):
        archive = self.folder + "/linux.tar"
        with open(archive, "wb") as out:
            subprocess.run(["xz", "-dc", "-T2", KERNEL_SOURCE], stdout=out, check=True)
        target = self.point + "/src"
        os.mkdir(target)
        with measured("unpack the kernel's source") as notes:
            run("tar", "xf", archive, "-C", target, timeout=900)
            notes += [("files", self.count(target)), ("MB", os.path.getsize(archive) / 1e6)]
        with measured("sync"):
            run("sync", "-f", target, timeout=300)
        self.remount()
        with measured("compare with the archive"):
            self.assertEqual(run("tar", "df", archive, "-C", target, timeout=900).stdout, "")
        os.unlink(archive)

    def test_2_rsync(self):
        target = self.point + "/usr/"
        with measured("rsync -aHAX of " + " ".join(COPIED)) as notes:
            run("rsync", "-aHAX", *COPY_OPTIONS, *COPIED, target, timeout=1800)
            notes.append(("files", self.count(target)))
        with measured("compare with --checksum"):
            done = run("rsync", "-aHAXn", "--checksum", "--itemize-changes", "--delete", *COPY_OPTIONS, *COPIED, target,
                       timeout=1800)
        self.assertEqual(done.stdout, "")

    def git(self, repository, *words, timeout=600):
        environment = dict(os.environ, HOME=self.folder, GIT_CONFIG_NOSYSTEM="1")
        for who in ("AUTHOR", "COMMITTER"):
            environment["GIT_%s_NAME" % who] = environment["GIT_%s_EMAIL" % who] = "tester"
        return run("git", "-C", repository, "-c", "gc.auto=0", "-c", "safe.directory=*", *words, env=environment,
                   timeout=timeout).stdout

    def test_3_git(self):
        origin = self.point + "/origin"
        source = (glob.glob(self.point + "/src/*/fs") + ["/usr/share/perl"])[0]
        shutil.copytree(source, origin, symlinks=True)
        self.git(origin, "init", "-q")
        with measured("git: add and commit") as notes:
            self.git(origin, "add", "-A")
            self.git(origin, "commit", "-qm", "first")
            notes.append(("files", self.count(source)))
        for number in range(10):
            for folder, _, files in os.walk(origin):
                if "/.git" not in folder and files:
                    with open(os.path.join(folder, sorted(files)[number % len(files)]), "ab") as out:
                        out.write(b"change %d\n" % number)
            self.git(origin, "commit", "-qam", "change %d" % number)
        clone = self.point + "/clone"
        with measured("git: clone, gc, fsck"):
            self.git(self.point, "clone", "-q", "--no-local", origin, clone)
            for repository in (origin, clone):
                self.git(repository, "gc", "-q", "--prune=now")
                self.git(repository, "fsck", "--full", "--strict")
                self.assertEqual(self.git(repository, "status", "--porcelain"), "")
        self.assertEqual(self.git(origin, "rev-parse", "HEAD^{tree}"), self.git(clone, "rev-parse", "HEAD^{tree}"))

    def test_4_sqlite(self):
        path = self.point + "/bank.db"
        database = sqlite3.connect(path, isolation_level=None)
        self.assertEqual(database.execute("pragma journal_mode = wal").fetchone(), ("wal",))
        database.execute("create table account (id integer primary key, balance integer)")
        database.execute("create table history (writer integer, number integer, noise blob)")
        database.execute("begin")
        database.executemany("insert into account values (?, 100)", [(number,) for number in range(1000)])
        database.execute("commit")
        failures = multiprocessing.Queue()
        writers = [multiprocessing.Process(target=transfer, args=(path, seed, SQLITE_TRANSACTIONS, failures))
                   for seed in range(SQLITE_WRITERS)]
        with measured("sqlite: %d writers, WAL" % SQLITE_WRITERS) as notes:
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join(300)
                self.assertEqual(writer.exitcode, 0)
            notes.append(("transactions", SQLITE_WRITERS * SQLITE_TRANSACTIONS))
        self.assertTrue(failures.empty(), failures.empty() or failures.get())
        self.assertEqual(database.execute("pragma integrity_check").fetchall(), [("ok",)])
        self.assertEqual(database.execute("select sum(balance) from account").fetchone(), (100000,))
        kept = SQLITE_WRITERS * (SQLITE_TRANSACTIONS - SQLITE_TRANSACTIONS // 10)
        self.assertEqual(database.execute("select count(*) from history").fetchone(), (kept,))
        database.close()

    # PostgreSQL does not run as root.

    def postgres(self, *words, check=True, timeout=300):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        line = " ".join(words)
        return run("su", "postgres", "-s", "/bin/sh", "-c", "cd / && PATH=%s:$PATH && %s" % (programs, line), check=check,
                   timeout=timeout)

    def start_postgres(self):
        # It goes on in the background: its output must not keep this call.
        self.postgres("pg_ctl -w -t 120 -D %(data)s -l %(data)s/log -o \"-k %(data)s -c listen_addresses=''\" start "
                      ">/dev/null 2>&1 </dev/null" % dict(data=self.data))

    def query(self, text):
        return self.postgres("psql -X -A -t -h %s -c \"%s\" bench" % (self.data, text)).stdout.strip()

    def assert_balanced(self):
        sums = {self.query("select coalesce(sum(%s), 0) from %s" % pair) for pair in (
            ("abalance", "pgbench_accounts"), ("bbalance", "pgbench_branches"), ("tbalance", "pgbench_tellers"),
            ("delta", "pgbench_history"))}
        self.assertEqual(len(sums), 1, "sums of the four tables: %s" % sums)

    def test_5_postgres(self):
        self.data = self.point + "/pg"
        os.mkdir(self.data, 0o700)
        shutil.chown(self.data, "postgres", "postgres")
        with measured("postgres: initdb and load"):
            self.postgres("initdb -k -D %s >/dev/null" % self.data)
            self.start_postgres()
            self.postgres("createdb -h %s bench" % self.data)
            self.postgres("pgbench -q -i -s %d -h %s bench" % (PGBENCH_SCALE, self.data))
        try:
            bench = "pgbench -n -c 4 -j 2 -T %d -h %s bench" % (PGBENCH_SECONDS, self.data)
            done = self.postgres(bench)
            print("\n  postgres: " + next(line for line in done.stdout.splitlines() if line.startswith("tps")),
                  file=sys.stderr)
            self.assert_balanced()
            # Killed at work: its own recovery has to find everything that it synced.
            load = subprocess.Popen(["su", "postgres", "-s", "/bin/sh", "-c",
                                     "cd / && exec %s/%s" % (sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1], bench)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(3)
            with open(self.data + "/postmaster.pid") as number:
                os.kill(int(number.readline()), signal.SIGQUIT)
            load.wait(60)
            with measured("postgres: recovery"):
                self.start_postgres()
            self.assert_balanced()
            self.postgres("vacuumdb -q -f -h %s bench" % self.data)
            self.assert_balanced()
        finally:
            self.postgres("pg_ctl -w -m fast -D %s stop" % self.data)
        done = self.postgres("pg_checksums --check -D %s" % self.data)
        self.assertRegex(done.stdout, r"Bad checksums:\s+0")

    def test_6_remount(self):
        with measured("read everything") as notes:
            before = self.seen()
            notes.append(("paths", len(before)))
        self.remount()
        with measured("read everything, nothing cached"):
            after = self.seen()
        self.assert_same(before, after, "after the remount (before / after)")
        self.yoke.umount(self.point)
        with measured("fsck.ocfs2"):
            self.assertEqual(unlisted(self.image, timeout=900), [])
        type(self).manifest = after

    @unittest.skipIf(IS_SMALL, "large")
    def test_7_kernel(self):
        self.assertIsNotNone(self.manifest, "nothing to compare with")
        cls = type(self)
        cls.network = Network()
        cls.kernel = VolumeVM("k1", "10.99.0.11", self.folder, [self.image], mebibytes=2048)
        self.kernel.mount(self.image)
        with measured("the kernel reads everything (in an emulated machine)"):
            self.assert_same(self.manifest, self.kernel.manifest(summed=EVERYTHING, timeout=3000), "Yoke / kernel")
        self.kernel.shell("""set -e; cd /mnt; rm -r clone; mv origin renamed; cp -a usr/share/doc copy
            find renamed -name '*.c' | head -500 | while read -r f; do echo '/* kernel */' >> "$f"; done
            find usr/share/man -type f | head -2000 | tr '\\n' '\\0' | xargs -0 rm; sync""", timeout=900)
        changed = ("renamed", "copy", "usr/share/man", "pg")
        left = {folder: self.kernel.manifest("/mnt/" + folder, summed=EVERYTHING, timeout=3000) for folder in changed}
        self.kernel.umount()
        self.assertEqual(self.kernel.complaints(), [])
        self.assertEqual(unlisted(self.image, timeout=900), [])
        self.yoke.mount(self.image, self.point)
        for folder in changed:
            seen = self.yoke.manifest(self.point + "/" + folder, EVERYTHING, timeout=900)
            self.assert_same(left[folder], seen, folder + " (kernel / Yoke)")
        self.assertFalse(os.path.exists(self.point + "/clone"))
        # What the kernel did not touch.
        source = {path: entry for path, entry in self.manifest.items() if path.startswith(b"./src/")}
        seen = {b"./src/" + path[2:]: entry for path, entry in self.yoke.manifest(
            self.point + "/src", EVERYTHING, timeout=900).items() if path != b"."}
        self.assert_same(source, seen, "src (before the kernel / after it)")
        self.yoke.umount(self.point)


if __name__ == "__main__":
    unittest.main(verbosity=2)
