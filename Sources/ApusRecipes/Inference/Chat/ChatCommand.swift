import Foundation

/// A line of a chat that is no question.
enum ChatCommand: Equatable {
    case exit
    case help
    case clear
    /// Sets the system prompt; without a text it is asked for.
    case system(String?)
    case multiLine
    case singleLine
    /// One word behind a slash that means nothing.
    case unknown(String)

    static let summary = """
          /bye          ends, as Ctrl-D does; Ctrl-C ends an answer
          /clear        forgets the conversation
          /system TEXT  sets a system prompt
          /multi        takes questions of several lines that end with #; /single goes back
          /help         shows this; a line that begins with a space is always a question
        """

    /// - Returns: nil for a question.
    init?(_ line: String) {
        guard line.first?.isWhitespace != true else { return nil }
        let text = line.trimmingCharacters(in: .whitespacesAndNewlines)
        let parts = text.split(maxSplits: 1, whereSeparator: \.isWhitespace)
        guard let first = parts.first else { return nil }
        let rest = parts.count > 1 ? String(parts[1]).trimmingCharacters(in: .whitespaces) : nil
        switch (first.lowercased(), rest) {
        // The words of ms-swift stand alone: a sentence may begin with one.
        case ("exit", nil), ("quit", nil), ("/bye", nil), ("/exit", nil), ("/quit", nil), ("/q", nil): self = .exit
        case ("clear", nil), ("/clear", nil), ("/new", nil), ("/reset", nil): self = .clear
        case ("/help", nil), ("/?", nil), ("/h", nil): self = .help
        case ("reset-system", nil): self = .system(nil)
        case ("/system", let text), ("/reset-system", let text): self = .system(text)
        case ("multi-line", nil), ("/multi", nil), ("/multi-line", nil): self = .multiLine
        case ("single-line", nil), ("/single", nil), ("/single-line", nil): self = .singleLine
        case (let word, nil) where Self.looksLikeCommand(word): self = .unknown(String(first))
        default: return nil
        }
    }

    private static func looksLikeCommand(_ word: String) -> Bool {
        word.hasPrefix("/") && word.count > 1
            && word.dropFirst().allSatisfy { $0.isASCII && $0.isLetter || $0 == "-" || $0 == "?" }
    }
}
