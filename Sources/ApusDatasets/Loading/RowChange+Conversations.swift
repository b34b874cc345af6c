import ApusJSON
import Foundation

extension RowChange {
    /// Conversations that ms-swift's registry mends or leaves out.
    static func conversation(_ rule: Rule, _ row: JSONObject) throws -> JSONObject {
        switch rule {
        case .describedFunctions:
            var messages = try messages(row)
            if messages.first.flatMap(role) == "system" { messages.removeFirst() }
            var row = with(messages, row)
            if let described = row["function_description"]?.stringValue, !described.isEmpty {
                row["tools"] = .array(described.components(separatedBy: "\n\n").map { .string($0) })
            }
            row["function_description"] = nil
            return row
        case .callsInColumn:
            let calls = try LooseJSON.list(try value(row, ["answers"]).value, column: "answers")
            let messages = [said("user", try text(row, "query"))] + calls.map { said("tool_call", $0.serialized()) }
            return ["messages": .array(messages), "tools": try value(row, ["tools"]).value]
        case .severalRoles:
            let messages = try messages(row)
            // Others end without a question in ms-swift, which leaves them out.
            guard let first = messages.first, role(first) == "user", let query = content(first), !query.isEmpty,
                let answer = messages.last.flatMap(content), !answer.isEmpty
            else { throw RowRejection("the conversation does not begin with the user, or an end is empty") }
            return ["messages": [said("system", ""), said("user", query), said("assistant", answer)]]
        case .namedAnswerer:
            var messages = try messages(row)
            guard messages.count == 2 else { throw RowRejection("there are not two messages", "\(messages.count)") }
            if ["caller", "conclusion"].contains(role(messages[1])) {
                messages[1] = said("assistant", content(messages[1]) ?? "")
            }
            return with(messages, row)
        case .looseMessages:
            let (name, value) = try value(row, RowColumns.messages.names)
            guard let text = value.stringValue else { return row }
            // What numpy prints has no commas between the elements of a list.
            var repaired = text
            for gap in ["}\n {", "}\n{", "}{", "}\n  {"] { repaired.replace(gap, with: "},{") }
            return with(try LooseJSON.list(.string(repaired), column: name), row)
        case .namelessBench:
            var messages = try messages(row)
            if let first = messages.first, role(first) == "system", content(first) == "You are a helpful assistant." {
                messages.removeFirst()
            }
            let names = ["moss", "human:", "assistant:", "user:"]
            for text in messages.compactMap({ content($0)?.lowercased() }) where names.contains(where: text.contains) {
                throw RowRejection("a message names who speaks")
            }
            return with(messages, row)
        case .severalTools:
            guard let first = try messages(row).first, role(first) == "system", let system = content(first) else {
                throw RowRejection("the conversation has no system text")
            }
            guard pluginNames(system).count > 1 else { throw RowRejection("there are not two tools to choose from") }
            return row
        default: return try spokenRounds(row)
        }
    }

    /// The names in `1. {"plugin_name": "…"`.
    private static func pluginNames(_ text: String) -> Set<String> {
        var names: Set<String> = []
        var rest = text[...]
        while let mark = rest.range(of: ". {\"plugin_name\": \"") {
            let isNumbered = rest[..<mark.lowerBound].last?.isWholeNumber == true
            let name = rest[mark.upperBound...].prefix { $0 != "\"" && $0 != "\n" }
            rest = rest[mark.upperBound...]
            if isNumbered, !name.isEmpty, rest[name.endIndex...].first == "\"" { names.insert(String(name)) }
        }
        return names
    }

    private static func spokenRounds(_ row: JSONObject) throws -> JSONObject {
        let questions = ["User:", "User："]
        let answers = ["Assistant：", "Assistant:", "Asssistent:", "Assistent:", "Assistenz:"]
        var rest = (row["instruction"]?.stringValue ?? "")[...]
        var rounds: [JSONValue] = []
        var isQuestion = true
        while !rest.isEmpty {
            guard let mark = (isQuestion ? questions : answers).first(where: rest.hasPrefix) else {
                throw RowRejection("the rounds do not change between user and assistant")
            }
            rest = rest.dropFirst(mark.count)
            let next = (questions + answers).compactMap { rest.range(of: $0)?.lowerBound }.min() ?? rest.endIndex
            guard next > rest.startIndex else { throw RowRejection("a round is empty") }
            rounds.append(said(isQuestion ? "user" : "assistant", String(rest[..<next])))
            rest = rest[next...]
            isQuestion.toggle()
        }
        guard isQuestion else { throw RowRejection("a round is not answered") }
        var input = try text(row, "input")
        if input.hasPrefix("User:") {
            input = input.dropFirst("User:".count).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        rounds += [said("user", input), said("assistant", try text(row, "output"))]
        return ["messages": .array(rounds)]
    }
}
