/// Reads the data sets of a run: opens the files, recognises every row, samples, splits, joins and shuffles.
///
/// The choice and the order of rows are those of ms-swift 4.6 for the same options and seed, bit for bit, as long as
/// the same rows are usable.
package struct DatasetLoader: Sendable {
    /// What makes rows conversations; rows of other tasks bring their own recogniser to `load`.
    package var recognition = ConversationRecognizer.Options()
    /// `data_seed`.
    package var seed: UInt32 = 42
    /// `split_dataset_ratio`; must be 0 beside a validation set.
    package var splitRatio = 0.0
    /// `dataset_shuffle`.
    package var shufflesTraining = true
    /// `interleave_prob` and `stopping_strategy`; `nil` lays data sets one behind the other.
    package var interleaving: Interleaving?
    /// `val_dataset_shuffle`; a validation set split off from the training set follows `shufflesTraining`.
    package var shufflesValidation = false
    /// Whether there have to be rows to train on.
    package var requiresTraining = false
    /// Whether the first row that cannot be used is an error.
    package var isStrict = false
    /// Whether rows that cannot be used keep their places; to recognise one of them then throws.
    package var keepsUnusable = false
    /// `dataset_num_proc`.
    package var threads = 1

    /// Finds the files of a data set that is no file: one of a hub, or of a registry; nil for what it does not know.
    package var fetching: DatasetFetching?

    package init() {}

    package typealias Loaded = LoadedRows<ConversationRecognizer>

    /// Loads the conversations of the `--dataset` and `--val_dataset` words.
    ///
    /// - Throws: `DatasetError` for words, files and options that cannot be used, for files without a usable row, and,
    ///   when strict, for the first row that cannot be used.
    package func load(_ dataset: [String], validation: [String] = []) throws -> Loaded {
        try load(dataset, validation: validation, as: ConversationRecognizer(recognition))
    }

    /// Loads the rows of another task in the same way: the same rows and the same order for the same seed.
    ///
    /// - Throws: As for conversations, and for the first row whose label is missing or makes no sense.
    package func load<Recognizer: RowRecognizer>(
        _ dataset: [String], validation: [String] = [], as recognizer: Recognizer
    ) throws -> LoadedRows<Recognizer> {
        guard (0...1).contains(splitRatio) else {
            throw DatasetError("--split_dataset_ratio must be between 0 and 1, not \(splitRatio)")
        }
        guard validation.isEmpty || splitRatio == 0 else {
            throw DatasetError("--split_dataset_ratio \(splitRatio) beside --val_dataset; use one of them")
        }
        guard !dataset.isEmpty || !validation.isEmpty else { throw DatasetError("--dataset names no data set") }
        guard !requiresTraining || !dataset.isEmpty else {
            throw DatasetError("--dataset names no data set to train on; --val_dataset is only evaluated")
        }
        guard !requiresTraining || splitRatio < 1 else {
            throw DatasetError(
                "--split_dataset_ratio \(splitRatio) holds every row out and leaves none to train on; "
                    + "give a smaller share such as 0.01")
        }
        var pool = FilePool(
            recognizer: recognizer, isStrict: isStrict, keepsUnusable: keepsUnusable, threads: threads,
            fetching: fetching)
        var (train, heldOut) = try select(
            dataset, from: &pool, ratio: splitRatio, isShuffled: shufflesTraining, interleaving: interleaving)
        if !validation.isEmpty {
            heldOut = try select(
                validation, from: &pool, ratio: 1, isShuffled: shufflesValidation, interleaving: nil
            ).validation
        }
        try pool.checkColumns()
        return LoadedRows(
            train: pool.dataset(train), validation: pool.dataset(heldOut), report: DatasetReport(files: pool.reports))
    }

    /// Refuses words that can only mean files and name some that are not there, before there is anything to wait for.
    ///
    /// - Throws: `DatasetError`, as `load`.
    package static func checkFiles(_ words: [String]) throws {
        for path in try files(words) where DataFileType.isMeant(by: path) { _ = try DataFileType(path: path) }
    }

    /// The files of this machine that words name.
    ///
    /// - Throws: `DatasetError`, as `load`.
    package static func files(_ words: [String]) throws -> [String] {
        try words.flatMap { try DatasetReference.list(parsing: $0) }.filter { $0.hub == nil }.flatMap { try $0.paths() }
    }

    private func select<Recognizer: RowRecognizer>(
        _ references: [String], from pool: inout FilePool<Recognizer>, ratio: Double, isShuffled: Bool,
        interleaving: Interleaving?
    ) throws -> (train: [RowID], validation: [RowID]) {
        var state = NumPyRandomState(seed: seed)
        var (trains, validations): ([[RowID]], [[RowID]]) = ([], [])
        let references = try references.flatMap { try DatasetReference.list(parsing: $0) }
        try interleaving?.check(datasetCount: references.count)
        for reference in references {
            let rows = try pool.usableRows(of: reference)
            // ms-swift draws a seed for what it may do to a data set, whether or not it does.
            _ = state.derivedSeed()
            let selection = try RowSelection(
                rowCount: rows.count, sampleCount: reference.sampleCount, splitRatio: ratio, isShuffled: isShuffled,
                state: &state)
            trains.append(selection.train.map { rows[$0] })
            validations.append(selection.validation.map { rows[$0] })
        }
        var train = try joined(trains, interleaving, &state)
        var validation = try joined(validations, interleaving, &state)
        pool.note(train: train, validation: validation)
        if isShuffled {
            if !train.isEmpty { train = shuffled(train, &state) }
            if !validation.isEmpty { validation = shuffled(validation, &state) }
        }
        return (train, validation)
    }

    /// The rows of all data sets.
    ///
    /// Where they are interleaved a seed is drawn, whether or not there are any.
    private func joined(
        _ parts: [[RowID]], _ interleaving: Interleaving?, _ state: inout NumPyRandomState
    ) throws -> [RowID] {
        guard let interleaving else { return Array(parts.joined()) }
        let seed = state.derivedSeed()
        guard parts.count > 1, parts.contains(where: { !$0.isEmpty }) else { return Array(parts.joined()) }
        return try interleaving.order(of: parts.map(\.count), seed: seed).map { parts[$0.dataset][$0.row] }
    }

    private func shuffled(_ rows: [RowID], _ state: inout NumPyRandomState) -> [RowID] {
        var generator = PCG64(seed: state.derivedSeed())
        return generator.permutation(rows.count).map { rows[$0] }
    }
}

/// What a load gives.
package struct LoadedRows<Recognizer: RowRecognizer>: Sendable {
    package let train: RowDataset<Recognizer>
    package let validation: RowDataset<Recognizer>
    package let report: DatasetReport
}
