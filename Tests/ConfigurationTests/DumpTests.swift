import Configuration
import Testing

@Suite struct DumpTests {
    /// The example of drbd-config-and-tools 6.4 and 8, in 8.3 spelling.
    static let old = """
        global { usage-count no; disable-ip-verification; minor-count 64; dialog-refresh 1; }
        common { protocol C; syncer { rate 10M; al-extents 257; verify-alg sha1; csums-alg md5; cpu-mask 3; use-rle; }
          startup { degr-wfc-timeout 120; }
          handlers { outdate-peer "/usr/lib/drbd/outdate-peer.sh on alpha 1.2.3.4 192.168.22.11 beta";
                     split-brain "mail -s \\"SB\\" root"; } }

        # eight
        resource web {
          startup { become-primary-on both; wfc-timeout 30; }
          disk { on-io-error detach; fencing resource-only; no-disk-barrier; no-disk-flushes; size 10G; }
          net { allow-two-primaries; cram-hmac-alg sha1; shared-secret "FooFunFactory";
                after-sb-0pri discard-zero-changes; after-sb-1pri discard-secondary; after-sb-2pri disconnect;
                sndbuf-size 512k; no-tcp-cork; max-buffers 8000; }
          syncer { rate 30M; after db; }
          on alpha { device /dev/drbd1; disk /dev/sda7; address 10.0.0.1:7789; meta-disk internal; }
          on beta  { device /dev/drbd1; disk /dev/sda7; address 10.0.0.2:7789; flexible-meta-disk /dev/sdb1; }
        }
        resource db { device minor 0; disk /dev/vg/db; meta-disk /dev/sdc1[3];
          on alpha { address ipv6 [fd00::1]:7790; }
          on beta { address ipv6 [fd00::2]:7790; } }
        """

