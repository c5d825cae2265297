internal import OCFS2Layout

/// Looks for a run of free bits in one bitmap, with a second one of bits that are spoken for.
struct RunSearch {
    var bitmap: BitmapView
    /// Bits that are set here count as used.
    var overlay: BitmapView?
    /// Bits that may be handed out.
    var range: Range<Int>

    /// A run of `minimum` to `wanted` bits: behind `near` if that much is free there, else the first one that is long
    /// enough from `hint` on and then from the start, else the longest.
    func run(wanted: Int, minimum: Int, near: Int?, hint: Int) -> Range<Int>? {
        if let near, let run = run(at: near, wanted: wanted), run.count >= minimum, run.count * 4 >= wanted {
            return run
        }
        let start = min(max(near ?? hint, range.lowerBound), range.upperBound)
        let behind = longest(wanted, minimum, start..<range.upperBound)
        if let behind, behind.count == wanted { return behind }
        let before = longest(wanted, minimum, range.lowerBound..<start)
        guard let behind else { return before }
        guard let before, before.count > behind.count else { return behind }
        return before
    }

    private func longest(_ wanted: Int, _ minimum: Int, _ part: Range<Int>) -> Range<Int>? {
        part.isEmpty ? nil : bitmap.findRun(wanted: wanted, minimum: minimum, in: part, committed: overlay)
    }

    private func run(at bit: Int, wanted: Int) -> Range<Int>? {
        guard range.contains(bit) else { return nil }
        let limit = min(range.upperBound, bit + wanted)
        let end = bitmap.firstUsed(in: bit..<limit, with: overlay) ?? limit
        return end > bit ? bit..<end : nil
    }
}
