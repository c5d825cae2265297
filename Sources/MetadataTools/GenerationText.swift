/// Generation UUIDs and flags as `get-gi` and `show-gi` print them. Spec: drbd-config-and-tools 12.1.
package struct GenerationText {
    /// Current, bitmap, younger history, older history.
    package var uuids: [UInt64]
    /// Consistent, was up to date, primary, connected, full sync, peer outdated, crashed primary.
    package var flags: [Bool]

    package init(uuids: [UInt64], flags: [Bool]) {
        self.uuids = uuids
        self.flags = flags
    }

    /// `C:B:H0:H1:c:u:p:n:f:o:r`
    package var line: String {
        (uuids.map(Self.hexadecimal) + flags.map { $0 ? "1" : "0" }).joined(separator: ":")
    }

    /// The line with the explaining drawing around it, as `show-gi` prints it, starting with an empty line.
    package var drawing: String {
        """

               +--<  Current data generation UUID  >-
               |               +--<  Bitmap's base data generation UUID  >-
               |               |                 +--<  younger history UUID  >-
               |               |                 |         +-<  older history  >-
               V               V                 V         V
        \(line)
                                                                            ^ ^ ^ ^ ^ ^ ^
                                              -<  Data consistency flag  >--+ | | | | | |
                                     -<  Data was/is currently up-to-date  >--+ | | | | |
                                          -<  Node was/is currently primary  >--+ | | | |
                                          -<  Node was/is currently connected  >--+ | | |
                 -<  Node was in the progress of setting all bits in the bitmap  >--+ | |
                                -<  The peer's disk was out-dated or inconsistent  >--+ |
              -<  This node was a crashed primary, and has not seen its peer since   >--+

        flags: \(flagWords)

        """
    }

    private var flagWords: String {
        let disk = !flags[0] ? "Inconsistent" : flags[1] ? "UpToDate" : "Outdated"
        let role = (flags[6] ? "crashed " : "") + (flags[2] ? "Primary" : "Secondary")
        var words = [role, flags[3] ? "Connected" : "StandAlone", disk]
        if flags[4] { words.append("need full sync") }
        if flags[5] { words.append("peer Outdated") }
        return words.joined(separator: ", ")
    }

    /// 16 upper-case digits.
    package static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
