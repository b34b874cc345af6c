package import ApusJSON

/// Conversations in the order in which they were chosen, read from their files when asked for.
package struct ConversationDataset: Sendable {
    /// A row of a file; eight bytes, so that a million rows cost eight megabytes.
    struct RowID: Sendable, Hashable {
        let file: UInt32
        let row: UInt32
    }

    let rows: [RowID]
    private let files: [RowFile]
    private let recognizer: ConversationRecognizer

    init(rows: [RowID], files: [RowFile], recognizer: ConversationRecognizer) {
        self.rows = rows
        self.files = files
        self.recognizer = recognizer
    }

    package var count: Int { rows.count }
    package var isEmpty: Bool { rows.isEmpty }

    /// - Precondition: `index` is in `0..<count`.
    /// - Throws: `DatasetError` when the file was changed since it was opened.
    package func conversation(at index: Int) throws -> Conversation {
        do {
            return try recognizer.recognize(row(at: index)).conversation
        } catch let rejection as RowRejection {
            throw DatasetError("\(place(of: index)): the file was changed while it was read: \(rejection)")
        }
    }

    /// The row of a conversation as its file has it.
    ///
    /// - Throws: `DatasetError` when the file was changed since it was opened.
    package func row(at index: Int) throws -> JSONValue {
        let id = rows[index]
        return try files[Int(id.file)].value(at: Int(id.row))
    }

    /// `file:line` of a conversation.
    package func place(of index: Int) -> String {
        files[Int(rows[index].file)].place(of: Int(rows[index].row))
    }
}
