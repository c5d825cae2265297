import EngineKit
import FUSEServer
import FileSystem
import Glibc
import LinuxReactor
import Testing

/// Whether this process may mount.
private let mayMount = FUSEMount.isAvailable && geteuid() == 0

/// Runs a shell script in the mount; every line must succeed.
private func shell(_ mount: TreeMount, _ script: String, _ location: SourceLocation = #_sourceLocation) {
    let outcome = Tool.run("bash", ["-euc", "cd \(mount.directory)\n\(script)"])
    #expect(outcome.status == 0, "\(outcome.text)", sourceLocation: location)
}

private func textOf(_ mount: TreeMount, _ script: String) -> String {
    Tool.run("bash", ["-euc", "cd \(mount.directory)\n\(script)"]).text
}

@Suite(.serialized, .enabled(if: mayMount, "needs root and /dev/fuse"))
struct KernelMountTests {
    @Test(
        "files, directories and links made through the kernel are there",
        arguments: [Reactor.Backend.epoll, .automatic])
    func tree(backend: Reactor.Backend) throws {
        let mount = try TreeMount(backend: backend)
        shell(
            mount,
            """
            mkdir -p a/b/c
            echo hello > a/b/c/file
            test "$(cat a/b/c/file)" = hello
            ln a/b/c/file a/hard
            test "$(stat -c %h a/hard)" = 2
            ln -s b/c/file a/soft
            test "$(cat a/soft)" = hello
            test "$(readlink a/soft)" = b/c/file
            mknod a/null c 1 3
            test "$(stat -c %t:%T a/null)" = 1:3
            mkfifo a/fifo
            chmod 4751 a/hard
            chown 12:34 a/hard
            test "$(stat -c %u:%g a/hard)" = 12:34
            touch -d '1999-12-31 23:59:59.123456789Z' a/hard
            test "$(date -u -d @$(stat -c %.9Y a/hard) +%F.%N)" = 1999-12-31.123456789
            mv a/hard a/moved
            ! test -e a/hard
            ls -la a > /dev/null
            test "$(ls a | tr '\\n' ' ')" = "b fifo moved null soft "
            rm -r a
            ! test -e a
            df . > /dev/null
            """)
        mount.end()
        #expect(mount.tree.referencesHeld == 0, "every node comes back")
        #expect(mount.tree.openHandles == 0)
        #expect(mount.log.filter { $0.level >= .warning }.isEmpty, "\(mount.log)")
    }

    @Test("contents survive every way of writing")
    func contents() throws {
        let mount = try TreeMount()
        shell(
            mount,
            """
            dd if=/dev/urandom of=/tmp/yoke-fuse-source.$$ bs=1M count=2 status=none
            trap 'rm -f /tmp/yoke-fuse-source.$$' EXIT
            cp /tmp/yoke-fuse-source.$$ big
            cmp /tmp/yoke-fuse-source.$$ big
            dd if=/tmp/yoke-fuse-source.$$ of=direct bs=64k oflag=direct status=none
            cmp direct big
            dd if=/tmp/yoke-fuse-source.$$ of=large bs=1M oflag=direct status=none
            cmp large big
            dd if=big of=/dev/null bs=1M iflag=direct status=none
            for i in 1 2 3 4 5; do echo line $i >> log; done
            test "$(wc -l < log)" = 5
            truncate -s 3 log
            test "$(stat -c %s log)" = 3
            truncate -s 100000 log
            test "$(stat -c %s log)" = 100000
            fallocate -l 200000 log
            fallocate -p -o 0 -l 4096 log
            cp --reflink=never big copy
            cmp big copy
            sync big
            """)
        mount.end()
        #expect(mount.tree.history.contains { $0.hasPrefix("write ") && $0.hasSuffix("+1048576") }, "1 MiB requests")
        #expect(mount.tree.history.contains { $0.hasPrefix("sync") })
        #expect(mount.log.filter { $0.level >= .warning }.isEmpty, "\(mount.log)")
    }

    @Test("a shared mapping writes back")
    func mapping() throws {
        let mount = try TreeMount()
        let path = mount.directory + "/mapped"
        let descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        #expect(descriptor >= 0 && ftruncate(descriptor, 8192) == 0)
        let memory = mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        memory?.storeBytes(of: 0x5a, toByteOffset: 5000, as: UInt8.self)
        #expect(msync(memory, 8192, MS_SYNC) == 0)
        munmap(memory, 8192)
        close(descriptor)
        mount.end()
        let file = mount.tree.all.last
        #expect(file?.data.count == 8192 && file?.data[5000] == 0x5a)
    }

