import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusOptimizers
import ApusRewards
import ApusTorch
import ApusTraining
import Crypto
import Foundation

/// What makes a run compute the numbers it does: model, data, seed and settings.
///
/// It is stored with every checkpoint, and a run that resumes must have the same.
struct RunIdentity {
    private let settings: SFTSettings
    /// Whether a step is the same however it is cut into micro-batches.
    private let isAdditive: Bool
    let json: JSONValue

    /// - Parameters:
    ///   - dtype: The type of the weights, as it was settled.
    ///   - weights: The mark of the files of the weights that a checkpoint does not hold; nil where it holds all.
    ///   - task: Nil before the data are read; what it decides is compared later then.
    ///   - totalSteps: The steps of the whole run.
    init(
        _ settings: SFTSettings, config: JSONValue, dtype: DType, weights: String?, task: TrainingTask?,
        totalSteps: Int?
    ) {
        self.settings = settings
        isAdditive = task?.objective.isAdditive ?? true
        var identity = JSONObject()
        let values = settings.record
        for name in settings.decisiveOptions { identity[name] = values[name] }
        if let own = settings.tuner.own { identity["own_method"] = .string(own.name) }
        identity["torch_dtype"] = .string(dtype.rawValue)
        identity["model_config"] = .string(Self.digest(config.serialized(sortedKeys: true)))
        if let weights { identity[Self.baseWeights] = .string(weights) }
        if let totalSteps { identity["total_steps"] = .int(totalSteps) }
        if let own = settings.preferences?.ownRewards, !own.isEmpty {
            identity["own_rewards"] = .array(own.map { .string($0.name) })
        }
        if let data = task?.samples {
            identity["train_data"] = .string(data.fingerprint)
            identity["train_samples"] = .int(data.train.count)
        }
        json = .object(identity)
    }

    /// Compares with what a checkpoint was saved with.
    ///
    /// A setting that the checkpoint does not name is younger than it, so it was made with what is now the default. A
    /// longer or shorter run is the same run, and so is a step that is cut into other micro-batches, unless something
    /// looks at a micro-batch as a whole.
    ///
    /// - Returns: A line for each difference that makes it another run.
    func differences(from saved: JSONValue) -> [String] {
        var lines: [String] = []
        func compare(_ key: String, _ here: JSONValue?, _ there: JSONValue?, because reason: String? = nil) {
            let (here, there) = (here ?? .null, there ?? .null)
            guard here != there else { return }
            let why = reason.map { "; \($0)" } ?? ""
            lines.append("\(key): \(there.serialized()) there, \(here.serialized()) here\(why)")
        }
        for key in json.objectValue?.keys ?? [] where !Self.comparedTogether.contains(key) {
            compare(key, json[key], saved[key] ?? defaultValue(of: key))
        }
        for key in saved.objectValue?.keys ?? [] where json[key] == nil && !Self.isKnown(key) {
            lines.append(
                "\(key): \(saved[key]?.serialized() ?? "") there, which this Apus does not know; use a newer one")
        }
        compareBatches(saved, compare)
        // Older checkpoints do not tell.
        if let there = saved[Self.baseWeights], let here = json[Self.baseWeights], there != here {
            lines.append(
                "the weights in --model \(settings.model.name ?? "") are others than those that the adapter was trained "
                    + "over, though config.json is the same")
        }
        if let here = json["train_data"] {
            compare(
                "train_data", here, saved["train_data"],
                because: sampleCounts(saved) + "the order in which they come is another, so a place in it means nothing"
            )
        }
        return lines
    }

