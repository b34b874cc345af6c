import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// ms-swift's templates against what ms-swift 4.6.0 writes and trains with them (Scripts/fixtures/make_templates.py).
struct NamedTemplateTests {
    /// Where ms-swift leaves out, of answers in several pieces, what it does to answers in one; Apus does it to both.
    static let different: Set<String> = [
        "gpt_oss, several calls, 0", "gpt_oss, several calls, 1", "gpt_oss, turns in a row, 0",
        "youtu_llm, turns in a row, 0",
    ]

    private static func hashed(_ text: String) -> String {
        var value: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Text that is not trained and text that is, in turns.
    private static func runs(_ encoded: EncodedConversation, _ tokenizer: Tokenizer) -> String {
        var texts: [String] = []
        var start = 0
        for end in encoded.ids.indices.map({ $0 + 1 }) {
            guard end == encoded.ids.count || encoded.isTrained[end] != encoded.isTrained[start] else { continue }
            if texts.isEmpty, encoded.isTrained[start] { texts.append("") }
            texts.append(tokenizer.decode(Array(encoded.ids[start..<end])))
            start = end
        }
        return texts.joined(separator: "\u{1}")
    }

    private static func lines(_ path: String) throws -> [JSONValue] {
        try String(contentsOf: fixture(path), encoding: .utf8).split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
    }

    @Test func textsAndMasksAreThoseOfMsSwift() throws {
        let folder = try #require(sharedFixtures("tokenizers/qwen2.5"))
        let tokenizer = try Tokenizer.load(folder: folder)
        let beginning = try #require(tokenizer.encode("<|endoftext|>").first)
        let tokens = NamedTemplateTokens(
            beginning: beginning, end: tokenizer.eosTokenID, decode: { tokenizer.decode($0) },
            count: { tokenizer.encode($0).count })
        let date = try #require(ISO8601DateFormatter().date(from: "2026-03-05T12:00:00Z"))
        let conversations = try JSONValue(parsing: Data(contentsOf: fixture("templates/conversations.json")))
        let texts = ProcessInfo.processInfo.environment["APUS_TEMPLATE_TEXTS"].flatMap {
            try? String(contentsOfFile: $0, encoding: .utf8).split(separator: "\n").map {
                try JSONValue(parsing: String($0))
            }
        }
        var (equal, compared) = (0, 0)
        for (index, row) in try Self.lines("templates/expected.jsonl").enumerated() {
            let name = try #require(row["template"]?.stringValue)
            let agent = try #require(row["agent"]?.stringValue)
            let template = try #require(NamedTemplate.named(name), "\(name) is missing")
            for (title, expected) in try #require(row.objectValue) where title != "template" && title != "agent" {
                let conversation = try #require(conversations[title])
                let usesTools = conversation["tools"] != nil
                let encoder = try ChatEncoder(
                    named: template, options: NamedTemplateOptions(agent: usesTools ? agent : nil), tokens: tokens,
                    clock: .fixed(date)
                ) { tokenizer.encode($0, addSpecialTokens: false) }
                let messages = try (conversation["messages"]?.arrayValue ?? []).map { try Message($0) }
                let tools = conversation["tools"]?.arrayValue
                for (number, wanted) in (expected.arrayValue ?? []).enumerated() {
                    guard let wanted = wanted.stringValue else { continue }
                    let written: String
                    if number == 0 {
                        written = Self.runs(try encoder.encoded(messages, tools: tools), tokenizer)
                    } else {
                        let question = messages.last?.role == "assistant" ? Array(messages.dropLast()) : messages
                        written = tokenizer.decode(try encoder.generationPrompt(question, tools: tools))
                    }
                    compared += 1
                    let isEqual = Self.hashed(written) == wanted
                    if isEqual { equal += 1 }
                    #expect(
                        isEqual != Self.different.contains("\(name), \(title), \(number)"),
                        "\(name), \(agent), \(title), \(number): \(written)\n\(texts?[index][title]?[number]?.stringValue ?? "")"
                    )
                }
            }
        }
        print("named templates: \(equal) of \(compared) texts as ms-swift's")
        #expect(compared > 2400)
    }

    /// A result whose last line ends as those of Windows gets no second end, as `endswith("\n")` of Python has it.
    @Test func resultsOfWindowsKeepTheirLines() throws {
        let template = try #require(NamedTemplate.names.first.flatMap { NamedTemplate.named($0) })
        let message = try Message(["role": "tool", "content": "x"])
        let results = ["a\r\n", "b"].map { AgentTemplate.Result($0, of: message) }
        let call = "Action: f\nAction Input: {}\r\n"
        let (answer, parts) = try AgentTemplate(tools: "").parts(of: results, behind: call, whole: call, template)
        #expect(answer == call + "Observation:")
        #expect(parts.compactMap(\.text) == ["a\r\nObservation:b\n"])
    }

    /// ms-swift's way of Mistral alone writes results of ReAct's calls as all others.
    @Test func mistralKnowsNoReAct() throws {
        let template = try #require(NamedTemplate.named("mistral_2501"))
        let results = [AgentTemplate.Result("2", of: try Message(["role": "tool", "content": "2"]))]
        let call = "Thought: x\nAction: f\nAction Input: {\"a\":1}\nObservation:"
        let (answer, parts) = try AgentTemplate.mistral.parts(of: results, behind: call, whole: call, template)
        #expect(answer == call)
        #expect(
            parts.compactMap(\.text).joined()
                == "</s>[INST][TOOL_RESULTS]{\"content\": \"2\"}[/TOOL_RESULTS][/INST]")
    }
}
