/// Where a person types.
package protocol LineInput {
    /// The next line without its end, which may itself hold lines that were pasted; nil when there are no more.
    func line(prompt: String) -> String?

    /// Whether the person asked to stop what is under way, since the last time this was looked at.
    func takeInterruption() -> Bool
}
