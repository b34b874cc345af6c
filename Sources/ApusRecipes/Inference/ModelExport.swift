import ApusAdapters
import ApusDatasets
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
            AdaptedModel.Request(
                model: settings.model, adapters: settings.adapters, taskType: settings.taskType,
                labelCount: settings.numLabels, problemType: settings.problemType, dtype: settings.torchDType?.dtype,
                device: Devices.device(settings.device)),
            surroundings: surroundings)
        try adapted.attached?.merge()
        let folder = try AtomicDirectory(output)
        var labels: LabelScheme?
        if case .classifier(_, let scheme) = adapted.form { labels = scheme }
        var companions: [(name: String, data: Data)] = []
        if case .sentences(_, let files) = adapted.form { companions = files.companions }
        let contents = ModelContents(
            model: adapted.form.model, source: adapted.source, config: adapted.config, labels: labels,
            companions: companions,
            arguments: FileManager.default.contents(atPath: "\(settings.adapters[0])/args.json"),
            shardSize: settings.maxShardBytes)
        try contents.write(into: folder)
        try folder.commit(identity: ["merged": .string(settings.adapters[0])])
        return output
    }
}
