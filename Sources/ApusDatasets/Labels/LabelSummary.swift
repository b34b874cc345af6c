/// What kinds of labels some rows have, and the first row of each kind.
struct LabelSummary: Sendable {
    enum Kind: Int, Sendable, CaseIterable {
        case integer, number, name, integers, numbers, names

        var isList: Bool { rawValue >= Kind.integers.rawValue }
        var isName: Bool { self == .name || self == .names }

        /// For messages.
        var description: String {
            switch self {
            case .integer: "whole numbers"
            case .number: "numbers with a fraction"
            case .name: "class names"
            case .integers: "lists of whole numbers"
            case .numbers: "lists of numbers with a fraction"
            case .names: "lists of class names"
            }
        }
    }

    /// The first sample of each kind.
    private(set) var first: [Kind: Int] = [:]
    private(set) var names: Set<String> = []
    private(set) var largestInteger = -1
    /// Whether every number is whole, however it is written.
    private(set) var isWhole = true
    /// The lengths of the lists.
    private(set) var lengths: Set<Int> = []
    /// The first text that may name several classes, where texts are not split.
    private(set) var unsplit: (sample: Int, label: RowLabel)?
    /// The first list with the same number twice.
    private(set) var repeated: (sample: Int, label: RowLabel)?
    /// Whether every number is 0 or 1.
    private(set) var areZeroOrOne = true
    /// Whether every label is taken as a list of classes.
    private let readsLists: Bool

    init(readsLists: Bool = false) { self.readsLists = readsLists }

    mutating func add(_ given: RowLabel, sample: Int) {
        let label = readsLists ? given.several : given
        if unsplit == nil, label.parts != nil { unsplit = (sample, label) }
        let kind: Kind
        switch label {
        case .integer(let value):
            kind = .integer
            add(value)
        case .number(let value):
            kind = .number
            add(value)
        case .name(let name):
            kind = .name
            names.insert(name)
        case .integers(let values):
            // An empty list says nothing about what the others hold.
            guard !values.isEmpty else {
                lengths.insert(0)
                return
            }
            kind = .integers
            for value in values { add(value) }
            lengths.insert(values.count)
            if repeated == nil, Set(values).count < values.count { repeated = (sample, label) }
        case .numbers(let values):
            kind = .numbers
            for value in values { add(value) }
            lengths.insert(values.count)
            if repeated == nil, Set(values).count < values.count { repeated = (sample, label) }
        case .names(let list):
            kind = .names
            names.formUnion(list)
            lengths.insert(list.count)
        }
        if first[kind] == nil { first[kind] = sample }
    }

    private mutating func add(_ number: Double) {
        guard let integer = Int(exactly: number) else {
            (isWhole, areZeroOrOne) = (false, false)
            return
        }
        add(integer)
    }

    private mutating func add(_ integer: Int) {
        largestInteger = max(largestInteger, integer)
        if integer != 0, integer != 1 { areZeroOrOne = false }
    }

    /// Joins what was found in samples that come later.
    mutating func add(_ other: LabelSummary) {
        first.merge(other.first) { first, _ in first }
        names.formUnion(other.names)
        largestInteger = max(largestInteger, other.largestInteger)
        isWhole = isWhole && other.isWhole
        lengths.formUnion(other.lengths)
        unsplit = unsplit ?? other.unsplit
        repeated = repeated ?? other.repeated
        areZeroOrOne = areZeroOrOne && other.areZeroOrOne
    }
}
