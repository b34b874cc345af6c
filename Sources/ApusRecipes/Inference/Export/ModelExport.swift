import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusQuantization
import ApusRunLog
import ApusTorch
import ApusWeights
import Foundation

/// Folds adapters into their model, brings the model into another type or fewer bits, and writes a Hugging Face folder
/// or a GGUF file; or makes one adapter of several.
package struct ModelExport {
    private let settings: ExportSettings
    private let surroundings: Surroundings

    package init(_ settings: ExportSettings, surroundings: Surroundings = Surroundings()) {
        self.settings = settings
        self.surroundings = surroundings.reaching(settings.hub)
    }

    /// - Returns: The folder that was written, or published as it is.
    package func callAsFunction() throws -> String {
        guard settings.hub.push else {
            let folder = try exported()
            Console(style: ConsoleStyle(environment: surroundings.environment)).print(
                NextCommand.afterExport(folder, settings))
            return folder
        }
        let existing = settings.writesNothing ? try publishedAsItIs() : nil
        let publisher = try HubPublisher(
            settings.hub, name: FilePath.lastComponent(of: existing ?? settings.outputDirectory),
            surroundings: surroundings)
        let folder = try existing ?? exported()
        try publisher.publish(folder, base: settings.model.name, what: "Upload by apus export")
        return folder
    }

    /// The folder of the adapter or model that is published as it is.
    private func publishedAsItIs() throws -> String {
        let name = settings.model.adapters.first ?? settings.model.name ?? ""
        guard FileManager.default.fileExists(atPath: name) else {
            throw ModelError("--push_to_hub true: \(name) is no folder of this machine. Give the folder to publish.")
        }
        return name
    }

    private func exported() throws -> String {
        guard !settings.mergeLoRA || !settings.model.adapters.isEmpty else {
            throw ModelError("--adapters: not given. Give the checkpoint whose adapter is to be merged.")
        }
        let output = settings.outputDirectory
        if FileManager.default.fileExists(atPath: output), !settings.existOK {
            throw ModelError(
                "--output_dir \(output) is there already. Remove it, name another, or add --exist_ok true.")
        }
        try OutputPlace.check(FilePath.parent(of: output), "output_dir")
        if let kind = settings.combination.kind {
            return try AdapterCombining(settings: settings, kind: kind, surroundings: surroundings)()
        }
        if settings.convertsToLoRA {
            return try AdapterConversion(settings: settings, surroundings: surroundings)()
        }
        let console = Console(style: ConsoleStyle(environment: surroundings.environment))
        let (folder, check) = try written(console)
        // The model in memory is gone by now; a second one is read from the file.
        if let check, settings.toGGUF, settings.ggufType.isFloat {
            let file = try folder.path(for: settings.ggufName)
            let difference = try check.difference(ofGGUF: file, type: settings.ggufType.dtype)
            console.print("note: \(difference.sentence(settings.ggufName))")
            try difference.check(settings.ggufName)
        }
        let adapter = settings.model.adapters.first
        let name = settings.model.name ?? ""
        let key = adapter != nil ? "merged" : settings.model.quantization.method != nil ? "quantised" : "converted"
        try folder.commit(identity: [key: .string(adapter ?? name)])
        return output
    }

    /// Writes all files.
    ///
    /// - Returns: The folder before it is committed, and what the model answered with its adapters, if it had some.
    private func written(_ console: Console) throws -> (folder: AtomicDirectory, check: MergeCheck?) {
        let options = settings.model.quantization
        var model = settings.model
        // An adapter is merged into weights in full, also one that was trained over quantised ones.
        if settings.mergeLoRA { model.quantization = QuantizationOptions() }
        let adapted = try AdaptedModel(model, device: settings.hardware.chosen, surroundings: surroundings)
        let keepsWeights = settings.mergeLoRA && options.method == nil && !settings.toGGUF
        if !keepsWeights, try adapted.source.bitsAndBytes(adapted.config) != nil {
            throw ModelError(
                "--model: the weights of \(adapted.source.name) are quantised already, and would be rounded again. Give the "
                    + "model in its original precision.")
        }
        for notice in adapted.notices { console.print("note: \(notice)") }
        let check = settings.mergeLoRA ? try MergeCheck(adapted.form.model) : nil
        for adapter in adapted.attached { try adapter.merge() }
        if let difference = try check?.difference(of: adapted.form.model) {
            console.print("note: \(difference.sentence("the merged model"))")
            try difference.check("the merged model")
        }
        if settings.toGGUF {
            let export = try GGUFExport(adapted, type: settings.ggufType, name: settings.ggufName)
            for notice in export.notices { console.print("note: \(notice)") }
            let folder = try AtomicDirectory(settings.outputDirectory)
            try export.write(into: folder)
            return (folder, check)
        }
        let quantization = options.settings(for: adapted.form.model.dtype)
        if settings.mergeLoRA, let quantization {
            try QuantizedLayers.quantize(adapted.form.model, as: quantization)
        }
        let arguments = settings.model.adapters.first.flatMap {
            FileManager.default.contents(atPath: "\($0)/args.json").flatMap(Secrets.removed(fromRecord:))
        }
        let folder = try AtomicDirectory(settings.outputDirectory)
        try adapted.contents(
            arguments: arguments, shardSize: settings.maxShardBytes,
            quantization: quantization.map { ($0, options.storageType ?? .uint8) }
        ).write(into: folder)
        return (folder, check)
    }
}

extension AdaptedModel {
    /// The model as a Hugging Face folder.
    ///
    /// - Parameter quantization: How its matrices were quantised, and the type under whose name bytes are written.
    func contents(
        arguments: Data?, shardSize: Int?, quantization: (settings: QuantizationSettings, storage: DType)? = nil
    ) -> ModelContents {
        ModelContents(
            model: form.model, source: source, config: config, labels: form.labels, companions: form.companions,
            arguments: arguments, shardSize: shardSize,
            card: ModelCard(subject: .made(story(quantization != nil)), source: source, task: task),
            quantization: quantization)
    }

    /// What was done to the base model.
    private func story(_ isQuantized: Bool) -> String {
        let merged = attached.isEmpty ? [] : ["with \(attached.count == 1 ? "an adapter" : "adapters") merged in"]
        let rounded = isQuantized ? ["in fewer bits"] : []
        let parts = merged + rounded
        return parts.isEmpty ? "converted to \(form.model.dtype.rawValue)" : parts.joined(separator: ", ")
    }

    /// Writes the model as a Hugging Face folder, whole or not at all.
    func write(to output: String, arguments: Data?, shardSize: Int?, identity: JSONValue) throws {
        let folder = try AtomicDirectory(output)
        try contents(arguments: arguments, shardSize: shardSize).write(into: folder)
        try folder.commit(identity: identity)
    }
}
