import ApusJSON
import Foundation

/// Mistral's `tekken.json`: tokens of bytes by rank, special tokens before them, and how text is split.
struct TekkenFile {
    private let source: String
    private let special: [String]
    private let tokens: [Data]
    private let pattern: String

    /// - Throws: `TokenizerError` naming the key that is missing or wrong.
    init(_ data: Data, source: String) throws {
        self.source = source
        func fault(_ message: String) -> TokenizerError { TokenizerError(source, message) }
        let root: JSONValue
        do {
            root = try JSONValue(parsing: data)
        } catch let error as JSONError {
            throw fault(error.description)
        }
        guard let pattern = root["config"]?["pattern"]?.stringValue, let vocabulary = root["vocab"]?.arrayValue else {
            throw fault("needs \"config\" with a \"pattern\", and \"vocab\"")
        }
        self.pattern = pattern
        guard let listed = root["special_tokens"]?.arrayValue else {
            throw fault(
                "has no \"special_tokens\", as the oldest files of this kind; take the tokenizer.json of the model, or a "
                    + "newer file")
        }
        let ranked = try listed.map { entry -> (rank: Int, text: String) in
            guard let rank = entry["rank"]?.intValue, let text = entry["token_str"]?.stringValue else {
                throw fault("an entry of \"special_tokens\" has no \"rank\" or no \"token_str\"")
            }
            return (rank, text)
        }.sorted { $0.rank < $1.rank }
        guard ranked.map(\.rank) == Array(0..<ranked.count) else {
            throw fault("the ranks of \"special_tokens\" must go from 0 to \(ranked.count - 1)")
        }
        func number(_ key: String) throws -> Int? {
            guard let value = root["config"]?[key], !value.isNull else { return nil }
            guard let number = value.intValue, (0...Vocabulary.idLimit).contains(number) else {
                throw fault("\"\(key)\" must be a number from 0 to \(Vocabulary.idLimit)")
            }
            return number
        }
        let specialCount = try number("default_num_special_tokens") ?? ranked.count
        special =
            ranked.map(\.text) + (ranked.count..<max(ranked.count, specialCount)).map { "<SPECIAL_\($0)>" }
        var entries = vocabulary[...]
        if let size = try number("default_vocab_size") {
            guard size >= specialCount else {
                throw fault("\"default_vocab_size\" is below the number of special tokens")
            }
            entries = entries.prefix(size - specialCount)
        }
        // Tokens are numbered on from the special ones.
        offset = specialCount
        tokens = try entries.enumerated().map { rank, entry in
            guard let text = entry["token_bytes"]?.stringValue, let token = Data(base64Encoded: text) else {
                throw fault("entry \(rank) of \"vocab\" has no \"token_bytes\" in Base64")
            }
            return token
        }
    }

    private let offset: Int

    func parts() throws -> TokenizerParts {
        let files = BytePairFiles(source: source)
        var ranked = RankedTokens(expectedCount: tokens.count, source: source)
        for (rank, token) in tokens.enumerated() {
            guard let id = Int32(exactly: rank + offset) else { continue }
            try ranked.insert(token, id)
        }
        let order = ranked.order
        var vocabulary = ranked.vocabulary
        for (id, text) in special.enumerated() { try files.insert(Array(text.utf8), Int32(id), into: &vocabulary) }
        let splitter = try SplitMatcher(pattern: pattern, source: source)
        var parts = try ranked.parts(
            vocabulary, order: order.filter { Int($0) >= offset }, normalizers: [], splitter: splitter, source: source)
        try parts.addTokens(special.map { AddedToken($0, isSpecial: true) })
        return parts
    }
}
