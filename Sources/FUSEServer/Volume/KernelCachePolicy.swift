internal import EngineKit
package import FUSELayout

/// How long the kernel may believe what a reply tells it.
///
/// This one is for a host that has the volume to itself: nothing changes behind the kernel's back, so everything may be
/// kept for as long as the protocol can say. Where other hosts change the volume, a subclass answers by the levels of
/// the locks that are held when the reply is written. Spec: fuse 19, 20.
package class KernelCachePolicy<Node: FileSystemNode> {
    /// Long enough to be for ever, short enough for every kernel. Spec: fuse 19.
    package static var unlimited: FUSETimeout { FUSETimeout(seconds: 3600) }

    package init() {}

    /// Other hosts change the volume.
    package var isShared: Bool { false }

    /// Attributes of `node`.
    package func attributesTimeout(of node: Node) -> FUSETimeout { Self.unlimited }

    /// That `parent` has a name that leads to `child`.
    package func nameTimeout(of child: Node, in parent: Node) -> FUSETimeout { Self.unlimited }

    /// That `parent` does not have a name; nil: the kernel must not keep that.
    package func missingNameTimeout(in parent: Node) -> FUSETimeout? { Self.unlimited }

    /// Whether the listing of `directory` may be kept.
    package func mayKeepListing(of directory: Node) -> Bool { true }

    /// Whether a listing may hand out `child` with its attributes.
    package func mayListWithAttributes(_ child: Node) -> Bool { true }
}
