package import ApusNN
package import ApusOptimizers
package import ApusTorch

/// One optimizer step: the gradients of its micro-batches are summed, over all processes too, clipped, judged, followed.
///
/// Whoever has a loss uses it, micro-batch by micro-batch; where batches come from is not its business.
package final class UpdateStep {
    package enum Verdict: Sendable, Equatable {
        /// The parameters were moved.
        case done
        /// The gradients were too large for float16 at this scale of the loss; nothing moved, the next scale is smaller.
        case overflowed
        /// The loss or a gradient is infinite or no number; nothing moved.
        case notFinite
    }

    package struct Outcome: Sendable, Equatable {
        /// The loss of the whole step.
        package let loss: Double
        /// The 2-norm of all gradients before clipping.
        package let norm: Double
        package let verdict: Verdict
    }

    private let trained: [TrainedParameter]
    private let optimizer: any Optimizer
    private let scaler: LossScaler?
    private let participants: [any StepParticipant]
    private let maximumNorm: Double
    private let group: any ProcessGroup
    private var parts: [(sum: Tensor, targets: Int)] = []
    /// What is done with gradients while a backward pass runs; nil where they wait for its end.
    private var following: Following?

    /// - SeeAlso: `follow`
    private struct Following {
        /// What gradients are multiplied by and followed with; nil where they are measured alone.
        var factor: Double?
        let rate: Double
        var squares = 0.0
        var isFinite = true
    }

    /// - Parameters:
    ///   - scaler: For models that compute in float16.
    ///   - participants: What takes part in the steps beside loss and optimizer.
    ///   - maximumNorm: The longest common gradient; 0 sets no limit.
    package init(
        _ trained: [TrainedParameter], optimizer: any Optimizer, scaler: LossScaler? = nil,
        participants: [any StepParticipant] = [], maximumNorm: Double,
        group: any ProcessGroup = SingleProcess()
    ) {
        self.trained = trained
        self.optimizer = optimizer
        self.scaler = scaler
        self.participants = participants
        self.maximumNorm = maximumNorm
        self.group = group
    }

    /// What a resumed run needs beside the weights and the progress.
    package var states: [any ResumableState] { Self.states(optimizer, scaler, participants) }

    /// The same before there is a step to make, which is when a checkpoint is taken up.
    package static func states(
        _ optimizer: any Optimizer, _ scaler: LossScaler?, _ participants: [any StepParticipant]
    ) -> [any ResumableState] {
        [optimizer] + (scaler.map { [$0] } ?? []) + participants
    }

    /// Before the first step, which is the one after so many.
    package func start(at step: Int) throws {
        for participant in participants { try participant.starting(at: step) }
    }

    /// Steps that moved nothing because float16 overflowed.
    package func skippedSteps() throws -> Int { try scaler?.skippedSteps() ?? 0 }

    /// The present scale of the loss; nil without one.
    package func lossScale() throws -> Double? { try scaler?.scale() }

    /// Adds the gradient of `sum / targets`.
    ///
    /// - Parameters:
    ///   - sum: The summed losses of a micro-batch, a scalar.
    ///   - targets: The targets of the whole step, of all processes. Dividing by the whole step's count makes accumulation
    ///     exact, whatever the micro-batches.
    package func accumulate(_ sum: Tensor, targets: Int) throws {
        try (sum * ((scaler?.scale() ?? 1) / Double(max(targets, 1)))).backward()
        for parameter in trained { try parameter.collectGradient() }
        parts.append((try sum.detached(), max(targets, 1)))
    }

    /// Forgets what was accumulated, also of a backward pass that failed on its way.
    package func forget() {
        parts = []
        for parameter in trained { parameter.clearGradient() }
        following = nil
    }

    /// Whether gradients are followed while the backward pass runs (LOMO), so that a step is one micro-batch.
    package var followsInPass: Bool { optimizer is any BackwardOptimizer }

    /// Runs the backward pass of `sum / targets` and follows each gradient when it is complete.
    ///
    /// Where gradients are clipped, a pass before finds their norm, and drops them as they come.
    ///
    /// - Parameter loss: The summed losses of the step's samples, for each pass.
    package func follow(rate: Double, targets: Int, _ loss: () throws -> Tensor) throws {
        guard let optimizer = optimizer as? any BackwardOptimizer else { return }
        let count = Double(max(targets, 1))
        let sum = try loss()
        parts.append((try sum.detached(), max(targets, 1)))
        guard try sum.item().isFinite else {
            following = Following(rate: rate, squares: .nan, isFinite: false)
            return
        }
        var factor = 1.0
        var squares: Double?
        var last = sum
        if maximumNorm > 0 {
            following = Following(rate: rate)
            try (last / count).backward()
            try flush()
            squares = following?.squares
            guard let squares, squares.isFinite else { return }
            factor = min(1, maximumNorm / (squares.squareRoot() + 1e-6))
            last = try loss()
        }
        try optimizer.beginStep()
        following = Following(factor: factor, rate: rate)
        try (last / count).backward()
        try flush()
        // What is logged is the norm before clipping.
        if let squares { following?.squares = squares }
    }

    /// Follows the gradients that are there, and forgets them; layers call it while the backward pass runs.
    package func flush() throws {
        guard let optimizer = optimizer as? any BackwardOptimizer, following != nil else { return }
        try withoutGradients {
            for parameter in trained {
                guard let gradient = parameter.tensor.gradient else { continue }
                let norm = try totalNorm([gradient]).item()
                following?.squares += norm * norm
                if !norm.isFinite { following?.isFinite = false }
                if let following, let factor = following.factor, norm.isFinite {
                    try optimizer.follow(
                        factor < 1 ? gradient * factor : gradient, of: parameter, rate: following.rate)
                }
                parameter.clearGradient()
            }
        }
    }

    /// What the participants add to the loss of a step.
    package func penalty() throws -> Double {
        try withoutGradients { try participants.reduce(0) { $0 + (try $1.penalty()?.item() ?? 0) } }
    }

    /// Does something with the weights that were found, where the optimizer trains others.
    package func withFoundWeights(_ body: () throws -> Void) throws {
        guard let optimizer = optimizer as? any AveragingOptimizer else { return try body() }
        try optimizer.useAverage()
        do {
            try body()
        } catch {
            // Whoever saves what there is before the run ends must find the weights that train.
            try optimizer.useTraining()
            throw error
        }
        try optimizer.useTraining()
    }

    /// Clips, judges and follows what was accumulated, and forgets it.
    ///
    /// - Parameter step: Steps of the run that are done with this one.
    package func callAsFunction(rate: Double, step: Int) throws -> Outcome {
        defer { forget() }
        let made = try following.map { try outcome(of: $0, step: step) } ?? moved(rate: rate, step: step)
        for participant in participants { try participant.passed(step) }
        return made
    }

    private func moved(rate: Double, step: Int) throws -> Outcome {
        for penalty in try participants.compactMap({ try $0.penalty() }) {
            try accumulate(penalty, targets: group.count)
        }
        let gradients = trained.compactMap(\.gradient)
        try group.sum(gradients)
        if let scaler, let first = gradients.first {
            try scaleAll(gradients, by: Tensor.full([], 1 / scaler.scale(), device: first.device))
        }
        let (norm, own) = try figures(clipGradients(of: trained, to: maximumNorm))
        let loss = try group.sum([own])[0]
        let verdict = try judge(loss: loss, norm: norm)
        if verdict == .done {
            try optimizer.step(rate: rate)
            for participant in participants { try participant.stepped(to: step) }
        }
        return Outcome(loss: loss, norm: norm, verdict: verdict)
    }

    /// The norm and the loss, for which the device is waited for once.
    private func figures(_ norm: Tensor) throws -> (norm: Double, loss: Double) {
        guard let first = parts.first?.sum else { return (try norm.item(), 0) }
        // What a device cannot hold is rounded.
        let wide: DType = first.device == .mps ? .float32 : .float64
        let all: [Double] = try stacked(
            ([norm] + parts.map(\.sum)).map { try $0.to(wide).to(first.device) }, axis: 0
        ).values()
        return (all[0], zip(all.dropFirst(), parts).reduce(0) { $0 + $1.0 / Double($1.1.targets) })
    }

    /// The outcome of a step whose gradients were followed in the pass.
    private func outcome(of following: Following, step: Int) throws -> Outcome {
        let loss = try parts.reduce(0.0) { $0 + (try $1.sum.item()) / Double($1.targets) }
        let isFinite = loss.isFinite && following.isFinite && following.squares.isFinite
        if isFinite { for participant in participants { try participant.stepped(to: step) } }
        return Outcome(loss: loss, norm: following.squares.squareRoot(), verdict: isFinite ? .done : .notFinite)
    }

    private func judge(loss: Double, norm: Double) throws -> Verdict {
        if loss.isFinite && norm.isFinite {
            try scaler?.noteStep()
            return .done
        }
        // Below 1 the scale is not to blame.
        guard loss.isFinite, let scaler, try scaler.scale() > 1 else { return .notFinite }
        try scaler.noteOverflow()
        return .overflowed
    }
}
