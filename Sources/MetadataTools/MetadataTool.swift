/// `drbdmeta [--force] [-v...] DEVICE FORMAT [FORMAT ARGS] COMMAND [ARGS]`. Spec: drbd-config-and-tools 14.
///
/// Works on the device itself, while no daemon holds it. Differs from the classic tool on purpose in one thing: plain
/// files are devices here and need no `--force`.
package struct MetadataTool {
    /// What the tool must ask the world.
    package struct Environment {
        /// Whether a running daemon has this minor configured.
        package var isMinorConfigured: (Int) -> Bool
        /// The path to open for a path of the configuration (paths lie below the root of the daemon).
        package var resolvePath: (String) -> String
        /// 64 random bits.
        package var random: () -> UInt64
        /// Head of a dump: date and host, as `2026-11-21 09:26:18 +0000 [1795253178]` and `vm`.
        package var dateText: () -> String
        package var hostName: () -> String
        /// Content of a file (a dump to be restored); nil if it cannot be read.
        package var readFile: (String) -> [UInt8]?

        package init(
            isMinorConfigured: @escaping (Int) -> Bool, resolvePath: @escaping (String) -> String,
            random: @escaping () -> UInt64, dateText: @escaping () -> String, hostName: @escaping () -> String,
            readFile: @escaping (String) -> [UInt8]?
        ) {
            self.isMinorConfigured = isMinorConfigured
            self.resolvePath = resolvePath
            self.random = random
            self.dateText = dateText
            self.hostName = hostName
            self.readFile = readFile
        }
    }

    /// Why a command ended early: text for standard error and the exit status.
    struct Failure: Error, Equatable {
        var text: String
        var exitStatus: Int32

        init(_ text: String, exitStatus: Int32 = 1) {
            self.text = text
            self.exitStatus = exitStatus
        }
    }

    let console: any Console
    let environment: Environment

    package init(console: any Console, environment: Environment) {
        self.console = console
        self.environment = environment
    }

    /// Runs one command line (without the program's name) and returns its exit status: 0; 1 failed, "no" answered or
    /// cancelled; 5 outdate of an inconsistent device; 10 bad option values; 20 usage, in use; 40 refused because of
    /// existing data.
    package func run(_ arguments: [String]) -> Int32 {
        do throws(Failure) {
            let line = try MetadataCommandLine(parsing: arguments)
            return try execute(line)
        } catch {
            if !error.text.isEmpty { console.writeError(error.text + "\n") }
            return error.exitStatus
        }
    }

    private func execute(_ line: MetadataCommandLine) throws(Failure) -> Int32 {
        if line.command == .verifyDump { return try verifyDump(line) }
        if let minor = line.minor, environment.isMinorConfigured(minor) {
            guard line.command.isReading else {
                throw Failure("Device '\(minor)' is configured!", exitStatus: 20)
            }
            console.writeOutput("# Output might be stale, since minor \(minor) is attached\n")
        }
        let area = try openArea(line)
        switch line.command {
        case .createMetadata: return try createMetadata(line, area)
        case .wipe: return try wipe(line, area)
        case .dump: return try dump(line, area)
        case .restore: return try restore(line, area)
        case .verifyDump: return try verifyDump(line)
        case .applyActivityLog: return try applyActivityLog(line, area)
        case .showGenerations: return try showGenerations(area, withDrawing: true)
        case .getGenerations: return try showGenerations(area, withDrawing: false)
        case .setGenerations: return try setGenerations(line, area)
        case .outdate: return try outdate(area)
        case .invalidate: return try invalidate(area)
        case .diskState: return try showDiskState(area)
        case .checkResize: return try checkResize(area)
        case .readDeviceUUID: return try readDeviceUUID(area)
        case .writeDeviceUUID: return try writeDeviceUUID(line, area)
        }
    }

    private func openArea(_ line: MetadataCommandLine) throws(Failure) -> MetadataArea {
        let path = environment.resolvePath(line.metadataPath)
        do throws(BlockFile.Failure) {
            let file = try BlockFile(path: path, readOnly: line.command.isReading)
            return MetadataArea(file: file, placement: line.place)
        } catch {
            throw Failure(error.text, exitStatus: 20)
        }
    }
}
