import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// What becomes of a data file: the rows that are used and the reasons for which others are not, or an error.
///
/// A line number in an error is written as `:2: …`; the path before it is left out.
enum Outcome {
    case rows([String], dropped: [String] = [], notes: [String] = [])
    case error(String)

    /// Compares an outcome with what a load gives.
    func check<Recognizer: RowRecognizer>(
        _ name: String, path: String, _ recognizer: Recognizer, shown: (Recognizer.Row) -> String
    ) {
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        do {
            let loaded = try loader.load([path], as: recognizer)
            let rows = try (0..<loaded.train.count).map { shown(try loaded.train.recognized(at: $0)) }
            let report = loaded.report.files[0]
            guard case .rows(let expected, let dropped, let notes) = self else {
                Issue.record("\(name) is read: \(rows)")
                return
            }
            #expect(rows == expected, "\(name)")
            #expect(report.dropped.entries.map(\.reason) == dropped, "\(name)")
            #expect(report.notes.entries.map(\.reason) == notes, "\(name)")
        } catch {
            guard case .error(let expected) = self else {
                Issue.record("\(name): \(error)")
                return
            }
            #expect("\(error)".replacing(path, with: "").contains(expected), "\(name): \(error)")
        }
    }
}

/// One file for each situation that users were seen in, and what becomes of it.
@Suite("Situations: conversations")
struct SituationTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// `user: a | assistant: b (untrained)`.
    private func shown(_ conversation: Conversation) -> String {
        conversation.messages.map { message in
            let calls = message.toolCalls.map { " → \($0["function"]?.serialized() ?? "")" }.joined()
            let isMarked = message.role == "assistant" || message.isTrained == true
            let mark = !isMarked ? "" : message.isTrained.map { $0 ? " (trained)" : " (untrained)" } ?? ""
            return "\(message.role): \(message.textOrEmpty)\(calls)\(mark)"
                + (message.weight == 1 ? "" : " (×\(message.weight))")
        }.joined(separator: " | ")
    }

    private func check(_ name: String, _ text: String, _ outcome: Outcome) throws {
        try check(name, Data(text.utf8), outcome)
    }

    private func check(_ name: String, _ data: Data, _ outcome: Outcome) throws {
        let path = try folder.write(data, to: name)
        outcome.check(name, path: path, try ConversationRecognizer(.init()), shown: shown)
    }

    private static let ab = ["user: a | assistant: x", "user: b | assistant: y"]

    @Test(
        arguments: [
            (
                "bom.jsonl", "\u{FEFF}{\"query\":\"a\",\"response\":\"x\"}\r\n{\"query\":\"b\",\"response\":\"y\"}\r\n",
                .rows(ab)
            ),
            ("cr.jsonl", "{\"query\":\"a\",\"response\":\"x\"}\r{\"query\":\"b\",\"response\":\"y\"}\r", .rows(ab)),
            ("array.jsonl", "[{\"query\":\"a\",\"response\":\"x\"},\n{\"query\":\"b\",\"response\":\"y\"}]", .rows(ab)),
            ("lines.json", "{\"query\":\"a\",\"response\":\"x\"}\n{\"query\":\"b\",\"response\":\"y\"}\n", .rows(ab)),
            ("nested.json", "{\"version\":1,\"data\":[{\"query\":\"a\",\"response\":\"x\"}]}", .rows([ab[0]])),
            (
                "array-lines.jsonl",
                "[{\"role\":\"user\",\"content\":\"a\"}]\n[{\"role\":\"user\",\"content\":\"c\"}]\n",
                .error(":1: the row has columns messages")
            ),
            (
                "arrays.json", "[[{\"role\":\"user\",\"content\":\"a\"}],[{\"role\":\"user\",\"content\":\"c\"}]]",
                .error(":1: the row has columns messages")
            ),
            ("columns.json", #"{"query":["a","b"],"response":["x","y"]}"#, .error(":1: it is a list: [\"a\", \"b\"]")),
            ("keyed.json", #"{"0":{"query":"a","response":"x"}}"#, .error(":1: the row has columns 0")),
            ("commas.jsonl", "{\"query\":\"a\",\"response\":\"x\"},\n", .error(":1: not valid JSON at column 29")),
            ("trailing.json", "[{\"query\":\"a\",\"response\":\"x\"},\n]", .error(":2: expected a value")),
            ("control.jsonl", "{\"query\":\"a\",\"response\":\"x\ty\"}\n", .error(":1: not valid JSON at column 27")),
            (
                "cut.jsonl", "{\"query\":\"a\",\"response\":\"x\"}\n{\"query\":\"b\",\"respon",
                .error(":2: not valid JSON")
            ),
            ("nul.jsonl", "{\"query\":\"a\",\"response\":\"x\"}\n\0\0\n", .error(":2: not valid JSON at column 1")),
            ("python.jsonl", "{'query':'a','response':'x'}\n", .error(":1: not valid JSON at column 2")),
            ("page.json", "<!DOCTYPE html><html></html>", .error(":1: expected an array of objects")),
            (
                "pointer.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
                .error("is a git-lfs pointer")
            ),
            (
                "nan.jsonl",
                "{\"id\":NaN,\"query\":\"a\",\"response\":\"x\"}\n{\"id\":1e400,\"query\":\"b\",\"response\":\"y\"}",
                .rows(ab)
            ),
            (
                "large.jsonl", "{\"id\":123456789012345678901234567890,\"query\":\"a\",\"response\":\"x\"}\n",
                .rows([ab[0]])
            ),
            (
                "surrogate.jsonl", #"{"query":"\ud83d\ude00","response":"x \ud83d y"}"#,
                .rows(["user: 😀 | assistant: x \u{FFFD} y"])
            ),
            (
                "lines-in-text.jsonl", "{\"query\":\"a\u{2028}b\",\"response\":\"y\u{85}z\"}",
                .rows(["user: a\u{2028}b | assistant: y\u{85}z"])
            ),
            (
                "family.jsonl", "{\"query\":\"👨‍👩‍👧‍👦\",\"response\":\"e\u{301} é\"}",
                .rows(["user: 👨‍👩‍👧‍👦 | assistant: e\u{301} é"])
            ),
        ] as [(String, String, Outcome)])
    func jsonFiles(_ name: String, _ text: String, _ outcome: Outcome) throws { try check(name, text, outcome) }

    @Test func otherEncodingsNameTheLine() throws {
        let gbk: [UInt8] = [0xC4, 0xE3, 0xBA, 0xC3]
        try check(
            "gbk.jsonl", Data("{\"query\":\"".utf8) + gbk + Data("\",\"response\":\"a\"}".utf8),
            .error(":1: not valid JSON"))
        try check("gbk.csv", Data("query,response\n".utf8) + gbk + Data(",a\n".utf8), .error(":2: is not UTF-8"))
    }

    @Test(
        arguments: [
            ("bom.csv", "\u{FEFF}\"query\",\"response\"\r\n\"a\",\"x\"\r\n\r\nb,y\r\n", .rows(ab)),
            ("cr.csv", "query,response\ra,x\rb,y\r", .rows(ab)),
            ("cr-quoted.csv", "query,response\ra,\"one\ntwo\"\r", .rows(["user: a | assistant: one\ntwo"])),
            ("cr.tsv", "query\tresponse\ra\tx\rb\ty", .rows(ab)),
            ("tabs.csv", "query\tresponse\na\tb, c\n", .rows(["user: a | assistant: b, c"])),
            (
                "semicolon.csv", "query;response\na;\"one; two\"\nb;1,5\n",
                .rows(
                    ["user: a | assistant: one; two", "user: b | assistant: 1,5"],
                    notes: ["a table with ';' between its fields"])
            ),
            ("bar.csv", "id|query|response\n1|a|x\n", .rows([ab[0]], notes: ["a table with '|' between its fields"])),
            (
                "texts.csv", "query,response\na;b,x|y\nc;d,z|w\n",
                .rows(["user: a;b | assistant: x|y", "user: c;d | assistant: z|w"])
            ),
            ("unquoted.csv", "query,response\nwhat, is it,yes, it is\n", .error(":2: 4 instead of 2")),
            ("twice.csv", "query,response,response\na,b,c\n", .error(":1: two columns are called \"response\"")),
            ("header.csv", "query,response\n", .error(": has no rows")),
            (
                "history.csv", "query,response,history\na,b,\"[[\"\"q\"\",\"\"r\"\"]]\"\nc,d,\n",
                .rows([
                    "user: q | assistant: r | user: a | assistant: b", "user: c | assistant: d",
                ])
            ),
            ("index.csv", ",query,response\n0,a,x\n1,b,y\n", .rows(ab)),
            (
                "messages.csv",
                "messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"x\"\"}]\"\n",
                .rows([ab[0]])
            ),
            (
                "nan.csv", "query,response\nnull,NA\nNone,nan\n",
                .rows(["user: null | assistant: NA", "user: None | assistant: nan"])
            ),
            (
                "numbers.csv", "query,response\na,3.50\nb,007\nc,\n",
                .rows(
                    ["user: a | assistant: 3.50", "user: b | assistant: 007", "user: c | assistant: "],
                    notes: ["an empty answer"])
            ),
            (
                "ragged.csv", "query,response\na,x\nc,d,extra\ne\nf,g,\n",
                .rows([ab[0]], dropped: ["more fields than columns", "fewer fields than columns"])
            ),
            ("spaces.csv", "query, response\na, b\n", .rows(["user: a | assistant:  b"])),
            (
                "system.csv", "system,query,response\n,a,x\nS,b,y\n",
                .rows(["system:  | \(ab[0])", "system: S | \(ab[1])"])
            ),
            (
                "unclosed.csv", "query,response\na,\"never closed\nb,c\n",
                .error(":2: the quotes that begin here are never closed")
            ),
        ] as [(String, String, Outcome)])
    func tables(_ name: String, _ text: String, _ outcome: Outcome) throws { try check(name, text, outcome) }

    @Test(
        arguments: [
            (
                "alpaca", #"{"instruction":"i","input":"","output":"o","system":"","history":[]}"#,
                .rows(["system:  | user: i | assistant: o"])
            ),
            ("no-input", #"{"instruction": "i", "output": "o"}"#, .rows(["user: i | assistant: o"])),
            ("null-input", #"{"instruction": "i", "input": null, "output": "o"}"#, .rows(["user: i | assistant: o"])),
            (
                "whole", #"{"instruction": "i", "input": "", "output": "o", "text": "all of it"}"#,
                .rows(["user: i | assistant: o"])
            ),
            ("answers", #"{"question": "q", "answers": ["a1", "a2"]}"#, .rows(["user: q | assistant: a1"])),
            ("squad", #"{"question": "q", "answers": {"text": ["a1"]}}"#, .error(":1: it is an object")),
            ("case", #"{"Question": "q", "Answer": "a"}"#, .rows(["user: q | assistant: a"])),
            ("spaces", #"{" question ": "q", "answer ": "a"}"#, .rows(["user: q | assistant: a"])),
            ("chinese", #"{"问题": "q", "答案": "a"}"#, .error(":1: the row has columns 问题, 答案")),
            ("context", #"{"context": "c", "question": "q", "answer": "a"}"#, .rows(["user: q | assistant: a"])),
            ("prompt", #"{"prompt": "q", "completion": " a"}"#, .rows(["user: q | assistant:  a"])),
            (
                "turns",
                #"{"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]}"#,
                .rows(["user: q | assistant: a"])
            ),
            ("text", #"{"text": "The river was high."}"#, .rows(["assistant: The river was high."])),
            ("response", #"{"response": "The river was high."}"#, .rows(["assistant: The river was high."])),
            ("system", #"{"system":"","query":"a","response":"x"}"#, .rows(["system:  | user: a | assistant: x"])),
            (
                "pairs", #"{"query": "c", "response": "d", "history": [[null, "b"]]}"#,
                .rows(["assistant: b | user: c | assistant: d"])
            ),
            ("half", #"{"query": "c", "response": "d", "history": [["only one"]]}"#, .error(":1: [\"only one\"]")),
            (
                "objects", #"{"query": "c", "response": "d", "history": [{"query": "a"}]}"#,
                .error(":1: {\"query\": \"a\"}")
            ),
            ("number", #"{"query": "a", "response": 3.5}"#, .error("the response is not a text")),
            (
                "object", #"{"instruction": "i", "input": "x", "output": {"name": "A"}}"#,
                .error("the response is not a text")
            ),
        ] as [(String, String, Outcome)])
    func columns(_ name: String, _ text: String, _ outcome: Outcome) throws {
        try check(name + ".jsonl", text, outcome)
    }

    @Test(
        arguments: [
            ("first", "[{A: hello}, {U: q}, {A: one}]", .rows(["assistant: hello | user: q | assistant: one"])),
            ("only", "[{A: text}]", .rows(["assistant: text"])),
            ("empty-user", "[{U: }, {A: one}]", .rows(["user:  | assistant: one"])),
            ("ends", "[{U: q}, {A: one}, {U: r}]", .rows(["user: q | assistant: one | user: r"])),
            ("blank", "[{U: q}, {A:  one two \\n}]", .rows(["user: q | assistant:  one two \n"])),
            ("new-line", "[{U: q}, {A: \\n\\none}]", .rows(["user: q | assistant: \n\none"])),
            ("system-answer", "[{S: s}, {A: text}]", .rows(["system: s | assistant: text"])),
            (
                "middle", "[{U: q}, {A: one}, {S: t}, {U: r}, {A: TWO}]",
                .rows(["user: q | assistant: one | system: t | user: r | assistant: TWO"])
            ),
            (
                "two-systems", "[{S: a}, {S: b}, {U: q}, {A: one}]",
                .rows(["system: a | system: b | user: q | assistant: one"])
            ),
            ("two-answers", "[{U: q}, {A: one}, {A: two}]", .rows(["user: q | assistant: one | assistant: two"])),
            ("two-users", "[{U: q}, {U: r}, {A: one}]", .rows(["user: q | user: r | assistant: one"])),
            ("empty-turns", "[{U: }, {A: }]", .rows(["user:  | assistant: "], notes: ["an empty answer"])),
            ("none", "[]", .error("no messages")),
            ("null", "null", .error("no messages")),
            ("null-answer", #"[{U: a}, {"role": "assistant", "content": null}]"#, .error(":1: message 2")),
            (
                "string", #""[{'role': 'user', 'content': 'it\\'s'}, {'role': 'assistant', 'content': 'a'}]""#,
                .rows(["user: it's | assistant: a"])
            ),
            (
                "parts",
                #"[{"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}, {A: B}]"#,
                .rows(["user: one two | assistant: B"])
            ),
            (
                "part", #"[{"role": "user", "content": {"type": "text", "text": "one"}}, {A: B}]"#,
                .rows(["user: one | assistant: B"])
            ),
            (
                "other-role", #"[{"from": "hummany", "value": "Q"}, {"from": "gpt", "value": "A"}]"#,
                .error("message 1, \"hummany\"; known are")
            ),
            (
                "chatgpt", #"[{"from": "USER", "value": "Q"}, {"from": "chatgpt", "value": "A"}]"#,
                .error("message 2, \"chatgpt\"")
            ),
            (
                "capitals", #"[{"from": "USER", "value": "Q"}, {"from": "Assistant", "value": "A"}]"#,
                .rows(["user: Q | assistant: A"])
            ),
            (
                "loss",
                #"[{U: q}, {"role": "assistant", "content": "bad", "loss": false}, {"role": "assistant", "content": "good", "loss": true}]"#,
                .rows(["user: q | assistant: bad (untrained) | assistant: good (trained)"])
            ),
            (
                "loss-null",
                #"[{"role": "user", "content": "q", "loss": null}, {"role": "assistant", "content": "a", "loss": null}]"#,
                .rows(["user: q | assistant: a"])
            ),
            (
                "loss-everywhere",
                #"[{"role": "system", "content": "s", "loss": false}, {"role": "user", "content": "q", "loss": false}, {"role": "assistant", "content": "a", "loss": true}, {"role": "tool", "content": "t", "loss": false}]"#,
                .rows(["system: s | user: q | assistant: a (trained) | tool: t"])
            ),
            (
                "loss-text", #"[{U: q}, {"role": "assistant", "content": "a", "loss": "false"}]"#,
                .error(#"message 2, "loss" is "false"; it takes true or false"#)
            ),
            (
                "loss-half", #"[{U: q}, {"role": "assistant", "content": "a", "loss": 0.5}]"#,
                .error("\"loss_scale\" takes a number")
            ),
            (
                "loss-user", #"[{"role": "user", "content": "q", "loss": true}, {A: a}]"#,
                .rows(["user: q (trained) | assistant: a"])
            ),
            (
                "scale", #"[{U: q}, {"role": "assistant", "content": "a", "loss_scale": 0.5}]"#,
                .rows(["user: q | assistant: a (×0.5)"])
            ),
            (
                "weight",
                #"[{"from": "human", "value": "q", "weight": 0}, {"from": "gpt", "value": "a", "weight": 1}, {"from": "gpt", "value": "b", "weight": 0}]"#,
                .rows(["user: q | assistant: a | assistant: b (untrained)"])
            ),
            (
                "train",
                #"[{U: q}, {"role": "assistant", "content": "a", "train": false}, {"role": "assistant", "content": "b", "train": true}]"#,
                .rows(["user: q | assistant: a (untrained) | assistant: b (trained)"])
            ),
            (
                "contradiction", #"[{U: q}, {"role": "assistant", "content": "a", "train": false, "loss": true}]"#,
                .error("contradict each other")
            ),
            (
                "negative", #"[{U: q}, {"role": "assistant", "content": "a", "weight": -1}]"#,
                .error("it takes a number from 0")
            ),
            (
                "detail", #"[{U: q}, {"role": "assistant", "content": "a", "train_detail": []}]"#,
                .error("\"train_detail\" marks parts")
            ),
        ] as [(String, String, Outcome)])
    func turns(_ name: String, _ messages: String, _ outcome: Outcome) throws {
        let turn = /\{([SUA]): ([^}]*)\}/
        let roles = ["S": "system", "U": "user", "A": "assistant"]
        let json = messages.replacing(turn) { #"{"role": "\#(roles[String($0.1)] ?? "")", "content": "\#($0.2)"}"# }
        try check(name + ".jsonl", "{\"messages\": \(json)}", outcome)
    }

    @Test func toolsAreWrappedAndCallsHaveArguments() throws {
        let call = #"user: t | assistant:  → {"name": "f", "arguments": {}} | tool: 12 | assistant: noon"#
        for arguments in [
            "", #", "arguments": null"#, #", "arguments": """#, #", "arguments": "{}""#, #", "arguments": " ""#,
        ] {
            let row =
                #"{"messages": [{"role": "user", "content": "t"}, {"role": "tool_call", "content": {"name": "f"\#(arguments)}}, {"role": "tool_response", "content": "12"}, {"role": "assistant", "content": "noon"}]}"#
            try check("call.jsonl", row, .rows([call]))
            let openAI =
                #"{"messages": [{"role": "user", "content": "t"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"\#(arguments)}}]}, {"role": "tool", "content": "12"}, {"role": "assistant", "content": "noon"}]}"#
            try check("open.jsonl", openAI, .rows([call]))
            let old =
                #"{"messages": [{"role": "user", "content": "t"}, {"role": "assistant", "content": null, "function_call": {"name": "f"\#(arguments)}}, {"role": "function", "content": "12"}, {"role": "assistant", "content": "noon"}]}"#
            try check("old.jsonl", old, .rows([call]))
        }
        let wrapped: JSONValue = ["type": "function", "function": ["name": "f", "parameters": [:]]]
        for tool in [
            #"{"name": "f", "parameters": {}}"#, #"{"type": "function", "name": "f", "parameters": {}}"#,
            #"{"function": {"name": "f", "parameters": {}}}"#, #"{"name": "f", "input_schema": {}}"#,
            #"{"type": "function", "function": {"name": "f", "parameters": {}}}"#,
        ] {
            let row = #"{"query": "q", "response": "a", "tools": [\#(tool)]}"#
            #expect(try recognize(row).conversation.tools == [wrapped], "\(tool)")
        }
        #expect(
            try rejection(#"{"query": "q", "response": "a", "tools": [{"parameters": {}}]}"#)?.reason
                == "a tool has no name")
    }
}
