/// What happens to a sample longer than the limit (`--truncation_strategy`).
package enum TruncationStrategy: String, Sendable, CaseIterable {
    /// It is dropped.
    case delete
    /// Tokens are cut off its beginning.
    case left
    /// Tokens are cut off its end.
    case right
    /// It becomes several samples of at most that length; for text that is learned whole.
    case split
}

/// `max_length` and what happens to longer samples.
package struct Truncation: Sendable, Equatable {
    /// `nil` keeps samples of any length.
    package let maximumLength: Int?
    package let strategy: TruncationStrategy

    /// - Throws: `DatasetError` when the length is below 2, the shortest sample with anything to predict.
    package init(maximumLength: Int? = nil, strategy: TruncationStrategy = .delete) throws {
        if let maximumLength, maximumLength < 2 {
            throw DatasetError("--max_length must be at least 2, not \(maximumLength)")
        }
        self.maximumLength = maximumLength
        self.strategy = strategy
    }

    /// What a cache of encoded rows knows it by.
    var words: [String: String] {
        ["max_length": maximumLength.map(String.init) ?? "", "strategy": strategy.rawValue]
    }

    /// The parts of a sample of `length` tokens that are samples, with a note when it is not the whole.
    ///
    /// - Throws: `RowRejection` when there is none.
    func parts(ofLength length: Int) throws -> (ranges: [Range<Int>], notes: [String]) {
        guard strategy == .split, let maximumLength, length > maximumLength else {
            let (range, notes) = try part(ofLength: length)
            return ([range], notes)
        }
        let starts = stride(from: 0, to: length, by: maximumLength)
        return (starts.map { $0..<min($0 + maximumLength, length) }, [note])
    }

    /// The part of a sample of `length` tokens that stays, with a note when it is not the whole.
    ///
    /// A sample that is judged as a whole cannot be split.
    ///
    /// - Throws: `RowRejection` when none does.
    func part(ofLength length: Int) throws -> (range: Range<Int>, notes: [String]) {
        guard let maximumLength, length > maximumLength else { return (0..<length, []) }
        switch strategy {
        case .delete, .split: throw RowRejection("longer than max_length \(maximumLength)", "\(length) tokens")
        case .left: return (length - maximumLength..<length, [note])
        case .right: return (0..<maximumLength, [note])
        }
    }

    /// What a report says of samples that were cut.
    var note: String {
        let verb = strategy == .split ? "split" : "cut"
        return "\(verb) to max_length \(maximumLength ?? 0) (--truncation_strategy \(strategy.rawValue))"
    }
}
