import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusTorch
import Foundation

/// Folds adapters into their model and writes a plain Hugging Face folder, or makes one adapter of several.
public struct ModelExport {
    private let settings: ExportSettings
    private let surroundings: Surroundings

    public init(_ settings: ExportSettings, surroundings: Surroundings = Surroundings()) {
        self.settings = settings
        self.surroundings = surroundings
    }

    /// - Returns: The folder that was written.
    public func callAsFunction() throws -> String {
        guard !settings.model.adapters.isEmpty else {
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
        let adapted = try AdaptedModel(settings.model, device: settings.hardware.chosen, surroundings: surroundings)
        for adapter in adapted.attached { try adapter.merge() }
        try adapted.write(
            to: output, arguments: FileManager.default.contents(atPath: "\(settings.model.adapters[0])/args.json"),
            shardSize: settings.maxShardBytes, identity: ["merged": .string(settings.model.adapters[0])])
        return output
    }
}

extension AdaptedModel {
    /// Writes the model as a Hugging Face folder, whole or not at all.
    func write(to output: String, arguments: Data?, shardSize: Int?, identity: JSONValue) throws {
        let folder = try AtomicDirectory(output)
        let contents = ModelContents(
            model: form.model, source: source, config: config, labels: form.labels, companions: form.companions,
            arguments: arguments, shardSize: shardSize)
        try contents.write(into: folder)
        try folder.commit(identity: identity)
    }
}
