import Foundation

/// The merges of a byte-pair vocabulary that comes without: every way to make a token of two others.
struct PieceMerges {
    let vocabulary: Vocabulary
    /// The tokens to make, from the earliest to the latest.
    let order: [Int32]
    /// Per id, whether the token takes part; nil lets all.
    var takesPart: [Bool]?
    /// Whether the merges of one token are in the order of their parts' ids; if not, the shortest left part comes first.
    var ordersByParts = false
    /// Per id, how early a token is made: those with the best score first, of equals those with the longest left part.
    var scores: [Double]?

    /// Longer tokens are damage, and looking for their parts would take for ever.
    private static let longestToken = 1 << 12

    typealias Merge = (left: Int32, right: Int32, result: Int32)

    /// - Throws: `TokenizerError` where there are more merges than a table holds.
    func table(source: String) throws -> MergeTable {
        if let id = order.first(where: { vocabulary.token(of: $0).map { $0.count > Self.longestToken } ?? false }) {
            throw TokenizerError(
                source, "token \(id) has more than \(Self.longestToken) bytes; the file is damaged: download it again")
        }
        let merges = try merges()
        guard merges.count < MergeTable.limit else {
            throw TokenizerError(source, "\(merges.count) merges; at most \(MergeTable.limit) are supported")
        }
        var table = MergeTable(expectedCount: merges.count + 1)
        table.append(contentsOf: merges)
        return table
    }

    /// All merges, the earliest first.
    func merges() throws -> [Merge] {
        let size = 1 << 12
        let parts = Parts<[Merge]>(count: (order.count + size - 1) / size)
        DispatchQueue.concurrentPerform(iterations: parts.count) { index in
            let range = index * size..<min((index + 1) * size, order.count)
            parts.set(index, .success(self.merges(of: order[range])))
        }
        let merges = try parts.all().flatMap(\.self)
        guard let scores else { return merges }
        let keyed = merges.map { merge in
            (merge, scores[Int(merge.result)], scalarCount(merge.left), scalarCount(merge.right))
        }
        // The standard library's sort is stable, which the order of equals needs.
        return keyed.sorted { ($0.1, $0.2, $0.3) > ($1.1, $1.2, $1.3) }.map(\.0)
    }

    private func scalarCount(_ id: Int32) -> Int {
        vocabulary.token(of: id)?.count { $0 & 0xC0 != 0x80 } ?? 0
    }

    /// The merges of each token.
    private func merges(of ids: ArraySlice<Int32>) -> [Merge] {
        var merges: [Merge] = []
        for id in ids {
            guard let token = vocabulary.token(of: id) else { continue }
            let first = merges.count
            token.withUnsafeBufferPointer { token in
                for cut in 1..<max(1, token.count) where token[cut] & 0xC0 != 0x80 {
                    guard let left = part(token[..<cut]), let right = part(token[cut...]) else { continue }
                    merges.append((left, right, id))
                }
            }
            if ordersByParts, merges.count > first + 1 {
                merges[first...].sort { ($0.left, $0.right) < ($1.left, $1.right) }
            }
        }
        return merges
    }

    private func part(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Int32? {
        guard let id = vocabulary.id(of: UnsafeBufferPointer(rebasing: bytes)) else { return nil }
        return takesPart?[Int(id)] ?? true ? id : nil
    }
}
