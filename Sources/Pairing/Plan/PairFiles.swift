package import Configuration

/// The texts of the files that a plan makes. Pure: what is there before comes in, what shall be there goes out.
package enum PairFiles {
    package static let mainFile = "/etc/drbd.conf"
    package static let fstab = "/etc/fstab"

    package static func resourceFile(_ resource: String) -> String { "/etc/drbd.d/\(resource).res" }
    package static func image(_ resource: String) -> String { "/var/lib/yoke/\(resource).img" }

    /// `/etc/drbd.d/NAME.res`. Holds the secret: not for everybody to read.
    package static func resource(_ plan: PairPlan, sharedSecret: String) -> String {
        let hosts = plan.hosts.map { host in
            """
                on \(host.node) {
                    address \(host.address):\(plan.port);
                    disk    \(host.disk.path);
                }

            """
        }.joined()
        return """
            # Made by yoke init. The same on both hosts.
            resource \(plan.resource) {
                device    \(plan.device);
                meta-disk internal;
                net {
                    protocol C;
                    allow-two-primaries;
                    cram-hmac-alg sha256;
                    shared-secret "\(sharedSecret)";
                    # Only one side wrote while they were apart: it wins. Both did: an administrator decides.
                    after-sb-0pri discard-zero-changes;
                    after-sb-1pri discard-secondary;
                    after-sb-2pri disconnect;
                }
                startup {
                    become-primary-on both;
                    # A host that had lost the other one before it stopped has the newest data: it need not wait for long.
                    degr-wfc-timeout 60;
                }
            \(hosts)}

            """
    }

    // MARK: drbd.conf

    private static let include = "include \"drbd.d/*.res\";"

    /// The main file with the line that reads the resources; nil if it has it.
    package static func main(_ existing: String?) -> String? {
        guard let existing else {
            return "# Resources are in drbd.d, one file each.\n\(include)\n"
        }
        guard !includesResources(existing) else { return nil }
        return existing + (existing.isEmpty || existing.hasSuffix("\n") ? "" : "\n") + "\(include)\n"
    }

    private static func includesResources(_ text: String) -> Bool {
        text.split(separator: "\n").contains { line in
            let code = line.prefix { $0 != "#" }
            let words = code.split { $0 == " " || $0 == "\t" || $0 == ";" || $0 == "\"" }
            return words.count >= 2 && words[0] == "include"
                && ["drbd.d/*.res", "/etc/drbd.d/*.res", "./drbd.d/*.res"].contains(words[1])
        }
    }

    // MARK: The cluster

    /// cluster.conf of a new cluster.
    package static func cluster(_ plan: PairPlan) -> String {
        var cluster = Cluster(name: plan.cluster)
        for (number, host) in plan.hosts.enumerated() {
            cluster.add(ClusterNode(name: host.node, number: number, address: host.address))
        }
        return ClusterFile(clusters: [cluster]).text
    }

    /// The service's settings with the cluster to start and its timers. Other lines stay.
    package static func service(_ plan: PairPlan, _ existing: ServiceSettings) -> String {
        var settings = existing
        settings.set("O2CB_ENABLED", to: "true")
        settings.set("O2CB_BOOTCLUSTER", to: plan.cluster)
        settings.set(plan.timers.timers)
        return settings.text
    }

    // MARK: fstab

    package static func fstabLine(_ plan: PairPlan) -> String {
        "\(plan.device)  \(plan.mountPoint)  ocfs2  \(PairPlan.mountOptions)  0 0\n"
    }

    package static func fstab(_ plan: PairPlan, _ existing: String?) -> String {
        let text = existing ?? ""
        return text + (text.isEmpty || text.hasSuffix("\n") ? "" : "\n") + fstabLine(plan)
    }

    /// The line of an fstab that has `directory` as its place; nil if none has.
    package static func fstabLine(for directory: String, in text: String) -> String? {
        text.split(separator: "\n").first { line in
            let fields = line.split { $0 == " " || $0 == "\t" }
            return fields.count >= 2 && !fields[0].hasPrefix("#") && fields[1] == directory
        }.map(String.init)
    }
}
