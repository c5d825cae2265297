/// A mount that this daemon brings up by itself whenever it starts, and brings back when it had to be given up: a line of
/// fstab(5) of type ocfs2 with the option `x-yoke.auto`.
///
///     /dev/drbd0  /srv/web  ocfs2  noauto,x-yoke.auto,noatime  0 0
///
/// With `noauto` nobody else mounts it at boot, before there is a volume; mount(8) knows the line as any other.
package struct StandingMount: Equatable, Sendable {
    package static let option = "x-yoke.auto"

    package var source: String
    package var directory: String
    /// As behind `-o`.
    package var options: String

    package init(source: String, directory: String, options: String) {
        self.source = source
        self.directory = directory
        self.options = options
    }

    /// The lines of an fstab that are such mounts. Anything else is somebody else's.
    package static func all(in fstab: String) -> [StandingMount] {
        fstab.split(separator: "\n").compactMap { line in
            let fields = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            guard fields.count >= 4, !fields[0].hasPrefix("#"), fields[2] == "ocfs2",
                fields[3].split(separator: ",").contains(Substring(option))
            else { return nil }
            return StandingMount(source: unescaped(fields[0]), directory: unescaped(fields[1]), options: fields[3])
        }
    }

    /// Spaces and the like are written as three octal digits behind a backslash.
    private static func unescaped(_ field: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(field.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
