import Foundation

/// The merges of a large `tokenizer.json`, read on another thread while this one reads the vocabulary before them.
///
/// Where they begin is a guess, the first `"merges": [` of the file; it is right once the reader arrives there.
final class EarlyMerges: @unchecked Sendable {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let files: BytePairFiles
    private let reading = DispatchGroup()
    /// Where the merges were found; written by the other thread alone, and read after `wait`.
    private var found: (range: Range<Int>, merges: MergeBuilder)?

    /// - Parameter bytes: What must stay until `wait` was called.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ files: BytePairFiles) {
        self.bytes = bytes
        self.files = files
        // What is smaller is read sooner than a thread starts.
        guard bytes.count >= 1 << 20 else { return }
        DispatchQueue.global(qos: .userInitiated).async(group: reading) { self.found = self.read() }
    }

    func wait() { reading.wait() }

    /// The merges that begin where the cursor stands, which moves behind them; nil if others were read or none.
    func merges(at cursor: inout JSONCursor) -> MergeBuilder? {
        wait()
        guard let found, found.range.lowerBound == cursor.offset else { return nil }
        self.found = nil
        cursor = JSONCursor(bytes, offset: found.range.upperBound)
        return found.merges
    }

    /// What cannot be read here is read again where it is due, and named.
    private func read() -> (range: Range<Int>, merges: MergeBuilder)? {
        var start = 0
        while let bracket = bytes[start...].firstIndex(of: UInt8(ascii: "[")) {
            start = bracket + 1
            guard followsKey(bracket) else { continue }
            var cursor = JSONCursor(bytes, offset: bracket)
            guard var merges = try? files.readMerges(&cursor) else { return nil }
            merges.prepareTable()
            return (bracket..<cursor.offset, merges)
        }
        return nil
    }

    /// Whether `"merges":` stands before a place, which a token cannot hold without backslashes.
    private func followsKey(_ place: Int) -> Bool {
        guard bytes[..<place].last(where: { $0 > 0x20 }) == UInt8(ascii: ":") else { return false }
        let before = bytes[max(0, place - 16)..<place].filter { $0 > 0x20 }
        return before.suffix(9).elementsEqual("\"merges\":".utf8)
    }
}
