/// Finds the names a user may have meant.
package enum NearestNames {
    /// At most three names close to `word`, the nearest first: those a few typing slips away or, if there are none,
    /// those of which `word` is a part.
    package static func find(_ word: String, among names: some Sequence<String>) -> [String] {
        let letters = Array(word.lowercased().utf8.prefix(64))
        let furthest = max(1, letters.count / 3)
        let scored = names.compactMap { name -> (name: String, score: Int)? in
            let other = Array(name.lowercased().utf8)
            guard abs(other.count - letters.count) <= furthest else { return nil }
            let distance = distance(letters, other)
            return distance <= furthest ? (name, distance) : nil
        }
        let best = scored.map(\.score).min() ?? 0
        let near = scored.filter { $0.score < max(1, 2 * best) }
        if !near.isEmpty || letters.count < 4 {
            return near.sorted { ($0.score, $0.name) < ($1.score, $1.name) }.prefix(3).map(\.name)
        }
        let longer = names.filter { $0.contains(word) }
        return Array(longer.sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }.prefix(3))
    }

    /// Damerau–Levenshtein distance (optimal string alignment): insertions, deletions, substitutions and swaps of
    /// neighbours, each counting one.
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var current = [i + 1]
            current.reserveCapacity(b.count + 1)
            for j in 0..<b.count {
                var best = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforePrevious[j - 1] + 1) }
                current.append(best)
            }
            (beforePrevious, previous) = (previous, current)
        }
        return previous[b.count]
    }
}
