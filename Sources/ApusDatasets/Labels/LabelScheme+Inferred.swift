extension LabelScheme {
    /// Fills in what was not given from the labels of the training data.
    ///
    /// As transformers and ms-swift do: one output is a regression; lists are several classes, unless they are numbers
    /// with a fraction, one for each output; whole numbers and names are one class; other numbers are a regression.
    /// There are as many outputs as names, or as the largest class number + 1.
    ///
    /// What could be read in two ways is never guessed: a text such as `"a,b"` may be one class or two, and `[0, 1]`
    /// both classes or the second of two. Lists of 0 and 1 of one length in which a number comes twice can only be one
    /// number for each class.
    ///
    /// - Parameters:
    ///   - problemType: `problem_type`.
    ///   - labelCount: `num_labels`.
    ///   - format: `multi_label_format`.
    ///   - map: `id2label` of a config; without one, names are numbered in the order of their Unicode scalars.
    ///   - dataset: The training data.
    /// - Throws: `DatasetError` naming file and line when labels do not fit each other or what was given.
    package init(
        problemType: ProblemType? = nil, labelCount: Int? = nil, map: LabelMap? = nil, format: MultiLabelFormat? = nil,
        inferredFrom dataset: LabelledDataset, threads: Int = 1
    ) throws {
        let summary = try LabelSummary(dataset, readsLists: problemType == .multiLabel, threads: threads)
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
                "the labels are both \(example(other)) and \(example(kind)); give all of them in one form"
                    + (kind.isName == other.isName
                        ? ", or take each for a list with --problem_type multi_label_classification" : ""))
        }
        if problemType == nil, let unsplit = summary.unsplit {
            throw Self.ambiguity(unsplit.label, at: dataset.place(of: unsplit.sample))
        }
        let problem = problemType ?? Self.problemType(summary, kind, labelCount: labelCount ?? map?.count)
        if problem == .regression {
            if let decimal = summary.unsplit, decimal.label.parts?.allSatisfy({ Int($0) != nil }) == true {
                throw DatasetError(
                    "\(dataset.place(of: decimal.sample)): the label \(decimal.label.excerpt) is a text; "
                        + "wanted is a number with a decimal point")
            }
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
        let lists =
            problem == .multiLabel
            ? try Self.format(summary, given: format, labelCount: labelCount ?? names?.count, in: dataset) : nil
        if lists == .multiHot, let length = summary.lengths.max() {
            try self.init(problemType: problem, labelCount: labelCount ?? length, map: names, format: lists)
            return
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
        try self.init(problemType: problem, labelCount: count, map: names, format: lists)
    }

    private static func ambiguity(_ label: RowLabel, at place: String) -> DatasetError {
        let isNumber = label.parts?.allSatisfy { Int($0) != nil } ?? false
        return DatasetError(
            "\(place): the label \(label.excerpt) may be "
                + (isNumber
                    ? "a number with a decimal comma or the numbers of several classes. Write numbers with a decimal "
                        + "point, or give --problem_type multi_label_classification"
                    : "one class or several. Give --problem_type multi_label_classification to split it, or "
                        + "--problem_type single_label_classification to take it for one name"))
    }

    /// What lists of whole numbers are.
    ///
    /// A class cannot be in a row twice, so that a repeated number shows lists of 0 and 1. Lists of another length than
    /// the number of classes, or with other numbers, are classes.
    private static func format(
        _ summary: LabelSummary, given: MultiLabelFormat?, labelCount: Int?, in dataset: LabelledDataset
    ) throws -> MultiLabelFormat {
        if let given { return given }
        guard summary.lengths.count == 1, let length = summary.lengths.first, length > 1, summary.areZeroOrOne,
            labelCount == nil || labelCount == length
        else { return .ids }
        if summary.repeated != nil { return .multiHot }
        guard let place = summary.first[.integers] ?? summary.first[.numbers] else { return .ids }
        throw DatasetError(
            "\(dataset.place(of: place)): every label is a list of one 0 and one 1, which may be the numbers of both "
                + "classes, or 0 or 1 for each class. Give --multi_label_format ids or --multi_label_format multi_hot")
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
    init(_ dataset: LabelledDataset, readsLists: Bool, threads: Int) throws {
        let distinct = DistinctRows(dataset.rows).first
        let parts = try inParallelChunks(of: distinct.count, threads: threads) { range in
            var part = LabelSummary(readsLists: readsLists)
            for sample in distinct[range] {
                if let label = try dataset.recognized(at: sample).label { part.add(label, sample: sample) }
            }
            return part
        }
        self.init(readsLists: readsLists)
        for part in parts { add(part) }
    }
}

extension Set<String> {
    /// In an order that does not depend on the language of the machine.
    fileprivate var sortedByScalars: [String] {
        sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    }
}
