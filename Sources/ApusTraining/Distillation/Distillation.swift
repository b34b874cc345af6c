package import ApusLanguageModel
package import ApusNN
import ApusTorch

/// Learning what a teacher finds probable behind each token of answers (GKD).
///
/// The sum over tokens of `JSD_β(student, teacher) + α · (-log p)`, the last of answers of the data alone. Agarwal et al. 2023,
/// <https://arxiv.org/abs/2306.13649>. A batch holds what the model reads and, where the teacher reads other words before
/// some answer, behind it as many sequences that the teacher reads.
package final class Distillation: Objective {
    private let model: CausalLanguageModel
    private let form: DivergenceForm
    /// Who is learned from.
    package var teacher = Reference.none

    package init(_ model: CausalLanguageModel, _ form: DivergenceForm) {
        self.model = model
        self.form = form
    }

    package static func metricNames(_ form: DivergenceForm) -> [String] {
        form.likelihoodWeight > 0 ? ["loss", "jsd", "nll_loss"] : ["loss"]
    }

    /// Tokens are spread over experts by the micro-batch.
    package var isAdditive: Bool { model.trunk.routerLossWeight == nil }

    package func loss(_ batch: TokenBatch, _ context: ForwardContext) throws -> MicroLoss {
        let count = batch.sequenceGroups.count
        guard count > 0, batch.sequenceCount % count == 0 else {
            throw ModelError("what a teacher reads is not known of these samples")
        }
        let read = batch.sequenceCount == count ? batch : batch.sequences(0..<count)
        let ofTeacher = batch.sequenceCount == count ? batch : batch.sequences(count..<batch.sequenceCount)
        guard read.targets.labels == ofTeacher.targets.labels else {
            throw ModelError("the teacher reads another answer than the model")
        }
        // First, so that nothing of the model's own pass lies beside the teacher's.
        let taught = try taught(ofTeacher, isTraining: context.isTraining)
        let own = try context.undropped(read, of: model)
        let hidden = try model.hiddenStates(read, own)  // [T, D]
        let rows = try hidden.indexed(0, Tensor(read.targets.rows, device: hidden.device))  // [N, D]
        let targets = read.targets.count
        var form = form
        if batch.isSampled { form.likelihoodWeight = 0 }
        let sums = try model.head.divergence(
            rows, from: taught, labels: Tensor(read.targets.labels, device: hidden.device), form, own)
        var loss = sums.loss
        var tallies: [Tally] = []
        if self.form.likelihoodWeight > 0 { tallies.append(Tally("jsd", sums.divergence, count: targets)) }
        if let likelihood = sums.likelihood { tallies.append(Tally("nll_loss", likelihood, count: targets)) }
        if let weight = model.trunk.routerLossWeight, let balance = try own.balance?.loss() {
            let share = try balance.to(loss.dtype) * Double(targets)
            loss = try loss + share * weight
            tallies.append(Tally("aux_loss", try share.detached(), count: targets))
        }
        return MicroLoss(sum: loss, targets: targets, tallies: tallies)
    }

    /// The rows of the teacher's hidden states behind which the targets come.
    private func taught(_ batch: TokenBatch, isTraining: Bool) throws -> TeacherRows {
        func rows(_ model: CausalLanguageModel, _ adapters: AdapterSelection?) throws -> TeacherRows {
            let context = try model.context(for: batch, adapters: adapters, groupsAttention: isTraining)
            let hidden = try model.hiddenStates(batch, context)
            return TeacherRows(
                model.head, rows: try hidden.indexed(0, Tensor(batch.targets.rows, device: hidden.device)), context)
        }
        return try withoutGradients {
            switch teacher {
            case .none, .known: throw ModelError("there is no teacher to learn from")
            case .adapters(let selection): try rows(model, selection)
            case .model(let other): try rows(other, nil)
            }
        }
    }
}