    @Test("names, attributes and pages are served by the kernel after the first time")
    func caches() throws {
        let mount = try TreeMount()
        shell(mount, "mkdir d; for i in $(seq 100); do echo $i > d/$i; done; ls -l d > /dev/null; cat d/* > /dev/null")
        let before = mount.tree.history.count
        shell(mount, "for i in 1 2 3; do ls -l d > /dev/null; cat d/* > /dev/null; ! test -e d/none; done")
        let after = mount.tree.history.count
        mount.end()
        #expect(after == before, "a page was read again")
    }

    @Test("a large listing arrives whole, in pieces")
    func listing() throws {
        let mount = try TreeMount()
        shell(mount, "mkdir d; cd d; seq -f 'a-rather-long-name-for-a-file-%06g' 1000 | xargs touch")
        #expect(textOf(mount, "ls d | wc -l") == "1000\n")
        #expect(textOf(mount, "ls -l d | wc -l") == "1001\n")
        #expect(textOf(mount, "find d -type f | sort -u | wc -l") == "1000\n")
        mount.end()
        #expect(mount.tree.referencesHeld == 0)
    }

    @Test("errors reach the application as they are")
    func errors() throws {
        let mount = try TreeMount()
        shell(mount, "mkdir d; touch d/f")
        let cases = [
            ("rmdir d", "Directory not empty"), ("cat none", "No such file or directory"),
            ("mkdir d", "File exists"), ("rmdir d/f", "Not a directory"), ("ls d/f/x", "Not a directory"),
            ("touch $(printf 'x%.0s' $(seq 300))", "File name too long"),
        ]
        for (command, text) in cases {
            let outcome = Tool.run("bash", ["-c", "cd \(mount.directory); \(command)"])
            #expect(outcome.status != 0 && outcome.text.contains(text), "\(command): \(outcome.text)")
        }
        mount.end()
    }

    @Test("extended attributes and inode flags", .enabled(if: Tool.exists("setfattr"), "no setfattr"))
    func attributes() throws {
        let mount = try TreeMount()
        shell(
            mount,
            """
            touch f
            setfattr -n user.comment -v hello f
            test "$(getfattr --only-values -n user.comment f)" = hello
            setfattr -n trusted.x -v y f
            test "$(getfattr -d -m - f | grep -c =)" = 2
            setfattr -x user.comment f
            ! getfattr -n user.comment f 2> /dev/null
            chattr +i f; lsattr f | grep -q -- i; chattr -i f
            """)
        mount.end()
    }

    @Test(
        "flock excludes, waits, and is given up by closing and by signals",
        .enabled(if: Tool.exists("flock"), "no flock"))
    func flock() throws {
        let mount = try TreeMount()
        shell(
            mount,
            """
            touch f
            flock f sh -c '! flock --nonblock f true'
            flock --shared f flock --shared --nonblock f true
            flock f sleep 0.2 & sleep 0.05
            flock f true
            wait
            flock f sleep 1 & sleep 0.05
            ! timeout --signal=INT 0.2 flock f true
            ! timeout --signal=KILL 0.2 flock f true
            wait
            flock --nonblock f true
            """)
        mount.end()
    }

    @Test("writing to a set-user-ID file as another user takes the bit away")
    func privilegeBits() throws {
        let mount = try TreeMount()
        shell(
            mount,
            """
            chmod 777 .
            touch f g; chmod 6777 f
            setpriv --reuid=65534 --clear-groups sh -c 'echo x >> f'
            chmod 6777 g
            setpriv --reuid=65534 --clear-groups sh -c 'echo x 1<> g'
            stat -c %a f g
            test "$(stat -c %a f)" = 777
            test "$(stat -c %a g)" = 777
            """)
        mount.end()
    }

    @Test("what changed behind the kernel's back is seen once the ticket is back")
    func invalidation() throws {
        let mount = try TreeMount()
        shell(mount, "echo one > f; cat f > /dev/null; stat f > /dev/null")
        mount.change { tree, server in
            guard let node = tree.root.children.first?.node else { return }
            node.data = Array("other text\n".utf8)
            server.invalidate(node, pagesFrom: 0) { _ in }
        }
        #expect(textOf(mount, "cat f") == "other text\n", "the kernel reads again")
        mount.change { tree, server in
            tree.root.children.removeAll()
            server.expire(Array("f".utf8), in: tree.root) { _ in }
        }
        #expect(textOf(mount, "cat f; true").contains("No such file"))
        mount.end()
        #expect(mount.statistics.notificationCount == 2)
    }
}
