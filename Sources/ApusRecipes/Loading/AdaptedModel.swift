import ApusAdapters
import ApusJSON
import ApusLanguageModel
import ApusTorch
import Foundation

/// A base model with an adapter on it, as `--model` and `--adapters` name them.
struct AdaptedModel {
    let language: LanguageModel
    let attached: AttachedLoRA?

    /// - Throws: `AdapterError` when the adapter does not fit, or when no base model is named anywhere.
    init(model: String?, adapters: [String], dtype: DType?, device: Device, surroundings: Surroundings) throws {
        guard adapters.count <= 1 else {
            throw AdapterError(
                "--adapters: one adapter at a time is there for now, got \(adapters.count). "
                    + "Merge one first (apus merge-lora), then give the other.")
        }
        let configuration = try adapters.first.map { try LoRAFiles.configuration(in: $0) }
        guard let name = model ?? configuration?.baseModel else {
            throw ModelError(
                "--model: not given"
                    + (adapters.isEmpty
                        ? ". Give a model or a checkpoint."
                        : ", and \(adapters[0]) does not name its base model. Give it."))
        }
        language = try LanguageModel(ModelSource(name, surroundings: surroundings), dtype: dtype, device: device)
        guard let configuration, let folder = adapters.first else {
            attached = nil
            return
        }
        let attached = try configuration.attach(to: language.model)
        try attached.load(from: folder, device: device)
        self.attached = attached
    }
}

extension WeightType {
    var dtype: DType {
        switch self {
        case .bfloat16: .bfloat16
        case .float16: .float16
        case .float32: .float32
        }
    }
}
