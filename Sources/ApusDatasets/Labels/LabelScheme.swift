/// What is learned from a label, by the name that a `config.json` has for it (`problem_type`).
package enum ProblemType: String, Sendable, CaseIterable {
    /// One or more numbers.
    case regression
    /// One of several classes.
    case singleLabel = "single_label_classification"
    /// Any of several classes.
    case multiLabel = "multi_label_classification"
}

/// What a model is to give for a row.
package enum LabelTarget: Sendable, Equatable {
    /// `num_labels` numbers: those of a regression, or 1 for each class that a row has and 0 for the others.
    case values([Float])
    case classID(Int32)
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

    /// - Parameter map: Names that say nothing (`LABEL_0` …) count as none.
    /// - Throws: `DatasetError` when the parts contradict each other.
    package init(problemType: ProblemType, labelCount: Int, map: LabelMap? = nil) throws {
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
    }

    /// More is a column of numbers or texts taken for classes.
    static let maximumCount = 1_000_000

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
        let numbers =
            switch label {
            case .integers(let values): try values.map { try classID($0, label) }
            case .numbers(let values): try values.map { try classID($0, label) }
            case .names(let names): try names.map { try classID($0, label) }
            case .integer, .number, .name: [try classID(label)]
            }
        var result = [Float](repeating: 0, count: labelCount)
        for number in numbers { result[number] = 1 }
        return result
    }

    private func classID(_ number: Double, _ label: RowLabel) throws -> Int {
        guard let value = Int(exactly: number) else {
            throw fault(
                label, "not a whole number", wanted: "\(classes); numbers are learned with --problem_type regression")
        }
        return try classID(value, label)
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
