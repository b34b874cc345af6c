import ApusJSON
import Foundation

// What ms-swift 4.6 does to the rows of the data sets that it registers (swift/dataset/dataset/llm.py).
extension RowChange {
    /// - Throws: `RowRejection` for a row that ms-swift leaves out, or that lacks what the rule reads.
    static func applied(_ rule: Rule, to row: JSONObject) throws -> JSONObject {
        switch rule {
        case .scoredQuestion, .scoreAsText: return try scored(row, asText: rule == .scoreAsText)
        case .positivePair: return try pair(row, atLeast: nil)
        case .nearPair: return try pair(row, atLeast: 0.75)
        case .withoutInputMark: return strip("输入：", from: ["input"], of: row)
        case .withoutAnswerMark: return strip("Answer: ", from: ["response", "output"], of: row)
        case .noThink, .emptyThought: return withEmptyThought(row, isAsked: rule == .noThink)
        case .advertisement, .namedSentiment, .namedInference, .questionGeneration, .sudoku, .countdown:
            return try task(rule, row)
        case .explainedSQL, .workedAnswer, .explainedCode, .contextFirst, .lawText, .unnumberedTitle, .queryAndResponse:
            return try composed(rule, row)
        case .knownKinds, .withoutToxic, .withoutEmojiMarks: return try chosen(rule, row)
        case .dialogues, .twoEnds: return try preference(rule, row)
        case .describedFunctions, .callsInColumn, .severalRoles, .namedAnswerer, .looseMessages, .namelessBench,
            .severalTools, .spokenRounds:
            return try conversation(rule, row)
        }
    }

    // MARK: - What rows hold

    static func value(_ row: JSONObject, _ columns: [String]) throws -> (name: String, value: JSONValue) {
        guard let name = columns.first(where: { row[$0] != nil }), let value = row[name] else {
            throw RowRejection("a row has no column \"\(columns[0])\"", "it has \(row.columnList)")
        }
        return (name, value)
    }

    static func text(_ row: JSONObject, _ columns: String...) throws -> String { try text(row, columns) }

    static func text(_ row: JSONObject, _ columns: [String]) throws -> String {
        let (name, value) = try value(row, columns)
        guard let text = try value.textOrNil(name) else { throw RowRejection("the column \"\(name)\" is empty") }
        return text
    }

    private static func query(_ row: JSONObject) throws -> String { try text(row, RowColumns.query.names) }
    private static func response(_ row: JSONObject) throws -> String { try text(row, RowColumns.response.names) }

    /// A whole number, which tables write as a text.
    private static func index(_ row: JSONObject, _ column: String) throws -> Int {
        let value = try value(row, [column]).value
        guard let index = value.intValue ?? value.stringValue.flatMap({ Int($0) }) else {
            throw RowRejection("the column \"\(column)\" is no whole number", value.excerpt)
        }
        return index
    }

    static func messages(_ row: JSONObject) throws -> [JSONValue] {
        let (name, value) = try value(row, RowColumns.messages.names)
        return try LooseJSON.list(value, column: name)
    }

    /// The row with other messages.
    static func with(_ messages: [JSONValue], _ row: JSONObject) -> JSONObject {
        var row = row
        for name in RowColumns.messages.names { row[name] = nil }
        row["messages"] = .array(messages)
        return row
    }

    static func answered(_ query: String, _ response: String) -> JSONObject {
        ["query": .string(query), "response": .string(response)]
    }

    static func said(_ role: String, _ text: String) -> JSONValue {
        ["role": .string(role), "content": .string(text)]
    }

    static func role(_ message: JSONValue) -> String? { (message["role"] ?? message["from"])?.stringValue }
    static func content(_ message: JSONValue) -> String? {
        (message["content"] ?? message["value"])?.stringValue
    }

    private static func strip(_ mark: String, from columns: [String], of row: JSONObject) -> JSONObject {
        var row = row
        for column in columns {
            guard let text = row[column]?.stringValue, text.hasPrefix(mark) else { continue }
            row[column] = .string(String(text.dropFirst(mark.count)))
        }
        return row
    }

    // MARK: - Pairs with a score

    private static func scoredPair(_ row: JSONObject) throws -> (String, String, Double) {
        // Fields of a table are texts.
        let score = row["score"].flatMap { $0.doubleValue ?? $0.stringValue.flatMap { Double($0) } }
        guard let first = row["sentence1"]?.stringValue, let second = row["sentence2"]?.stringValue, let score else {
            throw RowRejection("a row has no sentence1, sentence2 and score")
        }
        return (first, second, score)
    }

