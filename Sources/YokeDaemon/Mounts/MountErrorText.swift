internal import EngineKit
internal import FileSystem
internal import Glibc

extension MountError {
    /// What happened, why, and what to do, for a person.
    func text(source: String) -> String {
        switch self {
        case .notAVolume:
            "\(source) holds no OCFS2 volume: make one with mkfs.ocfs2, or check the name"
        case .badSuperblock(let reason):
            "the superblock of \(source) is damaged (\(reason)): fsck.ocfs2 -r restores a backup"
        case .unsupportedFeatures(let names):
            "\(source) has features that are not served: \(names.joined(separator: ", ")); "
                + "tunefs.ocfs2 can take some of them away"
        case .readOnlyFeatures(let names):
            "\(source) has features that can be read only: \(names.joined(separator: ", ")); mount it with -o ro"
        case .deviceTooSmall(let volume, let device):
            "\(source) has \(device) bytes, but the volume on it needs \(volume): the device was cut"
        case .corrupt(let corruption):
            "\(source) is damaged at block \(corruption.block) (\(corruption.what)): run fsck.ocfs2 \(source)"
        case .sectorTooLarge(let sector, let block):
            "\(source) writes units of \(sector) bytes, but the volume has blocks of \(block): make it with -b \(sector)"
        case .noFreeSlot:
            "every slot of \(source) is in use: unmount it elsewhere, or add slots with tunefs.ocfs2 -N"
        case .inUse(let node):
            "\(source) is mounted by node \(node), which writes signs of life to it, and this host is in no cluster: make "
                + "it a node in /etc/ocfs2/cluster.conf, then yoke o2cb register-cluster; or unmount it there first"
        case .dirtyJournal(let slot):
            "the journal of slot \(slot) must be replayed, and \(source) cannot be written: mount it writable once"
        case .device(let error):
            "\(source) cannot be read: \(String(cString: strerror(error.errno)))"
        case .journal(let error):
            "the journal of \(source) cannot be used (\(error)): run fsck.ocfs2 \(source)"
        case .failed(let error):
            "\(source) cannot be mounted: \(error)"
        }
    }
}
