/// Why a volume cannot be mounted as a member of its cluster, for a person.
struct ClusterFailure: Error, Equatable {
    var text: String
}
