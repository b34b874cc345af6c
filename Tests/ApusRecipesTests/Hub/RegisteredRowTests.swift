import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets
@testable import ApusRecipes

/// What the registry does to rows, beside what ms-swift's own code made of them.
@Suite struct RegisteredRowTests {
    struct DataSet: Sendable, CustomTestStringConvertible {
        let name: String
        let rows: [(row: JSONValue, made: JSONValue)]

        var testDescription: String { name }
    }

    static let dataSets: [DataSet] = {
        let file = URL(filePath: #filePath).appending(path: "../../../Fixtures/datasets/registered_rows.json")
        let json = (try? Data(contentsOf: file.standardizedFileURL)).flatMap { try? JSONValue(parsing: $0) }
        return (json?.arrayValue ?? []).map { entry in
            DataSet(
                name: entry["name"]?.stringValue ?? "",
                rows: Array(zip(entry["rows"]?.arrayValue ?? [], entry["made"]?.arrayValue ?? [])))
        }
    }()

    /// Role and content of each turn; a call is a turn, an empty system text is none.
    private func turns(_ messages: [Message]) -> [JSONValue] {
        messages.flatMap { message -> [JSONValue] in
            guard message.toolCalls.isEmpty else {
                return message.toolCalls.map { call in
                    let function = call["function"] ?? call
                    return ["role": "tool_call", "content": self.call(function)]
                }
            }
            if message.role == "system", message.text == "" { return [] }
            return [["role": .string(message.role), "content": message.content ?? .null]]
        }
    }

    private func call(_ function: JSONValue) -> JSONValue {
        var arguments = function["arguments"] ?? .null
        if let text = arguments.stringValue, let value = try? JSONValue(parsing: text) { arguments = value }
        return ["name": function["name"] ?? .null, "arguments": arguments]
    }

    private func turns(_ made: JSONValue?) throws -> [JSONValue] {
        try (made?.arrayValue ?? []).compactMap { message in
            if message["role"] == "system", message["content"] == "" { return nil }
            guard message["role"] == "tool_call", let text = message["content"]?.stringValue else { return message }
            return ["role": "tool_call", "content": call(try JSONValue(parsing: text))]
        }
    }

    @Test(arguments: dataSets) func rowsAreThoseOfTheRegistry(_ dataSet: DataSet) throws {
        let parts = dataSet.name.split(separator: ":").map(String.init)
        let entry = try #require(try KnownDatasets()[parts[0]])
        #expect(!entry.isRewritten)
        let subset = parts.count > 1 ? parts[1] : "default"
        let change = entry.subsets.first { $0.name == subset }?.change ?? entry.change
        var options = ConversationRecognizer.Options()
        options.requiresAnswer = false
        let recognizer = try ConversationRecognizer(options)
        for (row, made) in dataSet.rows {
            guard !made.isNull else {
                #expect(throws: RowRejection.self, "\(row)") { try change.applied(to: row) }
                continue
            }
            let changed = try change.applied(to: row)
            let found = try recognizer.recognize(changed).row
            #expect(try turns(found.messages) == turns(made["messages"]))
            #expect((found.tools?.count ?? 0) == (made["tools"]?.arrayValue?.count ?? 0))
            for column in ["label", "rejected_response", "nums", "target"] where made[column]?.isNull == false {
                #expect(found.otherColumns[column] == made[column], "\(column)")
            }
            if let rejected = made["rejected_messages"] {
                let other = try recognizer.recognize(["messages": try #require(changed["rejected_messages"])]).row
                #expect(try turns(other.messages) == turns(rejected))
            }
        }
    }

    @Test func allOfThemAreThere() {
        #expect(Self.dataSets.count == 30 && Self.dataSets.allSatisfy { !$0.rows.isEmpty })
    }

    /// Names of subsets that say what happens to rows are no subsets of the hub; those of the hub keep their names beside.
    @Test func onlySubsetsWithRulesOfTheirOwnAreOfOneKind() throws {
        let known = try KnownDatasets()
        #expect(known["AI-ModelScope/hh-rlhf"]?.subsets.contains(where: \.hasOwnRule) == false)
        #expect(known["DAMO_NLP/jd"]?.subsets.map(\.hasOwnRule) == [true, false])
        #expect(known["LLM-Research/xlam-function-calling-60k"]?.subsets.map(\.isRewritten) == [false, true])
    }
}
