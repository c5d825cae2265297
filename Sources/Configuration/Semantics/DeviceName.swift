/// The rules of device names and minors. Spec: drbd-config-and-tools 4.7, 9.
enum DeviceName {
    /// The full name and the minor; or what is wrong.
    static func resolve(
        _ device: Located<DeviceSyntax>
    ) -> Result<(name: String?, minor: Int), DeviceNameProblem> {
        guard let written = device.value.name else {
            guard let minor = device.value.minor else { return .failure(.init(diagnostics: [noMinor(device)])) }
            return .success((nil, minor))
        }
        let name = written.hasPrefix("drbd") ? "/dev/" + written : written
        guard name.hasPrefix("/dev/drbd") else {
            var problems = [wrongStart(device)]
            if device.value.minor == nil { problems.append(noMinor(device)) }
            return .failure(.init(diagnostics: problems))
        }
        let rest = name.dropFirst("/dev/drbd".count)
        let isNumber = !rest.isEmpty && rest.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber else {
            guard let minor = device.value.minor else { return .failure(.init(diagnostics: [noMinor(device)])) }
            guard rest.hasPrefix("_") else { return .failure(.init(diagnostics: [mismatch(device, minor: minor)])) }
            return .success((name, minor))
        }
        guard let number = Int(rest), (0...1_048_575).contains(number) else {
            return .failure(.init(diagnostics: [outOfRange(device, String(rest))]))
        }
        if let minor = device.value.minor, minor != number {
            return .failure(.init(diagnostics: [mismatch(device, minor: minor)]))
        }
        return .success((name, number))
    }

    private static func error(_ device: Located<DeviceSyntax>, _ lines: [String]) -> Diagnostic {
        Diagnostic(
            .error, .invalidDevice, ["\(device.location.fileAndLine): \(lines[0])"] + lines.dropFirst(),
            at: device.location)
    }

    private static func wrongStart(_ device: Located<DeviceSyntax>) -> Diagnostic {
        error(
            device, ["device name must start with /dev/drbd", "\t(/dev/ is optional, but drbd is required)"])
    }

    private static func noMinor(_ device: Located<DeviceSyntax>) -> Diagnostic {
        error(device, ["no minor given nor device name contains a minor number"])
    }

    private static func outOfRange(_ device: Located<DeviceSyntax>, _ number: String) -> Diagnostic {
        error(device, ["minor \(number) => \(number) out of range [0..1048575]."])
    }

    private static func mismatch(_ device: Located<DeviceSyntax>, minor: Int) -> Diagnostic {
        error(
            device,
            [
                "explicit minor number must match with device name",
                "\tTry \"device /dev/drbd\(minor) minor \(minor);\",",
                "\tor leave off either device name or explicit minor.",
                "\tArbitrary device names must start with /dev/drbd_",
                "\tmind the '_'! (/dev/ is optional, but drbd_ is required)",
            ])
    }
}

/// What is wrong with a device.
struct DeviceNameProblem: Error {
    var diagnostics: [Diagnostic]
}
