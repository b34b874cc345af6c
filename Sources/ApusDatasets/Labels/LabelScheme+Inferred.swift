extension LabelScheme {
    /// Fills in what was not given from the labels of the training data.
    ///
    /// As transformers and ms-swift do: one output is a regression; lists are several classes, unless they are numbers
    /// with a fraction, one for each output; whole numbers and names are one class; other numbers are a regression.
    /// There are as many outputs as names, or as the largest class number + 1.
    ///
    /// - Parameters:
    ///   - problemType: `problem_type`.
    ///   - labelCount: `num_labels`.
    ///   - map: `id2label` of a config; without one, names are numbered in the order of their Unicode scalars.
    ///   - dataset: The training data.
    /// - Throws: `DatasetError` naming file and line when labels do not fit each other or what was given.
    package init(
        problemType: ProblemType? = nil, labelCount: Int? = nil, map: LabelMap? = nil,
        inferredFrom dataset: LabelledDataset, threads: Int = 1
    ) throws {
        let summary = try LabelSummary(dataset, threads: threads)
        let map = map.flatMap { $0.isPlaceholder ? nil : $0 }
        func example(_ kind: LabelSummary.Kind) -> String {
            summary.first[kind].map { "\(kind.description) (first: \(dataset.place(of: $0)))" } ?? kind.description
        }
        let kinds = LabelSummary.Kind.allCases.filter { summary.first[$0] != nil }
        guard let kind = kinds.last else {
            throw DatasetError("no row has a label; give --problem_type and --num_labels, or rows with a \"label\"")
        }
        if let other = kinds.first(where: { $0.isList != kind.isList || $0.isName != kind.isName }) {
            throw DatasetError(
                "the labels are both \(example(other)) and \(example(kind)); give all of them in one form")
        }
        let problem = problemType ?? Self.problemType(summary, kind, labelCount: labelCount ?? map?.count)
        if problem == .regression {
            if kind.isName {
                throw DatasetError(
                    "regression (--num_labels \(labelCount ?? 1)) needs numbers, but the labels are \(example(kind)); "
                        + "leave out --num_labels, or give the number of classes")
            }
            let length = summary.lengths.count == 1 ? summary.lengths.first ?? 1 : 1
            try self.init(problemType: problem, labelCount: labelCount ?? length)
            return
        }
        let names = try kind.isName ? map ?? LabelMap(names: summary.names.sortedByScalars) : map
        if kind.isName, map == nil, let labelCount, labelCount != summary.names.count, let names {
            throw DatasetError(
                "--num_labels is \(labelCount), but the labels have \(names.count) class names: \(names). "
                    + "Leave out --num_labels, or correct the labels")
        }
        // Negative numbers alone would give no class at all; the row says what is wrong with them.
        let largest = summary.largestInteger < 0 ? 1 : min(summary.largestInteger, Self.maximumCount)
        let count = labelCount ?? names?.count ?? largest + 1
        guard count > 1 || labelCount != nil || problem == .multiLabel && count == 1 else {
            throw DatasetError(
                "every label is \(names.map { "\"\($0.names[0])\"" } ?? "\(summary.largestInteger)") "
                    + "(first: \(dataset.place(of: summary.first[kind] ?? 0))), so there is nothing to tell apart; "
                    + "give --num_labels, or rows of other classes")
        }
        try self.init(problemType: problem, labelCount: count, map: names)
    }

    private static func problemType(_ summary: LabelSummary, _ kind: LabelSummary.Kind, labelCount: Int?) -> ProblemType
    {
        if labelCount == 1 { return .regression }
        switch kind {
        case .name, .integer: return .singleLabel
        case .names, .integers: return .multiLabel
        case .numbers:
            let isOnePerOutput =
                summary.lengths.count == 1 && summary.lengths.first == labelCount ?? summary.lengths.first
            return isOnePerOutput ? .regression : .multiLabel
        // 1.0 and 2.0 are classes where classes are asked for, as tables write them.
        case .number: return labelCount != nil && summary.isWhole ? .singleLabel : .regression
        }
    }
}

extension LabelSummary {
    init(_ dataset: LabelledDataset, threads: Int) throws {
        let distinct = DistinctRows(dataset.rows).first
        let parts = try inParallelChunks(of: distinct.count, threads: threads) { range in
            var part = LabelSummary()
            for sample in distinct[range] {
                if let label = try dataset.recognized(at: sample).label { part.add(label, sample: sample) }
            }
            return part
        }
        self.init()
        for part in parts { add(part) }
    }
}

extension Set<String> {
    /// In an order that does not depend on the language of the machine.
    fileprivate var sortedByScalars: [String] {
        sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    }
}
