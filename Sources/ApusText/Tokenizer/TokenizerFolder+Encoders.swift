import Foundation

/// The tokenizers of encoders from their vocabulary files, as `BertTokenizer` and `RobertaTokenizer` of `transformers`
/// build them.
extension TokenizerFolder {
    /// Reads `vocab.txt`: one token a line, the number of the line its id.
    func readVocabularyText(_ configuration: TokenizerConfiguration) throws -> TokenizerParts {
        let source = url.appendingPathComponent("vocab.txt").path
        guard let data = FileManager.default.contents(atPath: source) else {
            throw TokenizerError(source, "cannot be read")
        }
        var options = WordPieceModel.Options()
        options.unknown = configuration.named[.unknown]?.content ?? options.unknown
        let vocabulary = try VocabularyText(source: source).read(data)
        var parts = TokenizerParts(
            normalizers: [
                .bert(
                    BertNormalizer(
                        cleansText: true, spacesHan: configuration.spacesHan,
                        stripsAccents: configuration.stripsAccents, lowercases: configuration.lowercases))
            ],
            preTokenizers: [.bert], model: try WordPieceModel(vocabulary, options, source: source), source: source)
        parts.decoders = [.wordPiece(prefix: Array(options.continuingPrefix.utf8), cleansUp: true)]
        return parts
    }

    /// Puts the tokens of an encoder around one text or two; call it when all tokens are there.
    func setEncoderTokens(
        _ parts: inout TokenizerParts, _ configuration: TokenizerConfiguration, _ family: TokenizerFamily
    ) throws {
        func id(_ role: TokenizerConfiguration.Role) throws -> Int32 {
            guard let id = configuration.named[role].flatMap({ parts.id(of: $0.content) }) else {
                throw TokenizerError(url.path, "has no \"\(role.rawValue)\", which stands around every text")
            }
            return id
        }
        let (classification, separator) = (try id(.classification), try id(.separator))
        let step: PostProcessor.Step =
            family == .bert
            ? .bert(classification: classification, separator: separator)
            : .roberta(classification: classification, separator: separator)
        parts.postProcessor = try PostProcessor([step])
    }
}

/// Reads the `vocab.txt` of a WordPiece model.
struct VocabularyText {
    /// The file that errors name.
    let source: String

    /// As in `tokenizers`, white space at the end of a line is no part of its token, and of equal tokens the last counts.
    func read(_ data: Data) throws -> Vocabulary {
        let files = BytePairFiles(source: source)
        return try data.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            var vocabulary = Vocabulary(expectedCount: bytes.count / 7)
            guard let base = bytes.baseAddress else { return vocabulary }
            var line: Int32 = 0
            var start = 0
            while start < bytes.count {
                let newline = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
                let token = Array(bytes[start..<newline])
                guard String(validating: token, as: UTF8.self) != nil else {
                    throw TokenizerError(
                        source, "line \(line + 1) is not valid UTF-8: \(BytePairFiles.describe(token))")
                }
                let length = Self.lengthWithoutTrailingSpace(base + start, newline - start)
                try files.insert(Array(token.prefix(length)), line, into: &vocabulary)
                line += 1
                start = newline + 1
            }
            return vocabulary
        }
    }

    private static func lengthWithoutTrailingSpace(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> Int {
        let text = ClassifiedText(bytes, end: count)
        var length = count
        while length > 0 {
            var last = length - 1
            while last > 0, bytes[last] & 0xC0 == 0x80 { last -= 1 }
            guard text.scalar(at: last).scalarClass.contains(.space) else { break }
            length = last
        }
        return length
    }
}
