import ApusAdapters
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusTorch
import Foundation

/// Folds an adapter into its model and writes a plain Hugging Face folder.
public struct ModelExport {
    private let settings: ExportSettings
    private let surroundings: Surroundings

    public init(_ settings: ExportSettings, surroundings: Surroundings = Surroundings()) {
        self.settings = settings
        self.surroundings = surroundings
    }

    /// - Returns: The folder that was written.
    public func callAsFunction() throws -> String {
        guard !settings.adapters.isEmpty else {
            throw ModelError("--adapters: not given. Give the checkpoint whose adapter is to be merged.")
        }
        let output = settings.outputDirectory
        if FileManager.default.fileExists(atPath: output), !settings.existOK {
            throw ModelError(
                "--output_dir \(output) is there already. Remove it, name another, or add --exist_ok true.")
        }
        let adapted = try AdaptedModel(
            model: settings.model, adapters: settings.adapters, dtype: settings.torchDType?.dtype,
            device: Devices.device(settings.device), surroundings: surroundings)
        try adapted.attached?.merge()
        let folder = try AtomicDirectory(output)
        let language = adapted.language
        let contents = ModelContents(
            model: language.model, source: language.source, config: language.config,
            arguments: FileManager.default.contents(atPath: "\(settings.adapters[0])/args.json"),
            shardSize: settings.maxShardBytes)
        try contents.write(into: folder)
        try folder.commit(identity: ["merged": .string(settings.adapters[0])])
        return output
    }
}
