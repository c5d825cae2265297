import Configuration
import Glibc
import Testing

/// The real `o2cb` of ocfs2-tools as judge of what a file says. Spec: o2cb 2.1.
@Suite struct ClusterJudgeTests {
    static let path = "/usr/sbin/o2cb"
    static let isInstalled = access(path, X_OK) == 0

    static let cluster = "cluster:\n\tname = a\n\tnode_count = 1\n"
    static let node = "node:\n\tcluster = a\n\tname = n\n\tnumber = 3\n\tip_address = 1.2.3.4\n\tip_port = 7\n"

    /// Every row of the table, those that the real parser accepts and those that it refuses.
    static let files = [
        cluster, cluster + node, node + cluster, "cluster: \t\n\tname=a\n node_count=1\n", "Cluster:\n\tname = x\n",
        cluster + "\theartbeat_mode = GLOBAL\n", cluster + " \t heartbeat_mode = global \t\n",
        cluster + node.replacing("name = n", with: "name = a b"), cluster + "# c\n\tnode_count = 7\n",
        cluster + "foo:\n\tx = 1\n", cluster + "\tfoo = 1\n\tnode_count = 2", "#c\n\n  \n" + cluster + "\n\n" + node,
        cluster + node + node.replacing("= n", with: "= m"), cluster + node.replacing("= 3", with: "= 300"),
        cluster + node.replacing("= 7", with: "= 70000"), cluster + node.replacing("cluster = a", with: "cluster = b"),
        cluster + "heartbeat:\n\tcluster = a\n\tregion = U1\n", "cluster:\n\tname = a # x\n\tnode_count = 1\n",
        "cluster:\n\tname = a\\\n b\\c\n\tnode_count = 1\n", "", "\n",
        cluster + node.replacing("= n", with: "= \t n \t"),
        // Refused: by both, or only by the real one.
        "cluster\n", "cluster:\n\tname = a\n\tnode_count = x\n", "cluster:\n\tname = a\n", cluster + "\tbad line\n",
        cluster + "\theartbeat_mode = x\n", cluster + cluster, cluster + node + node, "\tname = a\n",
        cluster + node.replacing("1.2.3.4", with: "1.2.3"), cluster + node.replacing("1.2.3.4", with: "01.2.3.4"),
        cluster + node.replacing("= 3", with: "= -3"), cluster + node.replacing("= 3", with: "= 99999999999999999999"),
        cluster + node.replacing("= n\n", with: "=\n"), cluster + "heartbeat:\n\tcluster = a\n", "cluster: a\n",
        cluster.replacing("\n", with: "\r\n"), cluster + "\t# c\n", cluster + "\n\tnode_count = 2\n", "cluster :\n",
        cluster.replacing("\t", with: ""), cluster.replacing("= 1", with: "= 1 # y"),
    ]

    @Test("a file that the real parser accepts means the same", .enabled(if: isInstalled), arguments: files)
    func sameMeaning(text: String) throws {
        var template = Array("/tmp/yoke-o2cb-XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        defer {
            unlink("\(directory)/c")
            rmdir(directory)
        }
        let handle = try #require(fopen("\(directory)/c", "w"))
        fputs(text, handle)
        fclose(handle)
        let judge = "\(Self.path) --config-file=\(directory)/c"
        let status = try ClassicProgram.shell("\(judge) list-clusters >/dev/null 2>&1; echo $?")
        let result = ClusterFileReader.load(path: "\(directory)/c", source: FileConfigurationSource())
        guard status == "0\n" else { return }
        let file = try #require(result.file, "\(result.errors.map(\.text))")
        #expect(try ClassicProgram.shell("\(judge) list-clusters") == file.clusters.map { $0.name + "\n" }.joined())
        for cluster in file.clusters where !cluster.name.contains("\n") {
            let name = "'\(cluster.name)'"
            #expect(
                try ClassicProgram.shell("\(judge) list-cluster --oneline \(name)") == cluster.list(isOneLine: true))
            #expect(try ClassicProgram.shell("\(judge) list-cluster \(name)") == cluster.list(isOneLine: false))
        }
    }
}
