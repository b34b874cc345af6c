/// What becomes of the matches when a text is split (`SplitDelimiterBehavior` of `tokenizers`).
enum SplitBehavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    /// Turns stretches into pieces, in place; where `inverted`, gaps count as matches and matches as gaps.
    func apply(to stretches: inout [Stretch], inverted: Bool) {
        if inverted { for index in stretches.indices { stretches[index].isMatch.toggle() } }
        switch self {
        case .isolated: break
        case .removed: stretches.removeAll { $0.isMatch }
        case .contiguous:
            merge(&stretches) { isMatch, previousMatch in isMatch == previousMatch }
        case .mergedWithPrevious:
            merge(&stretches) { isMatch, previousMatch in isMatch && !previousMatch }
        case .mergedWithNext:
            stretches.reverse()
            merge(&stretches) { isMatch, previousMatch in isMatch && !previousMatch }
            stretches.reverse()
        }
    }

    /// Joins each stretch for which `joins` holds to the one before it, in whichever direction they are listed.
    private func merge(_ stretches: inout [Stretch], _ joins: (Bool, Bool) -> Bool) {
        var merged: [Stretch] = []
        var previousMatch = false
        for stretch in stretches {
            if joins(stretch.isMatch, previousMatch), let last = merged.last {
                merged[merged.count - 1].start = min(last.start, stretch.start)
                merged[merged.count - 1].end = max(last.end, stretch.end)
            } else {
                merged.append(stretch)
            }
            previousMatch = stretch.isMatch
        }
        stretches = merged
    }
}
