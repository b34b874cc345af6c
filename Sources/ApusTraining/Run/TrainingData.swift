package import ApusDatasets
package import ApusLanguageModel

/// The samples of a run, whatever they teach.
package protocol TrainingSource {
    var count: Int { get }

    /// Tokens of a sample.
    func length(of index: Int) -> Int

    /// The most tokens that a sample can have, where the model adds some.
    func longestLength(of index: Int) -> Int

    /// What the loss of a step over these samples is divided by.
    func targetCount(_ samples: [Int]) -> Int

    /// Makes samples ready, before anything else is asked of them: reads them, or has a model answer and judges it.
    ///
    /// - Parameter step: The steps that are done before the one they are for; nil in an evaluation.
    /// - Returns: What is logged of that.
    /// - Throws: Where they are made only now, and cannot be.
    func prepare(_ samples: [Int], step: Int?) throws -> [Tally]

    /// Whether all that there is was learned from so often within so many samples; asked of streams, whose
    /// epochs no plan knows.
    ///
    /// - Throws: Where that is read only now, and cannot be.
    func hasEnded(epochs: Int, within count: Int) throws -> Bool

    /// Some samples end to end, as one micro-batch.
    ///
    /// - Parameter draw: Names the micro-batch among all of a run, for sources that draw by chance; nil in evaluation.
    func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch
}

extension TrainingSource {
    package var isEmpty: Bool { count == 0 }
    package func longestLength(of index: Int) -> Int { length(of: index) }
    package func prepare(_ samples: [Int], step: Int?) throws -> [Tally] { [] }
    package func hasEnded(epochs: Int, within count: Int) throws -> Bool { false }
}

extension TokenizedDataset: TrainingSource {
    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(samples.map { sample($0) })
    }

    /// How many tokens of these samples are predicted; the first of a sample never is.
    package func targetCount(_ samples: [Int]) -> Int { samples.reduce(0) { $0 + trainedCount(of: $1) } }
}

extension StreamedDataset: TrainingSource {
    package func prepare(_ samples: [Int], step: Int?) throws -> [Tally] {
        try prepare(samples)
        return []
    }

    /// A stream has no end.
    package var count: Int { Int(Int32.max) }

    package func length(of index: Int) -> Int { samples(index).reduce(0) { $0 + $1.ids.count } }

    package func batch(_ indices: [Int], draw: UInt64?) -> TokenBatch {
        TokenBatch(indices.flatMap { samples($0) })
    }

    package func targetCount(_ indices: [Int]) -> Int {
        indices.reduce(0) { $0 + samples($1).reduce(0) { $0 + $1.isTrained.dropFirst().count { $0 } } }
    }
}

extension TokenBatch {
    /// Some samples end to end.
    fileprivate init(_ samples: [TokenizedDataset.Sample]) {
        self.init(weighted: samples.map { ($0.ids, $0.isTrained, $0.weights) })
        channels = samples.map(\.channel)
    }
}

extension ScoredDataset: TrainingSource {
    package func batch(_ samples: [Int], draw: UInt64?) -> TokenBatch {
        let rows = samples.map { sample($0) }
        return TokenBatch(rows.map(\.ids), segments: rows.map(\.segments), labels: SequenceLabels(rows.map(\.target)))
    }

    /// The numbers that are compared: one class, or every element of the values.
    package func targetCount(_ samples: [Int]) -> Int {
        samples.reduce(0) { count, index in
            switch target(of: index) {
            case .values(let values): count + values.count
            case .classID: count + 1
            case nil: count
            }
        }
    }
}

extension SequenceLabels {
    /// Labels of one kind; `none` where a sequence has none.
    package init(_ targets: [LabelTarget?]) {
        var classes: [Int32] = []
        var values: [Float] = []
        for target in targets {
            switch target {
            case .classID(let id): classes.append(id)
            case .values(let numbers): values += numbers
            case nil: break
            }
        }
        if classes.count == targets.count {
            self = .classes(classes)
        } else if classes.isEmpty, !values.isEmpty, values.count % targets.count == 0 {
            self = .values(values, width: values.count / targets.count)
        } else {
            self = .none
        }
    }
}
