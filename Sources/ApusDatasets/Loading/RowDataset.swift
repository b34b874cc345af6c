import ApusFiles
package import ApusJSON

/// A row of a file; eight bytes, so that a million rows cost eight megabytes.
struct RowID: Sendable, Hashable {
    let file: UInt32
    let row: UInt32
}

/// Rows in the order in which they were chosen, read from their files when asked for.
package struct RowDataset<Recognizer: RowRecognizer>: Sendable {
    let rows: [RowID]
    private let files: [RowFile]
    private let recognizer: Recognizer
    /// Whether there are rows among them that cannot be used.
    private let holdsUnusable: Bool

    init(rows: [RowID], files: [RowFile], recognizer: Recognizer, holdsUnusable: Bool = false) {
        self.rows = rows
        self.files = files
        self.recognizer = recognizer
        self.holdsUnusable = holdsUnusable
    }

    package var count: Int { rows.count }
    package var isEmpty: Bool { rows.isEmpty }

    /// A row as its task has it.
    ///
    /// - Precondition: `index` is in `0..<count`.
    /// - Throws: `DatasetError` when the file was changed since it was opened, or for a row that cannot be used.
    package func recognized(at index: Int) throws -> Recognizer.Row {
        do {
            return try recognizer.recognize(row(at: index)).row
        } catch let rejection as RowRejection {
            throw unusable(index, rejection)
        } catch let fault as RowFault {
            throw DatasetError(fault, at: place(of: index))
        }
    }

    /// A row as its file has it.
    ///
    /// - Throws: `DatasetError` when the file was changed since it was opened.
    package func row(at index: Int) throws -> JSONValue {
        let id = rows[index]
        do {
            return try files[Int(id.file)].value(at: Int(id.row))
        } catch let rejection as RowRejection {
            throw unusable(index, rejection)
        }
    }

    private func unusable(_ index: Int, _ rejection: RowRejection) -> DatasetError {
        DatasetError(
            "\(place(of: index)): " + (holdsUnusable ? "" : "the file was changed while it was read: ") + "\(rejection)"
        )
    }

    /// Gives everything that some rows are made of to a digest: how their files are read, and their bytes.
    func digest(_ samples: [Int], into hash: inout DigestHasher) {
        let forms = files.map(\.form)
        for form in forms { hash.update(form) }
        for sample in samples {
            let row = rows[sample]
            files[Int(row.file)].withBytes(of: Int(row.row)) { bytes in
                withUnsafeBytes(of: (row.file.littleEndian, UInt32(truncatingIfNeeded: bytes.count))) {
                    hash.update($0)
                }
                hash.update(bytes)
            }
        }
    }

    /// What is said of a row that is left out.
    func dropped(_ index: Int, _ rejection: RowRejection) -> DroppedRow {
        let file = files[Int(rows[index].file)]
        return DroppedRow(file: file.path, line: file.lineNumber(of: Int(rows[index].row)), rejection)
    }

    /// `file:line` of a row.
    package func place(of index: Int) -> String {
        files[Int(rows[index].file)].place(of: Int(rows[index].row))
    }
}

/// Conversations in the order in which they were chosen.
package typealias ConversationDataset = RowDataset<ConversationRecognizer>

extension RowDataset where Recognizer == ConversationRecognizer {
    /// - Precondition: `index` is in `0..<count`.
    /// - Throws: `DatasetError` when the file was changed since it was opened.
    package func conversation(at index: Int) throws -> Conversation { try recognized(at: index) }
}
