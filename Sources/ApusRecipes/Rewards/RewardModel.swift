import ApusDatasets
import ApusJSON
import ApusLanguageModel
package import ApusRewards
import ApusText
package import ApusTorch
import ApusTraining
import Foundation
import Synchronization

/// What a trained reward model says of answers: its one score of a conversation that ends with the answer.
///
/// The model is read as `apus infer` reads it, with the template and the settings of the `args.json` beside it, so that the
/// scores are the same.
package final class RewardModel: RewardFunction {
    package let name: String
    private let scorer: Mutex<Scorer>

    /// - Parameters:
    ///   - model: A folder or an id of a model that scores texts, or the folder of an adapter that names its model.
    ///   - adapters: Folders of adapters on the model, as `--reward_adapters` names them.
    /// - Throws: `ModelError` for a model that has not one score; `SettingsError`, `AdapterError`.
    package init(
        _ model: String, adapters: [String] = [], device: Device, dtype: DType? = nil, surroundings: Surroundings
    ) throws {
        name = ModelName.short(model)
        scorer = Mutex(try Scorer(model, adapters: adapters, device: device, dtype: dtype, surroundings: surroundings))
    }

    /// - Returns: nil for an answer that is longer with its question than the model may read, and for a score that is no number.
    package func rewards(of completions: [ApusRewards.Completion]) throws -> [Double?] {
        try scorer.withLock { try $0.scores(completions) }
    }
}

/// The model of a reward, with what makes its input of texts.
private struct Scorer {
    /// Conversations that go through the model together.
    private static let groupSize = 16

    private let model: SequenceClassifier
    private let encoder: SequenceEncoder

    init(
        _ name: String, adapters: [String], device: Device, dtype: DType?, surroundings: Surroundings
    ) throws {
        let isAdapter = FileManager.default.fileExists(atPath: "\(name)/adapter_config.json")
        var words = isAdapter ? [] : ["--model", name]
        let folders = (isAdapter ? [name] : []) + adapters
        if !folders.isEmpty { words += ["--adapters"] + folders }
        var notices: [String] = []
        var settings = try InferSettings(ArgumentLine(words, for: .infer), notices: &notices)
        if let dtype { settings.model.torchDType = dtype }
        let adapted = try AdaptedModel(settings.model, device: device, surroundings: surroundings)
        guard let form = adapted.form as? LoadedClassifier else {
            throw ModelError(
                "the reward model \(name) \(adapted.task.task.activity); wanted one that scores texts with one number, as "
                    + "`apus rlhf --rlhf_type rm` trains it (--task_type seq_cls --num_labels 1).")
        }
        guard form.scheme.labelCount == 1 else {
            throw ModelError(
                "the reward model \(name) has \(form.scheme.labelCount) labels; wanted one, its reward. What tells classes "
                    + "apart is no reward model.")
        }
        model = form.classifier
        encoder = SequenceEncoder(
            settings.encoding, text: try TextParts(adapted.source, of: model, settings.encoding), model: model)
    }

    func scores(_ completions: [ApusRewards.Completion]) throws -> [Double?] {
        let sequences = try completions.map { completion in
            let asked = try completion.messages.map { try Message(.object($0)) }
            let answered = asked + [Message(role: "assistant", content: completion.text)]
            return try encoder.encode(LabelledRow(.messages(answered)))
        }
        // What is too long for the model, it has nothing to say of; the others it does.
        let fitting = sequences.indices.compactMap { index in
            (try? encoder.fitted(sequences[index])).map { (index, $0) }
        }
        var scores = [Double?](repeating: nil, count: completions.count)
        try withoutGradients {
            for start in stride(from: 0, to: fitting.count, by: Self.groupSize) {
                let end = min(start + Self.groupSize, fitting.count)
                let rows = try inHalves(start..<end) { range in
                    let group = fitting[range]
                    let batch = TokenBatch(group.map(\.1.ids), segments: group.map(\.1.segments))
                    return try model.scores(batch, model.context(for: batch)).rows()
                }
                for (place, row) in zip(start..<end, rows) {
                    scores[fitting[place].0] = row[0].isFinite ? row[0] : nil
                }
            }
        }
        return scores
    }
}
