package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// What compares the model in training with a reference, sample by sample.
package protocol ComparedObjective: AnyObject, Objective {
    /// What the model is compared with.
    var reference: Reference { get set }
    /// What lets the reference follow the model; nil where it stays as it is.
    var moving: MovingReference? { get set }

    /// Asks the reference about every sample before the run.
    func rememberReference(_ sources: [any TrainingSource], size: Int, progress: (Int) -> Void) throws
}

/// What a model in training is compared with.
package enum Reference {
    /// Nothing: the loss asks for none.
    case none
    /// The model itself with some of its adapters, or with none of them.
    case adapters(AdapterSelection)
    /// Another model of the same vocabulary.
    case model(CausalLanguageModel)
    /// What it says was asked before the run; only samples that were asked about can be learned.
    case known(ReferenceScores)

    /// `Σ log p` of the targets of each sequence, S, without gradients; nil where there is no reference.
    ///
    /// - Parameters:
    ///   - place: What a sequence is called in scores that are known: the number of its sample, and its place there.
    ///   - isTraining: Whether it is for a step; attention goes by groups then where the trained model's does.
    func sums(
        _ batch: TokenBatch, trained: CausalLanguageModel, isTraining: Bool, place: (Int) -> (sample: Int32, place: Int)
    ) throws -> [Double]? {
        guard case .known(let scores) = self else {
            return try losses(batch, trained: trained, isTraining: isTraining).map { losses in
                batch.targetRanges.map { range in -range.reduce(0) { $0 + losses[$1] } }
            }
        }
        return try (0..<batch.sequenceCount).map { sequence in
            let (sample, place) = place(sequence)
            guard let sum = scores.sums[sample]?[place] else {
                throw ModelError("the reference was not asked about a sample before the run")
            }
            return sum
        }
    }

    /// `−log p` of each target, N, without gradients; nil where there is no reference that can be asked.
    ///
    /// - Parameter temperature: What scores are divided by.
    func losses(
        _ batch: TokenBatch, trained: CausalLanguageModel, isTraining: Bool, temperature: Double = 1
    ) throws -> [Double]? {
        func losses(_ model: CausalLanguageModel, _ adapters: AdapterSelection?) throws -> [Double] {
            let context = try model.context(for: batch, adapters: adapters, groupsAttention: isTraining)
            return try TokenScores(model, batch, context, temperature: temperature).values
        }
        return try withoutGradients {
            switch self {
            case .none, .known: nil
            case .adapters(let selection): try losses(trained, selection)
            case .model(let model): try losses(model, nil)
            }
        }
    }
}

/// `Σ log p` of each sequence of each sample under a reference.
package struct ReferenceScores: Sendable {
    /// By the number of the sample.
    var sums: [Int32: [Double]] = [:]
}

extension Reference {
    /// Asks about every sample of some sources, so that what it takes to ask can be given back.
    ///
    /// - Parameters:
    ///   - size: Samples that are asked about together.
    ///   - place: As for `sums`, for each sequence of a batch.
    ///   - progress: Sees how many samples are done.
    func remembered(
        _ sources: [any TrainingSource], trained: CausalLanguageModel, size: Int,
        place: (TokenBatch, Int) -> (sample: Int32, place: Int), progress: (Int) -> Void
    ) throws -> Reference {
        if case .none = self { return self }
        var scores = ReferenceScores()
        var done = 0
        for (number, source) in sources.enumerated() where !source.isEmpty {
            for start in stride(from: 0, to: source.count, by: size) {
                let samples = Array(start..<min(start + size, source.count))
                let batch = source.batch(samples, draw: nil)
                let found = try sums(batch, trained: trained, isTraining: number == 0) { place(batch, $0) }
                for (sequence, sum) in (found ?? []).enumerated() {
                    let (sample, place) = place(batch, sequence)
                    var known = scores.sums[sample] ?? []
                    while known.count <= place { known.append(.nan) }
                    known[place] = sum
                    scores.sums[sample] = known
                }
                done += samples.count
                progress(done)
            }
        }
        return .known(scores)
    }
}

extension TokenBatch {
    /// What is known of its sequences in groups.
    var sequenceGroups: [SequenceGroup] { if case .groups(let groups) = labels { groups } else { [] } }
}