    private static func scored(_ row: JSONObject, asText: Bool) throws -> JSONObject {
        let (first, second, score) = try scoredPair(row)
        let query = PairFormat.joined(first, second, by: Prompts.similarity)
        return asText
            ? answered(query, String(format: "%.1f", score)) : ["query": .string(query), "label": .double(score)]
    }

    private static func pair(_ row: JSONObject, atLeast nearest: Double?) throws -> JSONObject {
        let (first, second, score) = try scoredPair(row)
        if let nearest, score < nearest { throw RowRejection("the two texts are less alike than \(nearest)") }
        return [
            "messages": [said("user", first)], "positive_messages": [[said("user", second)]], "label": .double(score),
        ]
    }

    private static func withEmptyThought(_ row: JSONObject, isAsked: Bool) -> JSONObject {
        var row = row
        if isAsked, let query = row["query"]?.stringValue { row["query"] = .string(query + " /no_think") }
        if let response = row["response"]?.stringValue {
            row["response"] = .string("<think>\n\n</think>\n\n" + response)
        }
        return row
    }

    // MARK: - Tasks in words

    private static func task(_ rule: Rule, _ row: JSONObject) throws -> JSONObject {
        switch rule {
        case .advertisement: return answered(Prompts.advertisement(try query(row)), try response(row))
        case .namedSentiment:
            let names = ["negative", "positive"]
            return answered(
                Prompts.classification("Sentiment Classification", ["Sentence": try text(row, "sentence")], names),
                try name(row, of: names))
        case .namedInference:
            let names = ["neutral", "entailment", "contradiction"]
            let sentences: KeyValuePairs = [
                "Sentence1": try text(row, "sentence1"), "Sentence2": try text(row, "sentence2"),
            ]
            return answered(
                Prompts.classification("Natural Language Inference", sentences, names), try name(row, of: names))
        case .questionGeneration:
            let parts = try text(row, "text1").components(separatedBy: "[SEP]")
            guard parts.count == 2 else { throw RowRejection("text1 is no answer and context with one [SEP] between") }
            return answered(Prompts.question(context: parts[1], answer: parts[0]), try text(row, "text2"))
        case .sudoku:
            func grid(_ text: String) -> String {
                let cells = Array(text)
                return stride(from: 0, to: cells.count, by: 9)
                    .map { String(cells[$0..<min($0 + 9, cells.count)]) }.joined(separator: "\n")
            }
            let puzzle = try query(row).replacing(".", with: "0")
            return answered(Prompts.sudoku(grid(puzzle)), grid(try response(row)))
        default:
            let numbers = try LooseJSON.list(try value(row, ["nums"]).value, column: "nums").map { $0.serialized() }
            let target = try value(row, ["target", "response"]).value
            let query = Prompts.countdown(
                numbers: "[" + numbers.joined(separator: ", ") + "]", target: target.stringValue ?? target.serialized())
            // A reward reads the columns; the answer is what training finds.
            var row = row
            row["target"] = target
            return with([said("user", query)], row)
        }
    }

    private static func name(_ row: JSONObject, of names: [String]) throws -> String {
        let index = try index(row, "label")
        guard names.indices.contains(index) else {
            throw RowRejection("the label is none of 0…\(names.count - 1)", "it is \(index)")
        }
        return names[index]
    }

    // MARK: - Texts of several columns

    private static func composed(_ rule: Rule, _ row: JSONObject) throws -> JSONObject {
        switch rule {
        case .explainedSQL:
            return answered(
                "Sql Table information:\n\(try text(row, "sql_context"))\n\(try text(row, "sql_prompt"))",
                "Let's think step by step:\n\(try text(row, "sql_explanation"))\nSo the final sql is:\n\(try text(row, "sql"))"
            )
        case .workedAnswer:
            return answered(try query(row), "\(try text(row, "output"))\n\nAnswer: \(try text(row, "answer"))")
        case .explainedCode:
            let both = try text(row, "code_with_problem")
            guard let fence = both.range(of: "```python") else { throw RowRejection("there is no ```python") }
            let problem = String(both[..<fence.lowerBound])
            let code = both[fence.lowerBound...].trimmingCharacters(in: .whitespacesAndNewlines)
            return answered(
                problem.hasPrefix("# ") ? String(problem.dropFirst(2)) : problem,
                "\(code)\n\n\(try text(row, "explanation_only"))")
        case .contextFirst:
            let context = row["context"]?.stringValue ?? ""
            let before = context.isEmpty ? "" : "Here gives some useful information:\n\(context)\n"
            return answered(before + (try text(row, "instruction")), try text(row, "response"))
        case .lawText:
            let chapters = (1...3).compactMap { row["chapter\($0)"]?.stringValue }.joined()
            let head = "\(try text(row, "type"))\n\(try text(row, "title"))\n"
            return ["response": .string(head + chapters + (try response(row)))]
        case .unnumberedTitle:
            var title = try text(row, row["title"]?.stringValue == nil ? "content" : "title")
            if let more = row["abs"]?.stringValue, !more.isEmpty, more != title { title += "，" + more }
            title = unnumbered(title)
            guard !title.isEmpty else { throw RowRejection("the title is empty") }
            return ["messages": [said("assistant", title)]]
        default: return answered(try query(row), try response(row))
        }
    }

