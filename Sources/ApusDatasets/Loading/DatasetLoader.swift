import ApusJSON

/// Reads the data sets of a run: opens the files, recognises every row, samples, splits, joins and shuffles.
///
/// The choice and the order of rows are those of ms-swift 4.6 for the same options and seed, bit for bit, as long as
/// the same rows are usable.
package struct DatasetLoader: Sendable {
    package var recognition = ConversationRecognizer.Options()
    /// `data_seed`.
    package var seed: UInt32 = 42
    /// `split_dataset_ratio`; must be 0 beside a validation set.
    package var splitRatio = 0.0
    /// `dataset_shuffle`.
    package var shufflesTraining = true
    /// `val_dataset_shuffle`; a validation set split off from the training set follows `shufflesTraining`.
    package var shufflesValidation = false
    /// Whether the first row that cannot be used is an error.
    package var isStrict = false
    /// `dataset_num_proc`.
    package var threads = 1

    package init() {}

    package struct Loaded: Sendable {
        package let train: ConversationDataset
        package let validation: ConversationDataset
        package let report: DatasetReport
    }

    /// Loads the `--dataset` and `--val_dataset` words.
    ///
    /// - Throws: `DatasetError` for words, files and options that cannot be used, for files without a usable row, and,
    ///   when strict, for the first row that cannot be used.
    package func load(_ dataset: [String], validation: [String] = []) throws -> Loaded {
        guard (0...1).contains(splitRatio) else {
            throw DatasetError("--split_dataset_ratio must be between 0 and 1, not \(splitRatio)")
        }
        guard validation.isEmpty || splitRatio == 0 else {
            throw DatasetError("--split_dataset_ratio \(splitRatio) beside --val_dataset; use one of them")
        }
        guard !dataset.isEmpty || !validation.isEmpty else { throw DatasetError("--dataset names no data set") }
        var pool = try FilePool(recognizer: ConversationRecognizer(recognition), isStrict: isStrict, threads: threads)
        var (train, heldOut) = try select(dataset, from: &pool, ratio: splitRatio, isShuffled: shufflesTraining)
        if !validation.isEmpty {
            heldOut = try select(validation, from: &pool, ratio: 1, isShuffled: shufflesValidation).validation
        }
        try pool.checkColumns()
        return Loaded(
            train: pool.dataset(train), validation: pool.dataset(heldOut), report: DatasetReport(files: pool.reports))
    }

    private typealias Rows = [ConversationDataset.RowID]

    private func select(
        _ references: [String], from pool: inout FilePool, ratio: Double, isShuffled: Bool
    ) throws -> (train: Rows, validation: Rows) {
        var state = NumPyRandomState(seed: seed)
        var (train, validation): (Rows, Rows) = ([], [])
        for text in references {
            let reference = try DatasetReference(parsing: text)
            let rows = try pool.usableRows(of: reference)
            let selection = try RowSelection(
                rowCount: rows.count, sampleCount: reference.sampleCount, splitRatio: ratio, isShuffled: isShuffled,
                state: &state)
            train += selection.train.map { rows[$0] }
            validation += selection.validation.map { rows[$0] }
            pool.note(selection)
        }
        if isShuffled {
            if !train.isEmpty { train = shuffled(train, &state) }
            if !validation.isEmpty { validation = shuffled(validation, &state) }
        }
        return (train, validation)
    }

    private func shuffled(_ rows: Rows, _ state: inout NumPyRandomState) -> Rows {
        var generator = PCG64(seed: state.derivedSeed())
        return generator.permutation(rows.count).map { rows[$0] }
    }
}

/// The files of one load and what became of their rows.
private struct FilePool {
    let recognizer: ConversationRecognizer
    let isStrict: Bool
    let threads: Int
    private(set) var reports: [DatasetReport.File] = []
    private var files: [RowFile] = []
    private var missingColumns: Set<String>

    init(recognizer: ConversationRecognizer, isStrict: Bool, threads: Int) {
        self.recognizer = recognizer
        self.isStrict = isStrict
        self.threads = threads
        missingColumns = recognizer.mapping.names
    }

    func dataset(_ rows: [ConversationDataset.RowID]) -> ConversationDataset {
        ConversationDataset(rows: rows, files: files, recognizer: recognizer)
    }

    /// What recognition found in a range of rows.
    private struct Findings: Sendable {
        var usable: [UInt32] = []
        var dropped: [(row: Int, rejection: RowRejection)] = []
        var notes: [(row: Int, text: String)] = []
        var columns: Set<String> = []
    }

    /// Opens a file and recognises its rows; adds its report.
    mutating func usableRows(of reference: DatasetReference) throws -> [ConversationDataset.RowID] {
        if let hub = reference.hub {
            throw DatasetError(
                "\(hub.rawValue)::\(reference.location): data sets are not fetched from hubs yet; "
                    + "download it first and give the path of its .jsonl or .json file")
        }
        let file = try RowFile(path: reference.location)
        guard reference.subsets.isEmpty else {
            throw DatasetError(
                "\(reference.location):\(reference.subsets.joined(separator: "/")): a file has no subsets; "
                    + "leave out what follows the colon")
        }
        guard file.count <= Int(Int32.max) else { throw DatasetError("\(file.path): has more than \(Int32.max) rows") }
        let (recognizer, isStrict, missing) = (recognizer, isStrict, missingColumns)
        let chunks = try inParallelChunks(of: file.count, threads: threads) { range in
            var findings = Findings()
            for row in range {
                let value = try file.value(at: row)
                if !missing.isEmpty, let object = value.objectValue {
                    findings.columns.formUnion(object.keys.lazy.map { $0.lowercased() }.filter(missing.contains))
                }
                do {
                    let result = try recognizer.recognize(value)
                    findings.usable.append(UInt32(row))
                    findings.notes += result.notes.map { (row, $0) }
                } catch let rejection as RowRejection {
                    if isStrict { throw DatasetError(strictly: rejection, at: file.place(of: row)) }
                    findings.dropped.append((row, rejection))
                }
            }
            return findings
        }
        var report = DatasetReport.File(path: file.path, rowCount: file.count)
        var usable: [ConversationDataset.RowID] = []
        for chunk in chunks {
            usable += chunk.usable.map { ConversationDataset.RowID(file: UInt32(files.count), row: $0) }
            for (row, rejection) in chunk.dropped { report.dropped.add(rejection, place: file.place(of: row)) }
            for (row, text) in chunk.notes { report.notes.add(text, example: file.place(of: row)) }
            missingColumns.subtract(chunk.columns)
        }
        guard !usable.isEmpty else {
            throw DatasetError(
                "\(file.path): no row can be used:\n\(report.dropped.lines(indent: 2))\n"
                    + "Give rows with \"messages\", or with \"query\" and \"response\"; "
                    + "--columns '{\"yours\": \"query\"}' renames columns.")
        }
        files.append(file)
        reports.append(report)
        return usable
    }

    /// Tells the newest report how many of its rows were chosen.
    mutating func note(_ selection: RowSelection) {
        reports[reports.count - 1].trainCount = selection.train.count
        reports[reports.count - 1].validationCount = selection.validation.count
    }

    /// - Throws: `DatasetError` when a column named in `--columns` was in no row of any file.
    func checkColumns() throws {
        guard let name = missingColumns.min() else { return }
        throw DatasetError(
            "--columns: no row has a column \"\(name)\"; write the mapping as {\"name in the file\": \"query\"}")
    }
}
