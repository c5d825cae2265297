import Testing
import YokeDaemon

@Suite("mounts that the daemon keeps")
struct StandingMountTests {
    @Test("lines of fstab with the option are taken, others left alone")
    func lines() {
        let fstab = """
            # x-yoke.auto in a comment
            /dev/sda1 / ext4 defaults 0 1
            /dev/drbd0  /srv/web  ocfs2  noauto,x-yoke.auto,noatime  0 0
            /dev/drbd1\t/srv/other\tocfs2\tnoauto,noatime\t0 0
            r1 /srv/my\\040files ocfs2 x-yoke.auto
            broken
            """
        #expect(
            StandingMount.all(in: fstab) == [
                StandingMount(source: "/dev/drbd0", directory: "/srv/web", options: "noauto,x-yoke.auto,noatime"),
                StandingMount(source: "r1", directory: "/srv/my files", options: "x-yoke.auto"),
            ])
    }
}
