/// The configurations of two howtos that generations of admins have pasted, byte for byte as printed.
enum Howto {
    /// "DRBD and OCFS2 on CentOS 5": closing braces and addresses got lost in print.
    static let wiki = """
        global { usage-count yes; }

        # you may want to lower the rate, if you're not using a dedicated GBit link\u{20}
        # between both peers; 20M worked well on EC2
        common { syncer { rate 100M; } }

        resource res0 {
          protocol C;
          startup {
            wfc-timeout 20;
            degr-wfc-timeout 10;
            # we will keep this commented until tested successfully:
            # become-primary-on both;\u{20}
          net {
            # the encryption part can be omitted when using a dedicated link for DRBD only:
            # cram-hmac-alg sha1;
            # shared-secret anysecrethere123;

            after-sb-0pri discard-zero-changes;
            after-sb-1pri discard-secondary;
            after-sb-2pri disconnect;
          on node1 {
            device /dev/drbd1;
            disk /dev/sdf1;
            meta-disk internal;
          on node2 {
            device /dev/drbd1;
            disk /dev/sdf1;
            meta-disk internal;
          disk {
            fencing dont-care;
        """

    /// "Dual-primary DRBD with OCFS2" on Fedora 14: `r0.res`, in 8.3 spelling, complete.
    static let fedora = """
        resource r0 {
        \tmeta-disk internal;
        \tdevice /dev/drbd0;
        \tdisk /dev/loop7;

        \tsyncer { rate 1000M; }
                net {
                        allow-two-primaries;
                        after-sb-0pri discard-zero-changes;
                        after-sb-1pri discard-secondary;
                        after-sb-2pri disconnect;
                }
        \tstartup { become-primary-on both; }

        \ton server1 { address 10.181.76.0:7789; }
        \ton server2 { address 10.181.76.1:7789; }
        }
        """

    /// Its `global_common.conf`.
    static let fedoraGlobal = """
        global {
        \tusage-count no;
        }
        """
}
