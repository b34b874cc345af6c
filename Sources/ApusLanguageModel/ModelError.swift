/// Why a model cannot be described or loaded: what, where, and what to try.
public struct ModelError: Error, CustomStringConvertible, Equatable, Sendable {
    public let description: String

    package init(_ description: String) { self.description = description }

    /// What is said where NaN or infinity comes out of a model: nothing can be chosen by it.
    package static let notNumbers = ModelError(
        "the model's scores are not numbers. Its weights may be damaged, or too large for their type: see --torch_dtype float32."
    )

    /// What is said where an answer can neither go on nor end.
    package static let nothingAllowed = ModelError(
        "no token may come next: all of them are forbidden, as by bad_words_ids or suppress_tokens")
}
