/// Why a tokenizer could not be read: which file, which part of it, and what to try.
public struct TokenizerError: Error, CustomStringConvertible, Sendable {
    /// The file or folder at fault, or the name of another source such as a GGUF vocabulary.
    public let source: String
    public let message: String

    package init(_ source: String, _ message: String) {
        self.source = source
        self.message = message
    }

    public var description: String { "\(source): \(message)" }
}
