/// Where a tool writes and whom it asks.
package struct ToolStreams {
    package var output: (String) -> Void
    package var error: (String) -> Void
    /// A line of the answer to a question, nil at the end of the input.
    package var readAnswer: () -> String?

    package init(
        output: @escaping (String) -> Void, error: @escaping (String) -> Void, readAnswer: @escaping () -> String?
    ) {
        self.output = output
        self.error = error
        self.readAnswer = readAnswer
    }
}
