import ApusFiles
import Foundation

// The question of `apus infer` and the ids of `apus download` may stand by themselves, first or behind the values of an
// option.
extension ArgumentLineReader {
    /// Takes a word that stands alone as an id, where the command has such.
    mutating func takeID(_ word: String) -> Bool {
        guard table["ids"] != nil else { return false }
        additions.append(("ids", word, .commandLine))
        return true
    }

    /// The values of an option that takes one, without the ids behind it.
    mutating func takingIDs(from values: [String], of option: String) -> [String] {
        guard table["ids"] != nil, values.count > 1, option.hasPrefix("--"), !option.contains("="),
            case .option(let known) = resolve(String(option.dropFirst(2)).replacing("-", with: "_")), !known.kind.isList
        else { return values }
        for value in values.dropFirst() { _ = takeID(value) }
        return Array(values.prefix(1))
    }

    private var canTakeQuestion: Bool { table["question"] != nil && arguments["question"] == nil }

    /// Takes a word that stands alone as the question, where the command has one and it is not there yet.
    mutating func takeQuestion(_ word: String) -> Bool {
        guard canTakeQuestion else { return false }
        arguments["question"] = .init(value: .text(word), origin: .commandLine)
        return true
    }

    /// The values of an option without a question behind them: one word more than the option takes, that is a sentence
    /// or the end of the line.
    mutating func takingQuestion(from values: [String], of option: String, isAtEnd: Bool) -> [String] {
        guard canTakeQuestion, let last = values.last, option.hasPrefix("--"), !option.contains("=") else {
            return values
        }
        let isSentence = last.contains(where: \.isWhitespace) || !last.allSatisfy(\.isASCII)
        let isLikely = isSentence || isAtEnd
        let isQuestion: Bool
        switch resolve(String(option.dropFirst(2)).replacing("-", with: "_")) {
        case .option(let option) where option.kind == .boolean:
            isQuestion = isLikely && values.count == 2 || isSentence && values.count == 1
        case .option(let option) where option.name == "adapters":
            // What is no folder would be no adapter.
            isQuestion =
                values.count > 1 && !FileManager.default.fileExists(atPath: HomeFolder.expand(last, home: home))
                && (isSentence || !last.contains("/"))
                && AdapterWords.parts(last) == nil
        case .option(let option): isQuestion = isLikely && !option.kind.isList && values.count == 2
        case .rename: isQuestion = isLikely && values.count == 2
        case .negation: isQuestion = isLikely && values.count == 1
        case .notYet, .ambiguous, .unknown: isQuestion = false
        }
        guard isQuestion, takeQuestion(last) else { return values }
        return Array(values.dropLast())
    }
}
