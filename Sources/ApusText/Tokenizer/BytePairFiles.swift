import Foundation

/// Reads the two large lists of a byte-pair model, in either of their spellings.
struct BytePairFiles {
    /// The file that errors name.
    let source: String

    /// Reads `{"token": id, …}`.
    func readVocabulary(_ cursor: inout JSONCursor) throws -> Vocabulary {
        var vocabulary = Vocabulary(expectedCount: 1 << 16)
        do {
            try cursor.readObject { cursor in
                let token = cursor.string
                guard String(validating: token, as: UTF8.self) != nil else { throw cursor.fault("invalid UTF-8") }
                let id = try cursor.readID()
                try insert(token, id, into: &vocabulary)
            }
        } catch let fault as JSONCursor.Fault {
            throw TokenizerError(source, "cannot read the vocabulary at byte \(fault.offset): \(fault.message)")
        }
        return vocabulary
    }

    func insert(_ token: [UInt8], _ id: Int32, into vocabulary: inout Vocabulary) throws {
        guard Int(id) < Vocabulary.idLimit else {
            throw TokenizerError(
                source, "token \(Self.describe(token)) has id \(id); ids must be below \(Vocabulary.idLimit)")
        }
        guard token.withUnsafeBufferPointer({ vocabulary.insert($0, id: id) }) else {
            throw TokenizerError(source, "token \(Self.describe(token)) has id \(id), as another token has already")
        }
    }

    /// Reads `["a b", …]` or `[["a", "b"], …]`.
    func readMerges(_ cursor: inout JSONCursor, _ vocabulary: Vocabulary, prefixLength: Int) throws -> MergeTable {
        var builder = MergeBuilder(source: source, vocabulary: vocabulary, prefixLength: prefixLength)
        do {
            try cursor.readArray { cursor in
                if cursor.peek() == UInt8(ascii: "[") {
                    var parts: [[UInt8]] = []
                    try cursor.readArray {
                        try $0.readString()
                        parts.append($0.string)
                    }
                    guard parts.count == 2 else { throw cursor.fault("a merge must have two parts") }
                    try builder.append(parts[0][...], parts[1][...])
                } else {
                    try cursor.readString()
                    try cursor.string.withUnsafeBufferPointer { try builder.append(line: $0) }
                }
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
    private var joined: [UInt8] = []

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
        try append(line[..<space], line[(space + 1)...])
    }

    mutating func append(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) throws {
        joined.removeAll(keepingCapacity: true)
        joined.append(contentsOf: left)
        let leftCount = joined.count
        let leftID = joined.withUnsafeBufferPointer { vocabulary.id(of: $0) }
        joined.append(contentsOf: right)
        let rightID = joined.withUnsafeBufferPointer {
            vocabulary.id(of: UnsafeBufferPointer(rebasing: $0[leftCount...]))
        }
        if prefixLength > 0 { joined.removeSubrange(leftCount..<min(leftCount + prefixLength, joined.count)) }
        let result = joined.withUnsafeBufferPointer { vocabulary.id(of: $0) }
        guard let leftID, let rightID, let result else {
            let missing = leftID == nil ? Array(left) : rightID == nil ? Array(right) : joined
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
