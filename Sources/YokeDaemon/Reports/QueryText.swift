package import DRBDLayout
internal import Replication

/// The answers of one line: role, cstate, dstate, get-gi, show-gi, sh-status. Spec: drbd-config-and-tools 12.1, 12.4.
package enum QueryText {
    package static func role(_ volume: VolumeReport) -> String {
        volume.isUnconfigured ? "Unconfigured" : "\(volume.snapshot.state.role.name)/\(volume.snapshot.state.peer.name)"
    }

    package static func connectionState(_ volume: VolumeReport) -> String {
        volume.isUnconfigured ? "Unconfigured" : volume.snapshot.state.conn.name
    }

    package static func diskState(_ volume: VolumeReport) -> String {
        volume.isUnconfigured ? "Unconfigured" : "\(volume.snapshot.state.disk.name)/\(volume.snapshot.state.pdsk.name)"
    }

    /// `C:B:H0:H1:c:u:p:n:f:o:r`.
    package static func generationIdentifiers(uuids: [UInt64], flags: MetadataFlags) -> String {
        let numbers = (0..<4).map { TextColumns.hexadecimal($0 < uuids.count ? uuids[$0] : 0) }
        return (numbers + flagBits(flags).map { $0 ? "1" : "0" }).joined(separator: ":")
    }

    /// CONSISTENT, WAS_UP_TO_DATE, PRIMARY_IND, CONNECTED_IND, FULL_SYNC, PEER_OUT_DATED, CRASHED_PRIMARY.
    static func flagBits(_ flags: MetadataFlags) -> [Bool] {
        [0x01, 0x10, 0x02, 0x04, 0x08, 0x20, 0x40].map { UInt32(flags.rawValue) & $0 != 0 }
    }

    /// The drawing of `show-gi` with the words for the flags.
    package static func explainedGenerationIdentifiers(uuids: [UInt64], flags: MetadataFlags) -> String {
        let bits = flagBits(flags)
        var words: [String] = []
        if bits[6] { words.append("Crashed Primary") }
        words.append(bits[2] ? "Primary" : "Secondary")
        words.append(bits[3] ? "Connected" : "StandAlone")
        if bits[0] { words.append(bits[1] ? "UpToDate" : "Outdated") } else { words.append("Inconsistent") }
        if bits[4] { words.append("need full sync") }
        if bits[5] { words.append("peer Outdated") }
        return """

                   +--<  Current data generation UUID  >-
                   |               +--<  Bitmap's base data generation UUID  >-
                   |               |                 +--<  younger history UUID  >-
                   |               |                 |         +-<  older history  >-
                   V               V                 V         V
            \(generationIdentifiers(uuids: uuids, flags: flags))
                                                                                ^ ^ ^ ^ ^ ^ ^
                                                  -<  Data consistency flag  >--+ | | | | | |
                                         -<  Data was/is currently up-to-date  >--+ | | | | |
                                              -<  Node was/is currently primary  >--+ | | | |
                                              -<  Node was/is currently connected  >--+ | | |
                     -<  Node was in the progress of setting all bits in the bitmap  >--+ | |
                                    -<  The peer's disk was out-dated or inconsistent  >--+ |
                  -<  This node was a crashed primary, and has not seen its peer since   >--+

            flags: \(words.joined(separator: ", "))
            meta-data: \(UInt32(flags.rawValue) & 0x80 != 0 ? "clean" : "need apply-al")

            """
    }

    /// The block of shell variables of one minor.
    package static func shellStatus(_ volume: VolumeReport, of report: ResourceReport) -> String {
        let state = volume.snapshot.state
        var lines = ["_minor=\(volume.minor)", "_res_name=\(report.name)", "_volume=\(volume.snapshot.volume)"]
        lines += ["_known=\(volume.isUnconfigured ? "Unconfigured" : "Configured")", ""]
        if volume.isUnconfigured {
            lines += ["_cstate=Unconfigured", "_role=", "_peer=", "_disk=", "_pdsk=", ""]
        } else {
            lines += ["_cstate=\(state.conn.name)", "_role=\(state.role.name)", "_peer=\(state.peer.name)"]
            lines += ["_disk=\(state.disk.name)", "_pdsk=\(state.pdsk.name)", ""]
        }
        lines += ["_flags_susp=\(state.isSuspended ? "1" : "")", "_flags_aftr_isp=\(state.aftrIsp ? "1" : "")"]
        lines += ["_flags_peer_isp=\(state.peerIsp ? "1" : "")", "_flags_user_isp=\(state.userIsp ? "1" : "")", ""]
        var percent = ""
        if let progress = volume.snapshot.progress, state.isSyncing {
            let perMille = ProcText.perMille(progress)
            percent = "\(perMille / 10).\(perMille % 10)"
        }
        lines += ["_resynced_percent=\(percent)", "", "_sh_status_process", "", ""]
        return lines.joined(separator: "\n") + "\n"
    }

    /// The block of a minor that nobody knows.
    package static func unknownShellStatus(minor: Int) -> String {
        let lines = [
            "_minor=\(minor)", "_res_name=", "_volume=", "_known=Unconfigured", "", "_cstate=Unconfigured", "_role=",
            "_peer=", "_disk=", "_pdsk=", "", "_flags_susp=", "_flags_aftr_isp=", "_flags_peer_isp=",
            "_flags_user_isp=", "", "_resynced_percent=", "", "_sh_status_process", "", "",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
