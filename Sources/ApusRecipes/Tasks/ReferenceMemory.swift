import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusRunLog
import ApusTorch
import ApusTraining
import Foundation

/// What the reference says of every sample: asked once before a run, kept in its folder, and found there by a run that goes on.
final class ReferenceMemory {
    private let preferences: PreferenceSettings
    private let inputs: TrainingInputs
    private let samples: TrainingSamples
    /// The folder whose file holds it already.
    private var folderOfFound: String?
    private var digest: String?

    init(_ preferences: PreferenceSettings, _ inputs: TrainingInputs, _ samples: TrainingSamples) {
        self.preferences = preferences
        self.inputs = inputs
        self.samples = samples
    }

    /// What the run said that goes on, where it is of the same reference and the same samples.
    func found(_ loading: ReferenceLoading) throws -> ReferenceScores? {
        guard preferences.precomputesReference, let folder = loading.folder else { return nil }
        let file = ReferenceFile(in: folder)
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        let digest = try digest(loading)
        do {
            if let scores = try file.scores(digest: digest) {
                folderOfFound = folder
                inputs.console.print("reference: what it said before is read from \(file.path)")
                return scores
            }
            inputs.console.print(
                "reference: what \(file.path) holds is of another reference or of other samples; it is asked anew")
        } catch {
            inputs.console.print("reference: \(error); it is asked anew")
        }
        return nil
    }

    /// Asks the reference about every sample, where that is wanted.
    func ask(
        _ loading: ReferenceLoading, _ body: ([any TrainingSource], Int, (Int) -> Void) throws -> Void
    ) throws {
        guard preferences.precomputesReference else { return }
        let bar = inputs.console.startProgress("Reference", total: samples.train.count + samples.validation.count)
        defer { bar.finish() }
        _ = try digest(loading)
        try body([samples.train, samples.validation], inputs.settings.optimization.perDeviceTrainBatchSize) {
            bar.update(to: $0)
        }
    }

    /// Keeps what was asked in the folder of the run.
    func keep(_ reference: Reference, in folder: String) throws {
        guard case .known(let scores) = reference, let digest, folderOfFound != folder else { return }
        try ReferenceFile(in: folder).write(scores, digest: digest)
    }

    // MARK: - Digest

    /// Of everything that decides what is said: the files of the reference, how they are read, and the tokens.
    private func digest(_ loading: ReferenceLoading) throws -> String {
        if let digest { return digest }
        var hash = DigestHasher()
        let settings = inputs.settings
        let source =
            try preferences.refModel.map { try ModelSource($0, surroundings: inputs.surroundings) } ?? inputs.source
        let config = try preferences.refModel == nil ? inputs.config : source.config()
        hash.update(config.serialized(sortedKeys: true))
        let record = settings.record
        let options = QuantizationOptions.fields.map { record[$0.name]?.serialized() ?? "" }
        for text in [loading.dtype.rawValue] + options { hash.update(text) }
        var files = try source.weightFiles()
        for adapter in preferences.refAdapters {
            files.append(try AdapterFiles.weights(in: adapter).path)
            files.append(AdapterFiles.located(AdapterFiles.configurationName, in: adapter))
        }
        for file in files {
            hash.update(FilePath.lastComponent(of: file))
            hash.update(try LocalFileSystem().digest(of: file).sha256)
        }
        for source in [samples.train, samples.validation] {
            hash.update("\(source.count)")
            for sample in 0..<source.count {
                let batch = source.batch([sample], draw: nil)
                for numbers in [batch.tokens, batch.boundaries, batch.targets.rows, batch.targets.labels] {
                    hash.update("\(numbers.count)")
                    numbers.withUnsafeBytes { hash.update($0) }
                }
            }
        }
        let digest = hash.finish().sha256
        self.digest = digest
        return digest
    }
}
