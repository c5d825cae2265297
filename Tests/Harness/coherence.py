"""What two hosts with one volume must agree on, whoever they are: tests for pairs that have it mounted.

A test class has `self.one` and `self.two` (with `sh(script, check, timeout)`), both mounted and empty but for lost+found.
"""

class Coherence:
    # Names that each host makes in one directory.
    many = 300

    def both(self):
        return (self.one, self.two), (self.two, self.one)

    def test_contents_follow_at_once(self):
        for writer, reader in self.both():
            for number in range(10):
                writer.sh("echo %d > counter" % number)
                self.assertEqual(reader.sh("cat counter").stdout, "%d\n" % number)

    def test_appends_in_turn(self):
        expected = ""
        for number in range(12):
            host = (self.one, self.two)[number % 2]
            host.sh("echo line %d >> lines" % number)
            expected += "line %d\n" % number
        for host in (self.one, self.two):
            self.assertEqual(host.sh("cat lines").stdout, expected)

    def test_attributes_follow(self):
        for writer, reader in self.both():
            writer.sh("echo data > attributes; chmod 640 attributes; touch -d '2020-02-03 04:05:06' attributes")
            self.assertEqual(reader.sh("stat -c '%a %s' attributes").stdout, "640 5\n")
            writer.sh("chmod 600 attributes; echo more >> attributes")
            self.assertEqual(reader.sh("stat -c '%a %s' attributes").stdout, "600 10\n")
            reader.sh("truncate -s 3 attributes 2>/dev/null || dd if=/dev/null of=attributes bs=1 seek=3 2>/dev/null")
            self.assertEqual(writer.sh("stat -c %s attributes; cat attributes").stdout.split(), ["3", "dat"])
            writer.sh("rm attributes")

    def test_names_follow(self):
        for one, two in self.both():
            one.sh("mkdir names; echo a > names/a; echo b > names/b; ln names/a names/c")
            self.assertEqual(two.sh("ls names; cat names/c; stat -c %h names/a").stdout.split(), ["a", "b", "c", "a", "2"])
            two.sh("mv names/a names/d; rm names/b; mkdir names/sub; mv names/d names/sub/e")
            self.assertEqual(one.sh("ls names names/sub").stdout.split(), ["names:", "c", "sub", "names/sub:", "e"])
            self.assertNotEqual(one.sh("cat names/b 2>/dev/null", check=False).returncode, 0)
            one.sh("echo new > names/b; rm names/c; rm names/sub/e; rmdir names/sub")
            self.assertEqual(two.sh("ls names; cat names/b").stdout.split(), ["b", "new"])
            two.sh("rm -r names")
            one.sh("test ! -e names")

    def test_big_directory_from_both_ends(self):
        count = self.many
        self.one.sh("mkdir many")
        for host, name in ((self.one, "one"), (self.two, "two")):
            host.sh("i=0; while [ $i -lt %d ]; do : > many/%s-with-a-long-name-$i; i=$((i+1)); done" % (count, name))
        for host in (self.one, self.two):
            self.assertEqual(host.sh("ls many | wc -l").stdout.strip(), str(2 * count))
        self.one.sh("rm many/two-*")
        self.two.sh("rm many/one-*")
        for host in (self.one, self.two):
            self.assertEqual(host.sh("ls many | wc -l").stdout.strip(), "0")
        self.two.sh("rmdir many")

    def test_unlinked_open_file(self):
        for one, two in self.both():
            one.sh("echo kept > open; cp open again")
            two.sh("cat open again >/dev/null")
            two.sh("exec 5< open; rm open; cat <&5 > read; exec 5<&-")
            self.assertEqual(one.sh("cat read").stdout, "kept\n")
            one.sh("rm read again")
            two.sh("test ! -e open; test ! -e read")

    def test_large_file_by_blocks_in_turn(self):
        """Both write every second 64 KiB block of one file; both read all of it."""
        script = ("i=%d; while [ $i -lt 32 ]; do tr '\\0' '%s' < /dev/zero | dd of=blocks bs=65536 count=1 seek=$i "
                  "conv=notrunc iflag=fullblock 2>/dev/null; i=$((i+2)); done")
        self.one.sh(script % (0, "A"))
        self.two.sh(script % (1, "B"))
        sums = [host.sh("md5sum blocks; tr -d A < blocks | wc -c; wc -c < blocks").stdout.split() for host in (self.one, self.two)]
        self.assertEqual(sums[0], sums[1])
        self.assertEqual(sums[0][2:], [str(16 * 65536), str(32 * 65536)])
        self.two.sh("rm blocks")

    def test_files_at_the_same_time(self):
        """Both make, write and remove files in one directory at the same time."""
        from hosts import Background
        self.one.sh("mkdir same")
        script = ("i=0; while [ $i -lt 60 ]; do echo %s $i > same/%s$i; cat same/%s$i > /dev/null; "
                  "[ $((i %% 3)) = 0 ] && rm same/%s$i; i=$((i+1)); done")
        waits = [Background(host.sh, script % (name, name, name, name), True, 180)
                 for host, name in ((self.one, "one"), (self.two, "two"))]
        for wait in waits:
            wait.join(200)
        listings = [host.sh("ls same; cat same/* | md5sum").stdout for host in (self.one, self.two)]
        self.assertEqual(listings[0], listings[1])
        self.assertEqual(len(listings[0].split()), 80 + 2)
        self.one.sh("rm -r same")
