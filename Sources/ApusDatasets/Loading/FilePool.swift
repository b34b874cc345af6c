import ApusJSON

/// The files of one load and what became of their rows.
struct FilePool<Recognizer: RowRecognizer> {
    let recognizer: Recognizer
    let isStrict: Bool
    let keepsUnusable: Bool
    let threads: Int
    private let fetching: DatasetFetching?
    private(set) var reports: [DatasetReport.File] = []
    private var files: [RowFile] = []
    private var missingColumns: Set<String>

    init(
        recognizer: Recognizer, isStrict: Bool, keepsUnusable: Bool = false, threads: Int,
        fetching: DatasetFetching? = nil
    ) {
        self.fetching = fetching
        self.recognizer = recognizer
        self.isStrict = isStrict
        self.keepsUnusable = keepsUnusable
        self.threads = threads
        missingColumns = recognizer.mapping.names
    }

    func dataset(_ rows: [RowID]) -> RowDataset<Recognizer> {
        RowDataset(rows: rows, files: files, recognizer: recognizer, holdsUnusable: keepsUnusable)
    }

    /// What recognition found in a range of rows.
    private struct Findings: Sendable {
        var usable: [UInt32] = []
        var dropped: [(row: Int, rejection: RowRejection)] = []
        var notes: [(row: Int, text: String)] = []
        var columns: Set<String> = []
        /// The lists of columns that were not used, each once.
        var unused: [[String]] = []
    }

    /// Opens the files of a data set and recognises their rows; adds their reports.
    mutating func usableRows(of reference: DatasetReference) throws -> [RowID] {
        if let data = try fetching?(reference) {
            return try data.parts.flatMap { part in
                try check(part.subset.map { [$0] } ?? [], of: reference.location)
                return try part.files.flatMap { try usableRows(ofFile: $0, subset: part.subset, change: part.change) }
            }
        }
        if let hub = reference.hub {
            throw DatasetError(
                "\(hub.rawValue)::\(reference.location): \(DatasetReference.fetching(reference.location, from: hub))")
        }
        try check(reference.subsets, of: reference.location)
        return try reference.paths().flatMap { try usableRows(ofFile: $0, subset: reference.subsets.first) }
    }

    private mutating func usableRows(ofFile path: String, subset: String?, change: RowChange = RowChange()) throws
        -> [RowID]
    {
        let file = try RowFile(
            path: path, columns: recognizer.mapping.names, knowsShapes: Recognizer.knowsShapes, change: change)
        guard file.count <= Int(Int32.max) else { throw DatasetError("\(file.path): has more than \(Int32.max) rows") }
        let (recognizer, isStrict, missing) = (recognizer, isStrict, missingColumns)
        let keepsUnusable = keepsUnusable
        let chunks = try inParallelChunks(of: file.count, threads: threads) { range in
            var findings = Findings()
            for row in range {
                do {
                    let value = try file.value(at: row)
                    if !missing.isEmpty, let object = value.objectValue {
                        findings.columns.formUnion(
                            object.keys.lazy.map { $0.trimmed.lowercased() }.filter(missing.contains))
                    }
                    let result = try recognizer.recognize(value)
                    if let subset, !recognizer.isScoredPair(result.row) {
                        throw RowFault(
                            "the subset \"\(subset)\" is one of pairs of sentences with a score, which this row is not; "
                                + "leave out :\(subset)")
                    }
                    findings.usable.append(UInt32(row))
                    findings.notes += result.notes.map { (row, $0) }
                    if !findings.unused.contains(result.unusedColumns) { findings.unused.append(result.unusedColumns) }
                } catch _ where keepsUnusable {
                    findings.usable.append(UInt32(row))
                } catch let fault as RowFault {
                    throw DatasetError(fault, at: file.place(of: row))
                } catch let rejection as RowRejection {
                    if isStrict { throw DatasetError(strictly: rejection, at: file.place(of: row)) }
                    findings.dropped.append((row, rejection))
                }
            }
            return findings
        }
        var report = DatasetReport.File(path: file.path, rowCount: file.count)
        if let note = file.note { report.notes.add(note, example: file.path) }
        var usable: [RowID] = []
        for chunk in chunks {
            usable += chunk.usable.map { RowID(file: UInt32(files.count), row: $0) }
            for (row, rejection) in chunk.dropped {
                report.dropped.add(rejection, place: file.place(of: row))
                report.droppedRows.append(DroppedRow(file: file.path, line: file.lineNumber(of: row), rejection))
            }
            for column in chunk.unused.joined() where !report.unusedColumns.contains(column) {
                report.unusedColumns.append(column)
            }
            for (row, text) in chunk.notes { report.notes.add(text, example: file.place(of: row)) }
            missingColumns.subtract(chunk.columns)
        }
        guard !usable.isEmpty else {
            throw DatasetError(
                "\(file.path): no row can be used:\n\(report.dropped.lines(indent: 2))\n\(Recognizer.advice)")
        }
        files.append(file)
        reports.append(report)
        return usable
    }

    /// A file has no subsets, but commands written for a data set on a hub may name those of its kind.
    private func check(_ subsets: [String], of location: String) throws {
        let word = "\(location):\(subsets.joined(separator: "/"))"
        for subset in subsets where !Recognizer.subsets.contains(subset) {
            throw DatasetError(
                subset == "generate" && !Recognizer.subsets.isEmpty
                    ? "\(word): \"generate\" writes the score as a text to generate, which this task does not; "
                        + "use :reg"
                    : "\(word): a file has no subsets; leave out what follows the colon")
        }
        guard subsets.count <= 1 else {
            throw DatasetError("\(word): would read the file \(subsets.count) times; name one subset")
        }
    }

    /// Tells the reports which of their rows were chosen.
    mutating func note(train: [RowID], validation: [RowID]) {
        for row in train { reports[Int(row.file)].trainCount += 1 }
        for row in validation { reports[Int(row.file)].validationCount += 1 }
    }

    /// - Throws: `DatasetError` when a column named in `--columns` was in no row of any file.
    func checkColumns() throws {
        guard let name = missingColumns.min() else { return }
        throw DatasetError(
            "--columns: no row has a column \"\(name)\"; write the mapping as {\"name in the file\": \"query\"}")
    }
}
