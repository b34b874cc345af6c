import ApusJSON

/// What is learned from a label, by the name that a `config.json` has for it (`problem_type`).
package enum ProblemType: String, Sendable, CaseIterable {
    /// One or more numbers, by their squared error.
    case regression
    /// One of several classes, by cross entropy.
    case singleLabel = "single_label_classification"
    /// Any of several classes, by binary cross entropy.
    case multiLabel = "multi_label_classification"
}

/// What a model is to give for a row.
package enum LabelTarget: Sendable, Equatable {
    /// `num_labels` numbers: those of a regression, or 1 for each class that a row has and 0 for the others.
    case values([Float])
    case classID(Int32)
}

/// What the numbers of a label of several classes are (`--multi_label_format`).
package enum MultiLabelFormat: String, Sendable, CaseIterable {
    /// The classes that a row has: `[0, 2]`.
    case ids
    /// 1 or 0 for each class: `[1, 0, 1]`.
    case multiHot = "multi_hot"
}

/// How labels are read: the kind of problem, the number of outputs, and the names of the classes.
///
/// Made from the training data; validation and inference use the same one.
package struct LabelScheme: Sendable, Equatable {
    package let problemType: ProblemType
    /// `num_labels`.
    package let labelCount: Int
    /// `nil` when classes have no names.
    package let map: LabelMap?
    /// `nil` where it is not known: then a row shows by itself what its list is, or is refused.
    package let format: MultiLabelFormat?

    /// - Parameters:
    ///   - map: Names that say nothing (`LABEL_0` …) count as none.
    ///   - format: How lists of numbers are read where a row has several classes.
    /// - Throws: `DatasetError` when the parts contradict each other.
    package init(
        problemType: ProblemType, labelCount: Int, map: LabelMap? = nil, format: MultiLabelFormat? = nil
    ) throws {
        let map = map.flatMap { $0.isPlaceholder ? nil : $0 }
        guard (1...Self.maximumCount).contains(labelCount) else {
            throw DatasetError("--num_labels must be between 1 and \(Self.maximumCount), not \(labelCount)")
        }
        guard problemType != .singleLabel || labelCount > 1 else {
            throw DatasetError(
                "--problem_type \(problemType.rawValue) with one class has nothing to learn; give --num_labels 2 or more, "
                    + "or --problem_type regression")
        }
        if let map, problemType != .regression, map.count != labelCount {
            throw DatasetError("--num_labels is \(labelCount), but there are \(map.count) class names: \(map)")
        }
        self.problemType = problemType
        self.labelCount = labelCount
        self.map = problemType == .regression ? nil : map
        self.format = format
    }

    /// More is a column of numbers or texts taken for classes.
    static let maximumCount = 1_000_000

    /// What a cache of encoded rows knows it by.
    var cacheWord: String {
        let names = JSONValue.array((map?.names ?? []).map(JSONValue.string)).serialized()
        return "\(problemType.rawValue) \(labelCount) \(format?.rawValue ?? "") \(names)"
    }

    /// The target of a label.
    ///
    /// - Throws: `RowFault` saying what was found and what is wanted.
    package func target(of label: RowLabel) throws -> LabelTarget {
        switch problemType {
        case .regression: .values(try values(label))
        case .singleLabel: .classID(Int32(try classID(label)))
        case .multiLabel: .values(try multiHot(label))
        }
    }

    private func values(_ label: RowLabel) throws -> [Float] {
        let numbers: [Double]
        switch label {
        case .integer(let value): numbers = [Double(value)]
        case .number(let value): numbers = [value]
        case .integers(let values): numbers = values.map(Double.init)
        case .numbers(let values): numbers = values
        case .name(let text) where Double(text.replacing(",", with: ".")) != nil:
            throw fault(label, "a text", wanted: "a number with a decimal point")
        case .name, .names:
            throw fault(label, "a text", wanted: labelCount == 1 ? "a number" : "a list of \(labelCount) numbers")
        }
        guard numbers.count == labelCount else {
            throw fault(
                label, numbers.count == 1 ? "one number" : "\(numbers.count) numbers",
                wanted: "\(labelCount == 1 ? "one number" : "\(labelCount) numbers") (--num_labels \(labelCount))")
        }
        return try numbers.map { number in
            guard number.isFinite, Float(number).isFinite else {
                throw fault(label, "not a finite number", wanted: "a number that fits 32 bits")
            }
            return Float(number)
        }
    }

    private func classID(_ label: RowLabel) throws -> Int {
        switch label {
        case .integer(let value): return try classID(value, label)
        case .number(let value): return try classID(value, label)
        case .name(let name): return try classID(name, label)
        case .integers, .numbers, .names:
            throw fault(label, "a list", wanted: "one class; several need --problem_type multi_label_classification")
        }
    }

    private func multiHot(_ label: RowLabel) throws -> [Float] {
        let numbers: [Int]
        switch label.several {
        case .integers(let values): numbers = values
        case .numbers(let values): numbers = try values.map { try whole($0, label) }
        case .names(let names):
            var result = [Float](repeating: 0, count: labelCount)
            for name in names { result[try classID(name, label)] = 1 }
            return result
        case .integer, .number, .name: numbers = [try classID(label)]
        }
        let areFlags = numbers.count == labelCount && numbers.allSatisfy { $0 == 0 || $0 == 1 }
        // No class is in a row twice.
        let repeats = Set(numbers).count < numbers.count
        if format == nil, areFlags, !repeats, labelCount > 1 {
            throw fault(
                label, "a list that may be the numbers of classes or 0 and 1 for each",
                wanted: "names of classes, or a model whose args.json has a \"multi_label_format\"")
        }
        if format == .multiHot || format == nil && areFlags && repeats {
            guard areFlags else {
                throw fault(
                    label, "not a list of 0 and 1",
                    wanted: "\(labelCount) of them, one for each class "
                        + "(--multi_label_format multi_hot)")
            }
            return numbers.map(Float.init)
        }
        var result = [Float](repeating: 0, count: labelCount)
        for number in numbers {
            let id = try classID(number, label)
            guard result[id] == 0 else {
                throw fault(
                    label, "a list with class \(id) twice",
                    wanted: "the numbers of classes, each once; lists of 0 and "
                        + "1 for each class need --multi_label_format multi_hot")
            }
            result[id] = 1
        }
        return result
    }

    private func whole(_ number: Double, _ label: RowLabel) throws -> Int {
        guard let value = Int(exactly: number) else {
            throw fault(
                label, "not a whole number", wanted: "\(classes); numbers are learned with --problem_type regression")
        }
        return value
    }

    private func classID(_ number: Double, _ label: RowLabel) throws -> Int {
        try classID(whole(number, label), label)
    }

    private func classID(_ number: Int, _ label: RowLabel) throws -> Int {
        guard (0..<labelCount).contains(number) else { throw fault(label, "out of range", wanted: classes) }
        return number
    }

    private func classID(_ name: String, _ label: RowLabel) throws -> Int {
        guard let map else { throw fault(label, "a text", wanted: "\(classes), by number: no class has a name") }
        guard let number = map.number(of: name) else { throw fault(label, "an unknown class", wanted: "one of \(map)") }
        return number
    }

    private var classes: String { "a class from 0 to \(labelCount - 1) (--num_labels \(labelCount))" }

    private func fault(_ label: RowLabel, _ found: String, wanted: String) -> RowFault {
        RowFault("the label \(label.excerpt) is \(found); wanted is \(wanted)")
    }
}
