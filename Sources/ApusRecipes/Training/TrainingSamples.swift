import ApusDatasets
import ApusFiles
import ApusJSON
import ApusRunLog
import ApusTraining
import Crypto
import Foundation

/// The data of a run, read, encoded and reported.
struct TrainingSamples {
    let train: any TrainingSource
    let validation: any TrainingSource
    let trainStatistics: String
    let validationStatistics: String?
    /// `file:line` of a training sample.
    let placeOfSample: (Int) -> String
    /// A digest of every training sample, in order.
    let fingerprint: String
    /// The rows that were split off from the training data.
    private let splitOff: (() throws -> [JSONValue])?

    /// - Parameters:
    ///   - split: A data set with what became of it, for training and, where there is any, for validation.
    ///   - bytes: Gives every byte that a training sample is made of to a digest.
    init<Source: TrainingSource, Recognizer>(
        rows: LoadedRows<Recognizer>, isSplit: Bool, train: (Source, EncodingReport),
        validation: (Source, EncodingReport)?, empty: Source, row: @escaping (Int) -> Int32,
        bytes: (Int, (UnsafeRawBufferPointer) -> Void) -> Void
    ) {
        self.train = train.0
        self.validation = validation?.0 ?? empty
        trainStatistics = train.1.lengths.map(String.init(describing:)) ?? ""
        validationStatistics = validation.flatMap { $0.1.lengths.map(String.init(describing:)) }
        placeOfSample = { rows.train.place(of: Int(row($0))) }
        var hash = SHA256()
        for index in 0..<train.0.count { bytes(index) { hash.update(bufferPointer: $0) } }
        fingerprint = hash.finalize().prefix(16).map { String(format: "%02x", $0) }.joined()
        let held = rows.validation
        splitOff = isSplit && !held.isEmpty ? { try (0..<held.count).map { try held.row(at: $0) } } : nil
    }

    /// The tokens and targets of the largest micro-batch that can come up.
    func largestBatch(size: Int) -> (tokens: Int, targets: Int) {
        let longest = (0..<train.count).map { (train.length(of: $0), train.targetCount([$0])) }.sorted { $0.0 > $1.0 }
        return longest.prefix(size).reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }

    func writeSplitOff(to folder: String) throws {
        guard let rows = try splitOff?() else { return }
        let lines = rows.map { $0.serialized() + "\n" }
        try LocalFileSystem().writeAtomically(Data(lines.joined().utf8), to: "\(folder)/val_dataset.jsonl")
    }
}

extension DatasetLoader {
    /// The loader that the settings ask for.
    ///
    /// - Throws: `DatasetError` for a file of `--custom_dataset_info` that makes no sense.
    init(_ settings: DataSettings, surroundings: Surroundings) throws {
        self.init()
        let fetcher = try DatasetFetcher(surroundings, files: settings.customDatasetInfo)
        fetching = { try fetcher($0) }
        isStrict = settings.strict
        threads = settings.datasetNumProc
        seed = UInt32(truncatingIfNeeded: settings.dataSeed)
        splitRatio = settings.isSplit ? settings.splitDatasetRatio : 0
        shufflesTraining = settings.datasetShuffle
        shufflesValidation = settings.valDatasetShuffle
    }
}

extension Console {
    /// Encodes training and validation rows, with a bar and a report for each.
    func encoded<Recognizer, Source>(
        _ rows: LoadedRows<Recognizer>,
        _ encode: (RowDataset<Recognizer>, @escaping @Sendable (Int, Int) -> Void) throws -> (Source, EncodingReport)
    ) throws -> (train: (Source, EncodingReport), validation: (Source, EncodingReport)?) {
        func run(_ part: RowDataset<Recognizer>, _ label: String) throws -> (Source, EncodingReport) {
            let bar = startProgress("Map (\(label))", total: part.count)
            // Rows that come several times are encoded once, so that there may be fewer to do.
            let result = try encode(part) { done, total in bar.update(to: part.count * done / max(1, total)) }
            bar.finish()
            print("\(label): \(result.1.text)")
            return result
        }
        return (try run(rows.train, "train"), rows.validation.isEmpty ? nil : try run(rows.validation, "val"))
    }
}
