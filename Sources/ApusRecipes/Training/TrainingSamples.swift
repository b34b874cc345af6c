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
    /// The most tokens that are learned beside a micro-batch of them.
    private let tokensBeside: Int
    /// The rows that were split off from the training data.
    private let splitOff: (() throws -> [JSONValue])?
    /// The rows that were left out before the run.
    private let dropped: [DroppedRow]
    /// Where the samples come from while the run goes on; nil where they are there before it.
    private let stream: StreamedDataset?

    /// Samples that are read while the run goes on.
    ///
    /// - Parameter validation: The data set with what became of it, and its rows.
    init(
        stream: StreamedDataset, name: String, validation: (TokenizedDataset, EncodingReport)?,
        validationReport: DatasetReport?
    ) throws {
        train = stream
        self.validation = validation?.0 ?? TokenizedDataset()
        trainStatistics = "streamed from \(name)"
        validationStatistics = validation.flatMap { $0.1.lengths.map(String.init(describing:)) }
        placeOfSample = { stream.place(of: $0) }
        var hash = SHA256()
        try stream.withFirstBytes { hash.update(bufferPointer: $0) }
        fingerprint = Self.text(of: hash)
        tokensBeside = 0
        splitOff = nil
        dropped = (validationReport?.files.flatMap(\.droppedRows) ?? []) + (validation?.1.droppedRows ?? [])
        self.stream = stream
    }

    /// - Parameters:
    ///   - split: A data set with what became of it, for training and, where there is any, for validation.
    ///   - bytes: Gives every byte that a training sample is made of to a digest, or one of `digested` questions of it.
    ///   - beside: Rows that were left out of what is learned beside, and the most tokens of that in a micro-batch.
    ///   - maximumDroppedShare: `max_dropped_ratio`.
    /// - Throws: `DatasetError` where more rows were left out.
    init<Source: TrainingSource, Held: TrainingSource, Recognizer>(
        rows: LoadedRows<Recognizer>, isSplit: Bool, train: (Source, EncodingReport),
        validation: (Held, EncodingReport)?, empty: Held, row: @escaping (Int) -> Int32,
        bytes: (Int, (UnsafeRawBufferPointer) -> Void) throws -> Void, digested: Int? = nil,
        beside: (dropped: [DroppedRow], tokens: Int) = ([], 0), maximumDroppedShare: Double
    ) throws {
        let own = rows.report.files.flatMap(\.droppedRows) + train.1.droppedRows + (validation?.1.droppedRows ?? [])
        dropped = own + beside.dropped
        tokensBeside = beside.tokens
        try DroppedShare.check(
            1 - (1 - rows.report.droppedShare) * (1 - train.1.droppedShare), limit: maximumDroppedShare, rows: own)
        stream = nil
        self.train = train.0
        self.validation = validation?.0 ?? empty
        trainStatistics = train.1.lengths.map(String.init(describing:)) ?? ""
        validationStatistics = validation.flatMap { $0.1.lengths.map(String.init(describing:)) }
        placeOfSample = { rows.train.place(of: Int(row($0))) }
        var hash = SHA256()
        for index in 0..<(digested ?? train.0.count) { try bytes(index) { hash.update(bufferPointer: $0) } }
        fingerprint = Self.text(of: hash)
        let held = rows.validation
        splitOff = isSplit && !held.isEmpty ? { try (0..<held.count).map { try held.row(at: $0) } } : nil
    }

    private static func text(of hash: SHA256) -> String {
        hash.finalize().prefix(16).map { String(format: "%02x", $0) }.joined()
    }

    /// The tokens and targets of the largest micro-batch that can come up, as far as it is known.
    ///
    /// - Parameter packs: The samples of each pack; nil where each sample stands for itself.
    func largestBatch(size: Int, packs: [[Int32]]?) -> (tokens: Int, targets: Int) {
        if let stream {
            let tokens = size * stream.expectedLength
            return (tokens, tokens)
        }
        func measure(_ samples: [Int]) -> (Int, Int) {
            (samples.reduce(0) { $0 + train.longestLength(of: $1) }, train.targetCount(samples))
        }
        let units = packs.map { $0.map { measure($0.map(Int.init)) } } ?? (0..<train.count).map { measure([$0]) }
        let longest = units.sorted { $0.0 > $1.0 }
        return longest.prefix(size).reduce((tokensBeside, tokensBeside)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }

    func writeSplitOff(to folder: String) throws {
        guard let rows = try splitOff?() else { return }
        let lines = rows.map { $0.serialized() + "\n" }
        try LocalFileSystem().writeAtomically(Data(lines.joined().utf8), to: "\(folder)/val_dataset.jsonl")
    }

    /// Writes which rows were left out, and goes on to where samples are read while the run goes on.
    ///
    /// - Returns: The path of the file; nil where there is none so far.
    @discardableResult
    func writeDropped(to folder: String) throws -> String? {
        let path = "\(folder)/dropped.jsonl"
        func line(_ row: DroppedRow) -> Data { Data((row.json.serialized() + "\n").utf8) }
        let rows = dropped + (stream?.dropped ?? [])
        if !rows.isEmpty {
            try LocalFileSystem().writeAtomically(rows.map(line).reduce(into: Data()) { $0 += $1 }, to: path)
        }
        stream?.onDrop = { row in
            if !FileManager.default.fileExists(atPath: path) {
                try LocalFileSystem().writeAtomically(Data(), to: path)
            }
            let handle = try FileHandle(forWritingTo: URL(filePath: path))
            defer { try? handle.close() }
            try handle.seekToEnd()
            try handle.write(contentsOf: line(row))
        }
        return rows.isEmpty ? nil : path
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
        interleaving = try settings.interleaving()
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
    ///
    /// - Parameter name: What the training rows are called.
    func encoded<Recognizer, Source>(
        _ rows: LoadedRows<Recognizer>, as name: String = "train",
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
        return (try run(rows.train, name), rows.validation.isEmpty ? nil : try run(rows.validation, "val"))
    }
}
