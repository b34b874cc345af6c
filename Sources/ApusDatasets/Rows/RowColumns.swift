import ApusJSON

/// A part of a row and the columns that may hold it.
struct RowColumns: Sendable {
    /// The canonical name first; all in lower case.
    let names: [String]

    var canonical: String { names[0] }

    static let messages = RowColumns(names: ["messages", "conversation", "conversations"])
    static let system = RowColumns(names: ["system", "system_prompt"])
    static let query = RowColumns(names: ["query", "prompt", "input", "instruction", "question", "problem"])
    static let response = RowColumns(names: [
        "response", "answer", "output", "targets", "target", "answer_key", "answers", "solution", "text", "completion",
        "content",
    ])
    static let history = RowColumns(names: ["history"])
    static let tools = RowColumns(names: ["tools"])
    /// The names that show an object to be a row.
    static let conversational = Set(messages.names + query.names + response.names)
    /// What objectives, rewards and reports ask for beside the conversation.
    static let ofObjectives: Set<String> = [
        "label", "channel", "margin", "solution", "rejected_response", "rejected_messages", "rejected_images",
        "positive_messages", "negative_messages", "teacher_prompt", "chat_template_kwargs", "dataset", "tag",
        "images", "image", "videos", "video", "audios", "audio", "chosen", "rejected", "kto_tag",
    ]
    // Of rows with labels.
    static let firstText = RowColumns(names: [
        "sentence1", "text1", "sentence_1", "text_1", "question1", "premise", "anchor", "sentence_a", "text_a",
        "#1 string",
    ])
    static let secondText = RowColumns(names: [
        "sentence2", "text2", "sentence_2", "text_2", "question2", "hypothesis", "positive", "sentence_b", "text_b",
        "#2 string", "document", "passage",
    ])
    static let onlyText = RowColumns(names: ["text", "sentence", "content", "review"] + query.names)
    static let label = RowColumns(names: [
        "label", "labels", "score", "similarity", "similarity_score", "relatedness_score", "quality", "class",
        "category",
        "target",
    ])
    // Of rows for embedding and reranking.
    static let positives = RowColumns(names: [
        "positive", "positives", "pos", "positive_document", "positive_documents", "positive_passages",
    ])
    static let negatives = RowColumns(names: [
        "negative", "negatives", "neg", "negative_document", "negative_documents", "negative_passages",
        "rejected_response",
    ])
    /// The positive as ms-swift 3 wrote it.
    static let positiveResponse = RowColumns(names: ["response"])
    static let document = RowColumns(names: ["document", "passage", "doc"])
    static let positiveMessages = RowColumns(names: ["positive_messages"])
    static let negativeMessages = RowColumns(names: ["negative_messages"])
    // Of rows with preferences.
    static let chosen = RowColumns(names: ["chosen", "chosen_response", "chosen_answer", "chosen_completion"])
    static let rejectedResponse = RowColumns(names: [
        "rejected_response", "rejected", "rejected_answer", "rejected_completion",
    ])
    static let rejectedMessages = RowColumns(names: ["rejected_messages"])
    static let margin = RowColumns(names: ["margin"])
    static let judgement = RowColumns(names: ["label", "kto_tag"])
    /// The names that show the first line of a table to be its header.
    ///
    /// Without those that are just as often classes.
    static let headers: Set<String> = {
        let columns = [
            messages, system, query, response, history, tools, firstText, secondText, onlyText, label, negatives,
            positives,
            document, positiveMessages, negativeMessages, media, chosen, rejectedResponse, rejectedMessages,
        ]
        return Set(columns.flatMap(\.names)).subtracting(["positive", "negative", "pos", "neg"])
    }()
    static let media = RowColumns(names: ["images", "image", "videos", "video", "audios", "audio"])

    /// The column of `row` that holds this part, or `nil`.
    ///
    /// Names match without regard to case and to spaces around them; a column that is null counts as absent. The canonical name wins over the
    /// others.
    ///
    /// - Parameter isRequired: Whether several candidates, none of them canonical, are a fault; otherwise they are
    ///   taken for none.
    /// - Throws: `RowRejection` when the choice is ambiguous.
    func column(in row: JSONObject, usingAliases: Bool, isRequired: Bool = true) throws -> String? {
        var found: [String] = []
        for (key, value) in row where !value.isNull {
            let name = key.trimmed.lowercased()
            if name == canonical { return key }
            if usingAliases, names.contains(name) { found.append(key) }
        }
        guard found.count > 1 else { return found.first }
        guard isRequired else { return nil }
        let list = found.map { "\"\($0)\"" }.joined(separator: ", ")
        throw RowRejection(
            "several columns could be the \(canonical)",
            "\(list); choose one with --columns '{\"\(found[0])\": \"\(canonical)\"}'")
    }
}

/// The renaming of columns that the user asked for (`--columns`).
package struct ColumnMapping: Sendable {
    private let targets: [String: String]

    /// - Parameter columns: New name by old name; old names match without regard to case.
    package init(_ columns: [String: String]) {
        targets = Dictionary(
            columns.map { ($0.key.trimmed.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    var isEmpty: Bool { targets.isEmpty }

    /// The old names, in lower case.
    var names: Set<String> { Set(targets.keys) }

    /// The new name of a column.
    func name(of column: String) -> String { targets[column.trimmed.lowercased()] ?? column }

    /// - Throws: `RowRejection` when two columns of the row would get the same name.
    func applied(to row: JSONObject) throws -> JSONObject {
        guard !isEmpty else { return row }
        var renamed = JSONObject()
        for (key, value) in row {
            let name = name(of: key)
            guard renamed[name] == nil else {
                throw RowRejection("--columns gives two columns the same name", "\"\(name)\"")
            }
            renamed[name] = value
        }
        return renamed
    }
}
