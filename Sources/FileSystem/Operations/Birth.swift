import Journal
import OCFS2Layout

/// A new inode before its transaction: owner, mode and content, and what they take.
struct Birth {
    let directory: Inode
    let content: NewContent
    var mode: UInt16
    let uid: UInt32
    let gid: UInt32

    var volume: MountedVolume { directory.volume }

    init(_ new: NewNode, _ content: NewContent, in directory: Inode) async throws(FileSystemError) {
        self.directory = directory
        self.content = content
        uid = new.caller.uid
        var mode = new.mode & FileMode.permissionMask
        if directory.attributes.mode & FileMode.setGroupID != 0 {
            gid = directory.attributes.gid
            if content.type == .directory {
                mode |= FileMode.setGroupID
            } else if mode & (FileMode.setGroupID | FileMode.groupExecute)
                == FileMode.setGroupID | FileMode.groupExecute,
                !new.caller.isMember(of: gid), !new.caller.isPrivileged
            {
                // Nobody becomes a member of the group by making a program in the directory.
                mode &= ~FileMode.setGroupID
            }
        } else {
            gid = new.caller.gid
        }
        if content.type == .symlink {
            mode = 0o777
        } else {
            mode &= ~new.umask
        }
        self.mode = mode | content.type.modeBits
    }

    var needs: SpaceNeeds {
        SpaceNeeds(
            inodes: 1, metadataBlocks: content.needsIndex(volume) ? 1 : 0,
            clusters: content.needsCluster(volume) ? 1 : 0)
    }

    var credits: Int { Credits.suballocation + Credits.inodeUpdate + content.credits(volume) }

    /// Makes the inode; one reference. The caller gives it a name.
    func carryOut(_ reservation: Reservation, _ handle: JournalHandle) async throws(FileSystemError) -> Inode {
        let claimed = try await reservation.claimInode(near: directory, handle)
        let inode = try await volume.makeInode(
            claimed, mode: mode, uid: uid, gid: gid, linkCount: content.type == .directory ? 2 : 1, handle)
        do throws(FileSystemError) {
            try await content.write(to: inode, parent: directory.number, reservation, handle)
            return inode
        } catch {
            inode.release()
            throw error
        }
    }
}