    /// What goes on otherwise than the checkpoint's run would have, though it is the same run.
    ///
    /// - Parameter rate: The learning rate after a number of steps, for a run of so many steps in all.
    func changes(from saved: JSONValue, step: Int, rate: (_ totalSteps: Int) throws -> Double) rethrows -> [String] {
        var lines: [String] = []
        if let there = saved["total_steps"]?.intValue, let here = json["total_steps"]?.intValue, there != here {
            let (before, after) = (try rate(there), try rate(here))
            lines.append(
                "the run now ends at step \(here), not \(there)"
                    + (before == after
                        ? ""
                        : ", and \(settings.optimization.lrSchedulerType.rawValue) spans all of it: at step \(step) the learning rate "
                            + "goes on at \(Self.short(after)), where the saved run had \(Self.short(before))"))
        }
        let (there, here) = (Self.batch(saved), Self.batch(json))
        if let there, let here, there != here {
            lines.append(
                "each step is now \(here.size) × \(here.count) samples, not \(there.size) × \(there.count): the same samples, "
                    + "summed in another order"
                    + (drawsByBatch ? ", with other random draws" : ""))
        }
        return lines
    }

    // MARK: - Parts

    private static let baseWeights = "base_weights"

    private static let comparedTogether: Set<String> = [
        baseWeights,
        "per_device_train_batch_size", "gradient_accumulation_steps", "total_steps", "train_data", "train_samples",
    ]

    /// Whether an option decides nothing about the numbers, or is compared under another name.
    private static func isKnown(_ key: String) -> Bool {
        comparedTogether.contains(key) || key == "swift_version"
            || [Command.sft, .rlhf].contains { OptionTable.table(for: $0)[key] != nil }
    }

    private var drawsByBatch: Bool {
        // While preferences are learned nothing is dropped, but from a model's own answers.
        settings.preferences.map { $0.method == .grpo } ?? true
            && (settings.taskType.task.drawsSamples || settings.objective.neftuneNoiseAlpha ?? 0 > 0
                || settings.model.tunerType.options.contains("lora_dropout") && settings.tuner.loraDropout > 0)
    }

    /// What a setting is when it is not given.
    private func defaultValue(of key: String) -> JSONValue? { settings.assumed(key) }

    private static func batch(_ identity: JSONValue) -> (size: Int, count: Int)? {
        guard let size = identity["per_device_train_batch_size"]?.intValue,
            let count = identity["gradient_accumulation_steps"]?.intValue
        else { return nil }
        return (size, count)
    }

    private func compareBatches(
        _ saved: JSONValue, _ compare: (String, JSONValue?, JSONValue?, String?) -> Void
    ) {
        guard let there = Self.batch(saved), let here = Self.batch(json), there != here else { return }
        func text(_ batch: (size: Int, count: Int)) -> JSONValue { .string("\(batch.size) × \(batch.count)") }
        let reason: String? =
            if there.size * there.count != here.size * here.count {
                "a step must keep its \(there.size * there.count) samples; any micro-batch that divides them will do"
            } else if settings.lossType == .infoNCE {
                "infonce learns from all samples of a micro-batch together"
            } else if settings.preferences?.comparesPairs == true {
                "this loss compares the pairs of a micro-batch with each other"
            } else if settings.preferences?.policy.stepsPerGeneration != nil {
                "--steps_per_generation makes rounds of so many whole micro-batches"
            } else if settings.preferences?.learnsExperts == true {
                "so many rows of --chord_sft_dataset are learned beside each micro-batch"
            } else if !isAdditive {
                "what is minimised looks at the samples of a micro-batch together"
            } else if settings.batches.groupByLength {
                "--group_by_length makes groups of the size of the micro-batch"
            } else if settings.data.dataloaderDropLast {
                "--dataloader_drop_last leaves out samples by the size of the micro-batch"
            } else {
                nil
            }
        guard let reason else { return }
        compare("per_device_train_batch_size × gradient_accumulation_steps", text(here), text(there), reason)
    }

    private func sampleCounts(_ saved: JSONValue) -> String {
        guard let there = saved["train_samples"]?.intValue, let here = json["train_samples"]?.intValue, there != here
        else { return "the samples differ: " }
        return "\(there) samples there, \(here) here: "
    }

    private static func short(_ rate: Double) -> String { String(format: "%.4g", rate) }

    private static func digest(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).prefix(16).map { String(format: "%02x", $0) }.joined()
    }
}
