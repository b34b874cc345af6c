import Foundation

/// Reads the two large lists of a byte-pair model, in either of their spellings.
struct BytePairFiles {
    /// The file that errors name.
    let source: String

    /// Reads `{"token": id, …}`.
    func readVocabulary(_ cursor: inout JSONCursor) throws -> Vocabulary {
        // Room for what is there, with its merges behind it, as growing costs as much as reading; and no more, as a table that
        // fits near the processor is read faster.
        var vocabulary = Vocabulary(expectedCount: min(1 << 18, cursor.remaining / 40))
        do {
            try cursor.readObject { cursor in
                let token = cursor.string
                guard isValidUTF8(token) else { throw cursor.fault("invalid UTF-8") }
                let id = try cursor.readID()
                try check(token, id, vocabulary)
                guard vocabulary.insertLater(token, id: id) else { throw taken(token, id) }
            }
            vocabulary.settle()
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(
                source,
                "cannot read the vocabulary at byte \(fault.offset): \(fault.message); the file is damaged: download it again"
            )
        }
        return vocabulary
    }

    /// Reads `[["token", score], …]`.
    func readPieces(_ cursor: inout JSONCursor) throws -> ScoredVocabulary {
        var pieces = ScoredVocabulary(expectedCount: min(1 << 18, cursor.remaining / 16))
        do {
            try cursor.readArray { cursor in
                var parts = 0
                var score = 0.0
                // The spelling lives until the next string is read.
                var token = UnsafeBufferPointer<UInt8>(start: nil, count: 0)
                try cursor.readArray { cursor in
                    parts += 1
                    if parts == 1 {
                        try cursor.readString()
                        token = cursor.string
                    } else {
                        score = try cursor.readNumber()
                    }
                }
                guard parts == 2 else { throw cursor.fault("a token must be a string and a score") }
                guard isValidUTF8(token) else { throw cursor.fault("invalid UTF-8") }
                try pieces.append(token, score: score, source: source)
            }
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(
                source,
                "cannot read the vocabulary at byte \(fault.offset): \(fault.message); the file is damaged: download it again"
            )
        }
        return pieces
    }

    func insert(_ token: [UInt8], _ id: Int32, into vocabulary: inout Vocabulary) throws {
        try token.withUnsafeBufferPointer { try insert($0, id, into: &vocabulary) }
    }

    func insert(
        _ token: UnsafeBufferPointer<UInt8>, _ id: Int32, into vocabulary: inout Vocabulary, keepsEquals: Bool = false
    ) throws {
        try check(token, id, vocabulary)
        guard vocabulary.insert(token, id: id, keepsEquals: keepsEquals) else { throw taken(token, id) }
    }

    /// - Throws: `TokenizerError` where there is no room for a token.
    @inline(__always)
    private func check(_ token: UnsafeBufferPointer<UInt8>, _ id: Int32, _ vocabulary: Vocabulary) throws {
        guard Int(id) < Vocabulary.idLimit else {
            throw TokenizerError(
                source, "token \(Self.describe(token)) has id \(id); ids must be below \(Vocabulary.idLimit)")
        }
        guard vocabulary.hasRoom(for: token) else {
            throw TokenizerError(source, "the spellings of all tokens are longer than \(Vocabulary.byteLimit) bytes")
        }
    }

    private func taken(_ token: UnsafeBufferPointer<UInt8>, _ id: Int32) -> TokenizerError {
        TokenizerError(source, "token \(Self.describe(token)) has id \(id), as another token has already")
    }

    /// Reads `["a b", …]` or `[["a", "b"], …]`.
    func readMerges(_ cursor: inout JSONCursor) throws -> MergeBuilder {
        var builder = MergeBuilder(source: source, byteCount: cursor.remaining)
        do {
            try cursor.readArray { cursor in
                guard cursor.peek() == UInt8(ascii: "[") else {
                    try cursor.readString()
                    return try builder.append(line: cursor.string)
                }
                var parts = 0
                try cursor.readArray { cursor in
                    try cursor.readString()
                    parts += 1
                    if parts == 1 { builder.start(cursor.string) }
                    if parts == 2 { try builder.finish(cursor.string) }
                }
                guard parts == 2 else { throw cursor.fault("a merge must have two parts") }
            }
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(source, "cannot read the merges at byte \(fault.offset): \(fault.message)")
        }
        return builder
    }

    /// Reads `merges.txt`: one merge a line, after an optional `#version` line.
    func readMerges(lines data: Data, _ vocabulary: Vocabulary) throws -> MergeTable {
        var builder = MergeBuilder(source: source, byteCount: data.count)
        try data.withUnsafeBytes { raw in
            let bytes = raw.bindMemory(to: UInt8.self)
            let version = Array("#version".utf8)
            var start = 0
            while start < bytes.count {
                let newline = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
                let end = newline > start && bytes[newline - 1] == 0x0D ? newline - 1 : newline
                let line = UnsafeBufferPointer(rebasing: bytes[start..<end])
                if !line.isEmpty, !line.starts(with: version) { try builder.append(line: line) }
                start = newline + 1
            }
        }
        return try builder.table(vocabulary)
    }

    static func describe(_ token: some Collection<UInt8>) -> String {
        String(decoding: token, as: UTF8.self).debugDescription
    }
}

/// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7), without making a string of them.
func isValidUTF8(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var position = 0
    while position < bytes.count {
        let lead = bytes[position]
        position += 1
        if lead < 0x80 { continue }
        let (count, second): (Int, ClosedRange<UInt8>)
        switch lead {
        case 0xC2...0xDF: (count, second) = (1, 0x80...0xBF)
        case 0xE0: (count, second) = (2, 0xA0...0xBF)
        case 0xED: (count, second) = (2, 0x80...0x9F)
        case 0xE1...0xEF: (count, second) = (2, 0x80...0xBF)
        case 0xF0: (count, second) = (3, 0x90...0xBF)
        case 0xF1...0xF3: (count, second) = (3, 0x80...0xBF)
        case 0xF4: (count, second) = (3, 0x80...0x8F)
        default: return false
        }
        guard position + count <= bytes.count, second.contains(bytes[position]) else { return false }
        for offset in 1..<max(1, count) where bytes[position + offset] & 0xC0 != 0x80 { return false }
        position += count
    }
    return true
}
