import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusQuantization
import ApusTorch
import ApusWeights
import Foundation

/// Folds adapters into their model, or brings the model into fewer bits, or both, and writes a Hugging Face folder; or makes
/// one adapter of several.
public struct ModelExport {
    private let settings: ExportSettings
    private let surroundings: Surroundings

    public init(_ settings: ExportSettings, surroundings: Surroundings = Surroundings()) {
        self.settings = settings
        self.surroundings = surroundings
    }

    /// - Returns: The folder that was written.
    public func callAsFunction() throws -> String {
        guard !settings.mergeLoRA || !settings.model.adapters.isEmpty else {
            throw ModelError("--adapters: not given. Give the checkpoint whose adapter is to be merged.")
        }
        let output = settings.outputDirectory
        if FileManager.default.fileExists(atPath: output), !settings.existOK {
            throw ModelError(
                "--output_dir \(output) is there already. Remove it, name another, or add --exist_ok true.")
        }
        if let kind = settings.combination.kind {
            return try AdapterCombining(settings: settings, kind: kind, surroundings: surroundings)()
        }
        if settings.convertsToLoRA { return try convert(to: output) }
        let options = settings.model.quantization
        var model = settings.model
        // An adapter is merged into weights in full, also one that was trained over quantised ones.
        if settings.mergeLoRA { model.quantization = QuantizationOptions() }
        let adapted = try AdaptedModel(model, device: settings.hardware.chosen, surroundings: surroundings)
        if options.method != nil, try adapted.source.bitsAndBytes(adapted.config) != nil {
            throw ModelError(
                "--quant_method: the weights of \(adapted.source.name) are quantised already. Give the model in its original "
                    + "precision.")
        }
        for adapter in adapted.attached { try adapter.merge() }
        let quantization = options.settings(for: adapted.form.model.dtype)
        if settings.mergeLoRA, let quantization {
            try QuantizedLayers.quantize(adapted.form.model, as: quantization)
        }
        let adapter = settings.model.adapters.first
        try adapted.write(
            to: output, arguments: adapter.flatMap { FileManager.default.contents(atPath: "\($0)/args.json") },
            shardSize: settings.maxShardBytes,
            identity: adapter.map { ["merged": .string($0)] } ?? ["quantised": .string(adapted.source.name)],
            quantization: quantization.map { ($0, options.storageType ?? .uint8) })
        return output
    }
}

extension ModelExport {
    /// Writes what an adapter has changed since its start as a plain one, PEFT's `path_initial_model_for_weight_conversion`;
    /// the start follows from the base model.
    private func convert(to output: String) throws -> String {
        let adapted = try AdaptedModel(settings.model, device: settings.hardware.chosen, surroundings: surroundings)
        guard let adapter = adapted.attached.first, let path = settings.model.adapters.first else { return output }
        let (tensors, configuration) = try adapter.change()
        let folder = try AtomicDirectory(output)
        try SafetensorsWriter.write(
            tensors.map { WeightSource($0.name, $0.tensor) }, to: folder.path(for: AdapterFiles.weightsName))
        try folder.write(Data(configuration.utf8), as: AdapterFiles.configurationName)
        if let arguments = FileManager.default.contents(atPath: "\(path)/args.json") {
            try folder.write(arguments, as: "args.json")
        }
        try folder.commit(identity: ["converted": .string(path)])
        return output
    }
}

extension AdaptedModel {
    /// Writes the model as a Hugging Face folder, whole or not at all.
    ///
    /// - Parameter quantization: How its matrices were quantised, and the type under whose name bytes are written.
    func write(
        to output: String, arguments: Data?, shardSize: Int?, identity: JSONValue,
        quantization: (settings: QuantizationSettings, storage: DType)? = nil
    ) throws {
        let folder = try AtomicDirectory(output)
        let contents = ModelContents(
            model: form.model, source: source, config: config, labels: form.labels, companions: form.companions,
            arguments: arguments, shardSize: shardSize, quantization: quantization)
        try contents.write(into: folder)
        try folder.commit(identity: identity)
    }
}
