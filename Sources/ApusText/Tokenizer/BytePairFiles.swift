import Foundation

/// Reads the two large lists of a byte-pair model, in either of their spellings.
struct BytePairFiles {
    /// The file that errors name.
    let source: String

    /// Reads `{"token": id, …}`.
    func readVocabulary(_ cursor: inout JSONCursor) throws -> Vocabulary {
        var vocabulary = Vocabulary(expectedCount: 1 << 17)
        do {
            try cursor.readObject { cursor in
                let token = cursor.string
                guard isValidUTF8(token) else { throw cursor.fault("invalid UTF-8") }
                let id = try cursor.readID()
                try insert(token, id, into: &vocabulary)
            }
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(source, "cannot read the vocabulary at byte \(fault.offset): \(fault.message)")
        }
        return vocabulary
    }

    func insert(_ token: [UInt8], _ id: Int32, into vocabulary: inout Vocabulary) throws {
        try token.withUnsafeBufferPointer { try insert($0, id, into: &vocabulary) }
    }

    private func insert(_ token: UnsafeBufferPointer<UInt8>, _ id: Int32, into vocabulary: inout Vocabulary) throws {
        guard Int(id) < Vocabulary.idLimit else {
            throw TokenizerError(
                source, "token \(Self.describe(token)) has id \(id); ids must be below \(Vocabulary.idLimit)")
        }
        guard vocabulary.insert(token, id: id) else {
            throw TokenizerError(source, "token \(Self.describe(token)) has id \(id), as another token has already")
        }
    }

    /// Reads `["a b", …]` or `[["a", "b"], …]`.
    func readMerges(_ cursor: inout JSONCursor, _ vocabulary: Vocabulary, prefixLength: Int) throws -> MergeTable {
        var builder = MergeBuilder(source: source, vocabulary: vocabulary, prefixLength: prefixLength)
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
        return builder.table()
    }

    /// Reads `merges.txt`: one merge a line, after an optional `#version` line.
    func readMerges(lines data: Data, _ vocabulary: Vocabulary) throws -> MergeTable {
        var builder = MergeBuilder(source: source, vocabulary: vocabulary, prefixLength: 0)
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
        return builder.table()
    }

    static func describe(_ token: some Collection<UInt8>) -> String {
        String(decoding: token, as: UTF8.self).debugDescription
    }
}

/// Collects merges and looks their tokens up.
struct MergeBuilder {
    let source: String
    let vocabulary: Vocabulary
    /// The bytes of the continuing prefix, which the right part of a merge loses.
    let prefixLength: Int
    private var merges: [(left: Int32, right: Int32, result: Int32)] = []
    /// The left part of the merge at hand, then both.
    private let joined = ByteBuffer()

    init(source: String, vocabulary: Vocabulary, prefixLength: Int) {
        self.source = source
        self.vocabulary = vocabulary
        self.prefixLength = prefixLength
    }

    mutating func append(line: UnsafeBufferPointer<UInt8>) throws {
        guard let space = line.firstIndex(of: 0x20), !line[(space + 1)...].contains(0x20) else {
            throw TokenizerError(
                source,
                "merge \(merges.count + 1), \(BytePairFiles.describe(line)), is not two tokens with a space between")
        }
        start(UnsafeBufferPointer(rebasing: line[..<space]))
        try finish(UnsafeBufferPointer(rebasing: line[(space + 1)...]))
    }

    /// Takes the left part of a merge.
    func start(_ left: UnsafeBufferPointer<UInt8>) {
        joined.removeAll()
        joined.append(left)
    }

    /// Takes the right part of the merge that was started.
    mutating func finish(_ right: UnsafeBufferPointer<UInt8>) throws {
        let leftID = vocabulary.id(of: joined.contents)
        let rightID = vocabulary.id(of: right)
        let left = joined.contents.count
        joined.append(UnsafeBufferPointer(rebasing: right.dropFirst(prefixLength)))
        let result = vocabulary.id(of: joined.contents)
        guard let leftID, let rightID, let result else {
            let missing =
                leftID == nil
                ? Array(joined.contents.prefix(left)) : rightID == nil ? Array(right) : Array(joined.contents)
            throw TokenizerError(
                source,
                "merge \(merges.count + 1) needs the token \(BytePairFiles.describe(missing)), "
                    + "which is not in the vocabulary")
        }
        guard merges.count < MergeTable.limit else {
            throw TokenizerError(source, "more than \(MergeTable.limit) merges; no such model is supported")
        }
        merges.append((leftID, rightID, result))
    }

    func table() -> MergeTable {
        var table = MergeTable(expectedCount: merges.count + 1)
        for merge in merges { table.append(merge.left, merge.right, becomes: merge.result) }
        return table
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