    /// What stands behind the first number that a dot, a comma or a space follows, to the end of its line.
    private static func unnumbered(_ title: String) -> String {
        let scalars = Array(title.unicodeScalars)
        var start = 0
        while start < scalars.count {
            guard scalars[start].properties.numericType == .decimal else {
                start += 1
                continue
            }
            var end = start
            while end < scalars.count, scalars[end].properties.numericType == .decimal { end += 1 }
            let mark = end < scalars.count ? scalars[end] : "-"
            let isMark = ".,、".unicodeScalars.contains(mark) || mark.properties.isWhitespace
            if isMark, end + 1 < scalars.count, scalars[end + 1] != "\n" {
                var rest = String.UnicodeScalarView()
                rest.append(contentsOf: scalars[(end + 1)...].prefix { $0 != "\n" })
                return String(rest)
            }
            start = max(end, start + 1)
        }
        return title
    }

    // MARK: - Rows that are left out, and marks

    private static let kinds: Set<String> = [
        "ProseGeneration", "MRC", "JinYongGeneration", "TextCorrection", "ClassicalChinese", "BELLE", "StoryGeneration",
        "Couplet", "Cot", "Dictionary", "Translation", "Program", "SentimentAnalyze", "OpenQA", "AncientPoem",
        "TextMatching", "NLI", "Summary", "KeywordRecognition", "ProductDesc", "LyricGeneration", "Composition",
        "MusicComment", "NER",
    ]

    private static func chosen(_ rule: Rule, _ row: JSONObject) throws -> JSONObject {
        switch rule {
        case .knownKinds:
            let kind = try text(row, "kind")
            guard kinds.contains(kind) else { throw RowRejection("the kind is none that is used", kind) }
            return answered(try query(row), try response(row))
        case .withoutToxic:
            guard try text(row, "source") != "toxic-dpo-v0.2" else { throw RowRejection("it is of toxic-dpo-v0.2") }
            return row
        default:
            func clean(_ text: String) -> JSONValue { .string(String(text.unicodeScalars.filter { $0 != "\u{FE0F}" })) }
            return [
                "query": clean(try query(row)), "response": clean(try text(row, "response")),
                "rejected_response": clean(try text(row, "rejected_response")),
            ]
        }
    }

    // MARK: - Preferences

    private static func preference(_ rule: Rule, _ row: JSONObject) throws -> JSONObject {
        if rule == .dialogues {
            return [
                "messages": .array(dialogue(try text(row, "chosen"))),
                "rejected_messages": .array(dialogue(try text(row, "rejected"))),
            ]
        }
        func renamed(_ message: JSONValue) throws -> JSONValue {
            guard let role = role(message), let text = message["text"]?.stringValue else {
                throw RowRejection("a message has no role and text", message.excerpt)
            }
            return said(role, text)
        }
        let context = try LooseJSON.list(try value(row, ["messages", "context"]).value, column: "context")
        return [
            "messages": .array(try (context + [try value(row, ["chosen"]).value]).map(renamed)),
            "rejected_response": .string(content(try renamed(try value(row, ["rejected"]).value)) ?? ""),
        ]
    }

    /// Turns of `Human:` and `Assistant:`; one that is not answered is left out.
    private static func dialogue(_ text: String) -> [JSONValue] {
        var rest = text.trimmingCharacters(in: .whitespacesAndNewlines)[...]
        if rest.hasPrefix("Human:") { rest = rest.dropFirst("Human:".count) }
        var turns: [String] = []
        while true {
            let marks = ["\n\nHuman:", "\n\nAssistant:", "\n\nHum:"].compactMap { rest.range(of: $0) }
            let next = marks.min { $0.lowerBound < $1.lowerBound }
            turns.append(
                rest[..<(next?.lowerBound ?? rest.endIndex)].trimmingCharacters(in: .whitespacesAndNewlines))
            guard let next else { break }
            rest = rest[next.upperBound...]
        }
        return stride(from: 0, to: turns.count - 1, by: 2).flatMap {
            [said("user", turns[$0]), said("assistant", turns[$0 + 1])]
        }
    }
}