    @Test("the chapter's example comes out as the 8.4 program prints it")
    func chapterExample() {
        let loaded = load(Self.old, path: "/tmp/old.conf")
        #expect(loaded.errors == [])
        #expect(
            loaded.dump == """
                # /tmp/old.conf
                global {
                    disable-ip-verification;
                    minor-count 64;
                    usage-count no;
                    cmd-timeout-medium 600;
                    cmd-timeout-long 0;
                }

                common {
                    options {
                        cpu-mask           3;
                    }
                    net {
                        protocol           C;
                        verify-alg       sha1;
                        csums-alg        md5;
                        use-rle          yes;
                    }
                    disk {
                        resync-rate      10M;
                        al-extents       257;
                    }
                    startup {
                        degr-wfc-timeout 120;
                    }
                    handlers {
                        fence-peer       "/usr/lib/drbd/outdate-peer.sh on alpha 1.2.3.4 192.168.22.11 beta";
                        split-brain      "mail -s \\"SB\\" root";
                    }
                }

                # resource web on alpha: not ignored, not stacked
                # defined at /tmp/old.conf:8
                resource web {
                    on alpha {
                        device           /dev/drbd1 minor 1;
                        disk             /dev/sda7;
                        meta-disk        internal;
                        address          ipv4 10.0.0.1:7789;
                    }
                    on beta {
                        device           /dev/drbd1 minor 1;
                        disk             /dev/sda7;
                        meta-disk        /dev/sdb1;
                        address          ipv4 10.0.0.2:7789;
                    }
                    net {
                        allow-two-primaries yes;
                        cram-hmac-alg    sha1;
                        shared-secret    FooFunFactory;
                        after-sb-0pri    discard-zero-changes;
                        after-sb-1pri    discard-secondary;
                        after-sb-2pri    disconnect;
                        sndbuf-size      512k;
                        tcp-cork          no;
                        max-buffers      8000;
                    }
                    disk {
                        on-io-error      detach;
                        fencing          resource-only;
                        disk-barrier      no;
                        disk-flushes      no;
                        size             10G;
                        resync-rate      30M;
                        resync-after      db;
                    }
                    startup {
                        wfc-timeout       30;
                        become-primary-on both;
                    }
                }

                # resource db on alpha: not ignored, not stacked
                # defined at /tmp/old.conf:18
                resource db {
                    on alpha {
                        device           minor 0;
                        disk             /dev/vg/db;
                        meta-disk        /dev/sdc1 [3];
                        address          ipv6 [fd00::1]:7790;
                    }
                    on beta {
                        device           minor 0;
                        disk             /dev/vg/db;
                        meta-disk        /dev/sdc1 [3];
                        address          ipv6 [fd00::2]:7790;
                    }
                }


                """)
    }

    @Test("volumes, disk options inside of them and floating hosts come out as the 8.4 program prints them")
    func volumes() {
        let loaded = load(
            """
            resource v {
              volume 1 { device /dev/drbd_data minor 11; disk /dev/vg/b; meta-disk /dev/vg/md; }
              on alpha { volume 0 { device drbd10; disk /dev/vg/a; meta-disk internal; disk { on-io-error detach; } }
                         address 10.0.0.1:7001; options { cpu-mask 3; } }
              on beta { volume 0 { device /dev/drbd10; disk /dev/vg/a; meta-disk internal; } address 10.0.0.2:7001; }
            }
            resource "f f" { device /dev/drbd5; disk "/dev/my disk"; meta-disk internal; floating 10.0.0.1:7002;
              floating ipv6 [fd00::1]:7002 { device /dev/drbd6; } }
            """)
        #expect(
            loaded.dump == """
                # /tmp/t.conf
                # resource v on alpha: not ignored, not stacked
                # defined at /tmp/t.conf:1
                resource v {
                    on alpha {
                        options {
                            cpu-mask       3;
                        }
                        volume 0 {
                            disk {
                                on-io-error detach;
                            }
                            device       /dev/drbd10 minor 10;
                            disk         /dev/vg/a;
                            meta-disk    internal;
                        }
                        volume 1 {
                            device       /dev/drbd_data minor 11;
                            disk         /dev/vg/b;
                            meta-disk        /dev/vg/md;
                        }
                        address          ipv4 10.0.0.1:7001;
                    }
                    on beta {
                        volume 0 {
                            device       /dev/drbd10 minor 10;
                            disk         /dev/vg/a;
                            meta-disk    internal;
                        }
                        volume 1 {
                            device       /dev/drbd_data minor 11;
                            disk         /dev/vg/b;
                            meta-disk        /dev/vg/md;
                        }
                        address          ipv4 10.0.0.2:7001;
                    }
                }

                # resource "f f" on alpha: ignored, not stacked
                # defined at /tmp/t.conf:7
                resource "f f" {
                    floating ipv4 10.0.0.1:7002 {
                        device           /dev/drbd5 minor 5;
                        disk             "/dev/my disk";
                        meta-disk        internal;
                    }
                    floating ipv6 [fd00::1]:7002 {
                        device           /dev/drbd6 minor 6;
                        disk             "/dev/my disk";
                        meta-disk        internal;
                    }
                }


                """)
    }

    @Test("empty sections vanish, lists come last, empty strings are quoted")
    func details() throws {
        let loaded = load(
            resource(
                """
                net { shared-secret "a b"; cram-hmac-alg "sha1"; data-integrity-alg ""; } disk { }
                startup { become-primary-on alpha beta; wait-after-sb; stacked-timeouts; }
                handlers { split-brain "/bin/x"; out-of-sync "a $b; c"; } proxy { memlimit 100M; }
                """))
        let configuration = try #require(loaded.configuration)
        let text = ConfigurationDump.resources(configuration.resources, of: configuration)
        let tail = text.split(separator: "\n").drop { !$0.hasPrefix("    net") }.joined(separator: "\n")
        #expect(
            tail == """
                    net {
                        shared-secret    "a b";
                        cram-hmac-alg    sha1;
                        data-integrity-alg  "";
                    }
                    startup {
                        wait-after-sb    yes;
                        stacked-timeouts;
                        become-primary-on alpha beta;
                    }
                    proxy {
                        memlimit         100M;
                    }
                    handlers {
                        split-brain      /bin/x;
                        out-of-sync      "a $b; c";
                    }
                }
                """)
    }

    @Test("what dump prints is read again with the same meaning")
    func roundTrip() {
        let first = load(
            Self.old
                + "\nresource \"net\" { \(twoHosts.replacing("sda7", with: "sdz"))"
                .replacing("drbd1", with: "drbd9").replacing(":7789", with: ":7999")
                + " net { shared-secret \"on\"; } }")
        #expect(first.errors == [])
        let second = load(first.dump)
        #expect(second.errors == [])
        #expect(
            second.dump.split(separator: "\n").filter { !$0.hasPrefix("#") }
                == first.dump.split(separator: "\n").filter { !$0.hasPrefix("#") })
    }
}
