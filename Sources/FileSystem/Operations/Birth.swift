import Journal
import OCFS2Layout

/// A new inode before its transaction: owner, mode, content and attributes, and what they take.
struct Birth {
    let directory: Inode
    let content: NewContent
    let mode: UInt16
    let uid: UInt32
    let gid: UInt32
    let xattrs: NewXattrs

    var volume: MountedVolume { directory.volume }

    /// The caller holds the directory's lock.
    init(_ new: NewNode, _ content: NewContent, in directory: Inode) async throws(FileSystemError) {
        self.directory = directory
        self.content = content
        uid = new.caller.uid
        let isGroupInherited = directory.attributes.mode & FileMode.setGroupID != 0
        gid = isGroupInherited ? directory.attributes.gid : new.caller.gid
        var mode = new.mode & FileMode.permissionMask
        if isGroupInherited { mode = Self.inheritSetGroupID(mode, content.type, gid, new.caller) }
        var xattrs = NewXattrs(directory.volume)
        if content.type == .symlink {
            mode = 0o777
        } else {
            mode = try await Self.inheritACL(mode, new.umask, content.type, from: directory, &xattrs)
        }
        self.mode = mode | content.type.modeBits
        if directory.volume.features.incompatible.contains(.xattr) {
            for (name, value) in new.securityAttributes {
                xattrs.add(try XattrKey(name, directory.volume), value)
            }
        }
        guard xattrs.fitsBlock else { throw .noSpace }
        self.xattrs = xattrs
    }

    /// In a directory that passes its group on: directories pass it on too; nobody becomes a member of the group by
    /// making a program.
    private static func inheritSetGroupID(
        _ mode: UInt16, _ type: FileType, _ group: UInt32, _ caller: Caller
    ) -> UInt16 {
        if type == .directory { return mode | FileMode.setGroupID }
        let isProgram = mode & FileMode.groupExecute != 0
        return isProgram && !caller.isMember(of: group) && !caller.isPrivileged ? mode & ~FileMode.setGroupID : mode
    }

    /// The directory's default ACL takes the place of the umask. Spec: ocfs2-disk-2 16.8.
    private static func inheritACL(
        _ mode: UInt16, _ umask: UInt16, _ type: FileType, from directory: Inode, _ xattrs: inout NewXattrs
    ) async throws(FileSystemError) -> UInt16 {
        let set = XattrSet(directory)
        guard directory.volume.options.acl, let inherited = try await set.accessControlList(set.defaultKey) else {
            return mode & ~umask
        }
        if type == .directory { xattrs.add(set.defaultKey, inherited.stored) }
        var access = inherited
        let narrowed = access.narrow(to: mode)
        if !access.isMinimal { xattrs.add(set.accessKey, access.stored) }
        return narrowed
    }

    var needs: SpaceNeeds {
        var needs = xattrs.needs.space
        needs.inodes = 1
        if content.needsIndex(volume) { needs.metadataBlocks += 1 }
        if content.needsCluster(volume) { needs.clusters += 1 }
        return needs
    }

    var credits: Int {
        Credits.suballocation + Credits.inodeUpdate + content.credits(volume) + xattrs.needs.credits
    }

    /// Makes the inode of the claimed block; one reference. The caller gives it a name.
    func carryOut(
        _ claimed: ClaimedBlock, _ reservation: Reservation, _ handle: JournalHandle
    ) async throws(FileSystemError) -> Inode {
        let inode = volume.makeInode(
            claimed, mode: mode, uid: uid, gid: gid, linkCount: content.type == .directory ? 2 : 1, handle)
        do throws(FileSystemError) {
            try await content.write(to: inode, parent: directory.number, reservation, handle)
            try await xattrs.store(in: inode, reservation, handle)
            return inode
        } catch {
            inode.release()
            throw error
        }
    }
}
