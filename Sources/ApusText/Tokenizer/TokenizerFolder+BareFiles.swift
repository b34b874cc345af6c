import ApusJSON
import Foundation

/// Tokenizers from their vocabulary files alone, as the classes of `transformers` build them.
extension TokenizerFolder {
    // MARK: - vocab.txt

    /// Reads `vocab.txt`: one token a line, the number of the line its id.
    ///
    /// Where nothing says whose it is, it is BERT's, and text becomes lower case unless the vocabulary has capitals.
    func readVocabularyText(
        _ configuration: TokenizerConfiguration, _ given: TokenizerClass?
    ) throws -> Contents {
        let tokenizerClass = given ?? TokenizerClass(named: "BertTokenizer")
        guard tokenizerClass.bareFiles == .vocabularyText else { throw unsupported("vocab.txt", tokenizerClass) }
        let fileURL = url.appendingPathComponent("vocab.txt")
        let vocabulary = try VocabularyText(source: fileURL.path).read(try FolderFile.read(fileURL))
        var configuration = configuration
        configuration.fill(tokenizerClass.defaultTokens)
        var notices: [String] = []
        if configuration.lowercases == nil, vocabulary.hasCapitals {
            if given == nil {
                configuration.lowercases = false
            } else {
                notices.append(
                    "\(fileURL.path) has tokens with capital letters, but text becomes lower case, as "
                        + "\(tokenizerClass.name) does without \"do_lower_case\": false in tokenizer_config.json")
            }
        }
        let parts = try tokenizerClass.parts(vocabulary, nil, configuration, source: fileURL.path)
        var contents = try finished(parts, configuration, tokenizerClass, hasFile: false)
        contents.notices = notices
        return contents
    }

    // MARK: - vocab.json and merges.txt

    func readVocabularyAndMerges(
        _ configuration: TokenizerConfiguration, _ given: TokenizerClass?
    ) throws -> Contents {
        let vocabularyURL = url.appendingPathComponent("vocab.json")
        let mergesURL = url.appendingPathComponent("merges.txt")
        let vocabulary = try FolderFile.read(vocabularyURL).withUnsafeBytes { raw in
            var cursor = JSONCursor(raw.bindMemory(to: UInt8.self))
            return try BytePairFiles(source: vocabularyURL.path).readVocabulary(&cursor)
        }
        let merges = try BytePairFiles(source: mergesURL.path).readMerges(
            lines: try FolderFile.read(mergesURL), vocabulary)
        let tokenizerClass = try given ?? gpt2(vocabulary)
        guard tokenizerClass.bareFiles == .vocabularyAndMerges else {
            throw unsupported("vocab.json and merges.txt", tokenizerClass)
        }
        var configuration = configuration
        configuration.fill(tokenizerClass.defaultTokens)
        let parts = try tokenizerClass.parts(vocabulary, merges, configuration, source: vocabularyURL.path)
        return try finished(parts, configuration, tokenizerClass, hasFile: false)
    }

    /// The two files alone are GPT-2's, or those of a descendant that spells its end of text "</s>".
    private func gpt2(_ vocabulary: Vocabulary) throws -> TokenizerClass {
        var tokenizerClass = TokenizerClass(named: "GPT2Tokenizer")
        if vocabulary.id(of: Array("<|endoftext|>".utf8)) != nil { return tokenizerClass }
        tokenizerClass.defaultTokens = [:]
        if vocabulary.id(of: Array("</s>".utf8)) != nil { return tokenizerClass }
        throw TokenizerError(
            url.path,
            "nothing says how this tokenizer splits text; add its tokenizer_config.json or tokenizer.json")
    }

    private func unsupported(_ files: String, _ tokenizerClass: TokenizerClass) -> TokenizerError {
        TokenizerError(
            url.path,
            "\(files) of \(tokenizerClass.name) are not supported; save the tokenizer with transformers to get a "
                + "tokenizer.json")
    }
}

extension Vocabulary {
    /// Whether a token has a capital letter of ASCII, other than one in brackets such as `[CLS]`.
    fileprivate var hasCapitals: Bool {
        (0..<Int32(idBound)).contains { id in
            guard let token = token(of: id), let first = token.first else { return false }
            guard first != UInt8(ascii: "["), first != UInt8(ascii: "<") else { return false }
            return token.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        }
    }
}
