/// What a scalar is in extended grapheme clusters (UAX #29), in the order that `graphemeClassRuns` numbers them.
enum GraphemeClass: UInt8 {
    case other, carriageReturn, lineFeed, control, extending, joiner, spacingMark, prepended
    case leading, vowel, trailing, openSyllable, closedSyllable
    case pictograph

    static let table = ScalarTable { values in
        for (index, run) in graphemeClassRuns.enumerated() {
            let end = index + 1 < graphemeClassRuns.count ? Int(graphemeClassRuns[index + 1] >> 4) : 0x110000
            values[Int(run >> 4)..<end].update(repeating: UInt8(run & 15))
        }
    }
}

/// Extended grapheme clusters without the rules for flags and for conjuncts of Indic scripts, which only join what is
/// longer than five bytes together in any case.
enum GraphemeCluster {
    /// Where the cluster ends that starts at a position of valid UTF-8 before its end.
    static func end(in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        guard let bytes = text.baseAddress else { return start }
        let table = GraphemeClass.table
        var (scalar, position) = decodeScalar(bytes, start)
        var last = GraphemeClass(rawValue: table[scalar]) ?? .other
        // Whether a pictograph with marks stands before.
        var hasPictograph = last == .pictograph
        while position < text.count {
            let next: Int
            (scalar, next) = decodeScalar(bytes, position)
            let following = GraphemeClass(rawValue: table[scalar]) ?? .other
            guard joins(last, following, hasPictograph) else { break }
            if following != .extending, following != .joiner { hasPictograph = following == .pictograph }
            (last, position) = (following, next)
        }
        return position
    }

    private static func joins(_ last: GraphemeClass, _ next: GraphemeClass, _ hasPictograph: Bool) -> Bool {
        switch (last, next) {
        case (.carriageReturn, .lineFeed): true
        case (.carriageReturn, _), (.lineFeed, _), (.control, _): false
        case (_, .carriageReturn), (_, .lineFeed), (_, .control): false
        case (_, .extending), (_, .joiner), (_, .spacingMark), (.prepended, _): true
        case (.leading, .leading), (.leading, .vowel), (.leading, .openSyllable), (.leading, .closedSyllable): true
        case (.openSyllable, .vowel), (.openSyllable, .trailing), (.vowel, .vowel), (.vowel, .trailing): true
        case (.closedSyllable, .trailing), (.trailing, .trailing): true
        case (.joiner, .pictograph): hasPictograph
        default: false
        }
    }
}
