import ApusJSON
import ApusText
import Testing

@testable import ApusDatasets

@Suite("Rows become conversations")
struct RecognitionTests {
    @Test(arguments: [
        (
            #"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}"#,
            ["system: S", "user: Q", "assistant: A"]
        ),
        (
            #"{"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "system": "S"}"#,
            ["system: S", "user: Q", "assistant: A"]
        ),
        (
            #"{"Conversation": [{"human": "Q1", "assistant": "A1"}, {"user": "Q2", "bot": "A2"}], "system_prompt": "S"}"#,
            ["system: S", "user: Q1", "assistant: A1", "user: Q2", "assistant: A2"]
        ),
        (
            #"{"messages": "[{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": \"bot\", \"content\": \"A\"}]"}"#,
            ["user: Q", "assistant: A"]
        ),
        (
            #"{"messages": "[{'role': 'user', 'content': \"it's\"}, {'role': 'assistant', 'content': 'a\\nb', 'loss': True}]"}"#,
            ["user: it's", "assistant: a\nb"]
        ),
        (
            #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}, {"type": "text", "text": "!"}]}, {"role": "assistant", "content": "A"}]}"#,
            ["user: Q!", "assistant: A"]
        ),
        (#"{"messages": null, "query": "Q", "response": "A"}"#, ["user: Q", "assistant: A"]),
        (
            #"{"query": "Q2", "response": "A2", "history": [["Q1", "A1"]], "system": "S"}"#,
            ["system: S", "user: Q1", "assistant: A1", "user: Q2", "assistant: A2"]
        ),
        (
            #"{"query": "Q2", "response": "A2", "history": "[('Q1', None)]"}"#,
            ["user: Q1", "user: Q2", "assistant: A2"]
        ),
        (#"{"Question": "Q", "ANSWER": "A"}"#, ["user: Q", "assistant: A"]),
        (#"{"prompt": "Q", "completion": ["A", "B"]}"#, ["user: Q", "assistant: A"]),
        (#"{"query": "Q", "input": "ignored", "response": "A", "text": "ignored"}"#, ["user: Q", "assistant: A"]),
        (#"{"instruction": "I", "input": "X", "output": "A"}"#, ["user: I\nX", "assistant: A"]),
        (
            #"{"instruction": "I", "input": "", "output": "A", "text": "whole", "system": "S"}"#,
            ["system: S", "user: I", "assistant: A"]
        ),
        (#"{"instruction": "I", "output": "A"}"#, ["user: I", "assistant: A"]),
        (#"{"instruction": "", "input": "X", "output": "A"}"#, ["user: X", "assistant: A"]),
        (#"{"text": "plain", "source": 1}"#, ["assistant: plain"]),
    ])
    func formatsAreRecognised(_ json: String, _ expected: [String]) throws {
        #expect(try transcript(recognize(json).conversation) == expected)
    }

    @Test(arguments: [
        ("[1]", "a row is not a JSON object"),
        ("{}", "no messages"),
        (#"{"messages": []}"#, "no messages"),
        (#"{"label": 1}"#, "no messages"),
        (#"{"system": "S"}"#, "no messages"),
        (#"{"query": "Q"}"#, "no assistant message to learn from"),
        (#"{"messages": "[{"}"#, "the messages is neither JSON nor a Python literal"),
        (#"{"messages": {"role": "user"}}"#, "the messages is not a list"),
        (#"{"messages": ["x"]}"#, "a message is not an object"),
        (#"{"messages": [{"content": "x"}]}"#, "a message has no role"),
        (#"{"messages": [{"role": "narrator", "content": "x"}]}"#, "an unknown role"),
        (#"{"messages": [{"role": "assistant", "content": null}]}"#, "the content of a message is null"),
        (#"{"messages": [{"role": "assistant", "content": 3}]}"#, "the content of a message is not text"),
        (
            #"{"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}"#,
            "content parts other than text are not supported yet"
        ),
        (
            #"{"messages": [{"role": "assistant", "content": "x", "loss_scale": "0.5"}]}"#,
            "what is trained of a message is unclear"
        ),
        (#"{"messages": [{"user": "Q"}]}"#, "a pair of turns lacks assistant or its aliases"),
        (#"{"messages": [{"role": "tool_call", "content": "{}"}]}"#, "a tool call has no function name"),
        (
            #"{"messages": [{"role": "tool_call", "content": "call it"}]}"#,
            "the tool_call is neither JSON nor a Python literal"
        ),
        (#"{"query": 3, "response": "A"}"#, "the query is not a text"),
        (#"{"query": "Q", "response": []}"#, "the list of responses is empty"),
        (
            #"{"query": "Q", "response": "A", "history": ["Q1", "A1"]}"#,
            "history is not a list of [query, response] pairs"
        ),
        (#"{"prompt": "Q", "question": "P", "response": "A"}"#, "several columns could be the query"),
        (#"{"query": "Q", "answer": "A", "output": "B"}"#, "several columns could be the response"),
        (#"{"query": "Q", "response": "A", "image": "a.png"}"#, "images, video and audio are not supported yet"),
        (#"{"query": "Q", "response": "A", "tools": "[1]"}"#, "a tool is not an object"),
    ])
    func unusableRowsGiveTheReason(_ json: String, _ reason: String) throws {
        #expect(try rejection(json)?.reason == reason)
    }

    @Test func detailsSayWhatTheRowHas() throws {
        #expect(
            try rejection(#"{"messages": [{"role": "user", "content": ""}, {"role": "x", "content": ""}]}"#)?.detail
                == "message 2, \"x\"; known are system, user, assistant, tool_call, tool_response and tool")
        #expect(
            try rejection(#"{"prompt": "Q", "question": "P", "response": "A"}"#)?.detail
                == "\"prompt\", \"question\"; choose one with --columns '{\"prompt\": \"query\"}'")
        #expect(try rejection(#"{"id": 1, "label": 2}"#)?.detail == "the row has columns id, label")
        #expect(RowRejection("r", "a\u{1B}[2J\nb").description == "r: a [2J b")
    }

    @Test func columnsAreRenamedFirst() throws {
        var options = ConversationRecognizer.Options()
        options.columns = ["Ask": "query", "reply": "response"]
        #expect(
            try transcript(recognize(#"{"ask": "Q", "Reply": "A", "text": "t"}"#, options).conversation)
                == ["user: Q", "assistant: A"])
        #expect(
            try rejection(#"{"ask": "Q", "query": "P", "reply": "A"}"#, options)?.reason
                == "--columns gives two columns the same name")
        options.columns = ["query": "response", "response": "query"]
        #expect(
            try transcript(recognize(#"{"query": "A", "response": "Q"}"#, options).conversation)
                == ["user: Q", "assistant: A"])
        options = .init()
        options.mapsColumns = false
        #expect(
            try transcript(recognize(#"{"query": "Q", "response": "A", "text": "t"}"#, options).conversation)
                == ["user: Q", "assistant: A"])
        #expect(try rejection(#"{"question": "Q", "answer": "A"}"#, options)?.reason == "no messages")
    }

    @Test func promptsNeedNoAnswerWhenTheyAreAskedFor() throws {
        var options = ConversationRecognizer.Options()
        options.requiresAnswer = false
        let result = try recognize(#"{"problem": "Q", "solution": "S", "answer": "A"}"#, options)
        #expect(transcript(result.conversation) == ["user: Q"])
        #expect(result.conversation.otherColumns == ["solution": "S", "answer": "A"])
    }

    @Test func otherColumnsStay() throws {
        let row = #"{"query": "Q", "solution": "A", "label": 1, "rejected_response": "B", "meta": {"a": null}}"#
        let other = try recognize(row).conversation.otherColumns
        #expect(other == ["solution": "A", "label": 1, "rejected_response": "B", "meta": ["a": nil]])
    }

    /// What a row tells the chat template is an object, or its text; null is what tables have where a row has none.
    @Test func rowsTellTheChatTemplate() throws {
        func told(_ value: String) throws -> ConversationRecognizer.Result {
            try recognize(#"{"query": "Q", "response": "A", "objects": {}, "chat_template_kwargs": \#(value)}"#)
        }
        let result = try told(#"{"enable_thinking": false, "preserve_thinking": null, "effort": "low"}"#)
        #expect(result.row.variables == ["enable_thinking": false, "effort": "low"])
        #expect(result.row.otherColumns["chat_template_kwargs"] != nil)
        #expect(result.notes.isEmpty && result.unusedColumns == ["objects"])
        #expect(try told(#""{'enable_thinking': True}""#).row.variables == ["enable_thinking": true])
        for none in ["null", "{}", "\"\""] { #expect(try told(none).row.variables.isEmpty, "\(none)") }
        let prefix = try told(#"{"response_prefix": "x"}"#)
        #expect(prefix.row.variables == ["response_prefix": "x"] && prefix.notes.isEmpty)
        #expect {
            try told(#"{"response_prefix": 7}"#)
        } throws: { error in
            (error as? RowRejection)?.reason == "the response_prefix in chat_template_kwargs is no text"
        }
        for wrong in ["[1]", "7", "\"7\""] {
            #expect {
                try told(wrong)
            } throws: { error in
                (error as? RowRejection)?.reason == "the chat_template_kwargs is not an object"
            }
        }
    }

    @Test func lossOfAMessageIsKept() throws {
        let row = """
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "1", "loss": false},
             {"role": "assistant", "content": "2", "loss": 1.0}, {"role": "assistant", "content": "3", "loss_scale": 0},
             {"role": "assistant", "content": "4", "loss": true, "loss_scale": 0.0},
             {"role": "assistant", "content": "5", "loss": null}]}
            """
        #expect(try recognize(row).conversation.messages.map(\.isTrained) == [nil, false, true, false, false, nil])
    }

    private let call: JSONValue = [
        "type": "function", "function": ["name": "f", "arguments": ["x": [1, "a"]]],
    ]

    @Test(arguments: [
        #"[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "T"}, {"role": "tool_call", "content": "{\"name\": \"f\", \"arguments\": {\"x\": [1, \"a\"]}}"}, {"role": "tool_response", "content": "R"}, {"role": "assistant", "content": "A"}]"#,
        #"[{"from": "human", "value": "Q"}, {"from": "gpt", "value": "T"}, {"from": "function_call", "value": "{'name': 'f', 'arguments': {'x': [1, 'a']}}"}, {"from": "observation", "value": "R"}, {"from": "gpt", "value": "A"}]"#,
        #"[{"role": "user", "content": "Q"}, {"role": "assistant", "content": "T", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{\"x\": [1, \"a\"]}"}}]}, {"role": "tool", "content": "R"}, {"role": "assistant", "content": "A"}]"#,
        #"[{"role": "user", "content": "Q"}, {"role": "assistant", "content": [{"type": "text", "text": "T"}, {"type": "tool_use", "name": "f", "input": {"x": [1, "a"]}}]}, {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "R"}]}]}, {"role": "assistant", "content": "A"}]"#,
    ])
    func toolCallsHaveOneForm(_ messages: String) throws {
        let tools = #""tools": "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]""#
        let conversation = try recognize("{\"messages\": \(messages), \(tools)}").conversation
        #expect(transcript(conversation) == ["user: Q", "assistant: T", "tool: R", "assistant: A"])
        #expect(conversation.messages[1].toolCalls == [call])
        #expect(conversation.tools == [["type": "function", "function": ["name": "f"]]])
    }

    @Test func nullsAreAbsentAndOtherKeysReachTheTemplate() throws {
        let row = """
            {"messages": [{"from": "user", "role": null, "content": null, "value": "Q", "name": null, "tool_calls": null},
             {"role": "assistant", "content": "A", "reasoning_content": "R", "loss": null, "loss_scale": 0}]}
            """
        let messages = try recognize(row).conversation.messages
        #expect(messages.map(\.fields.keys) == [["role", "content"], ["role", "content", "reasoning_content"]])
        #expect(messages[1].reasoning == "R")
        #expect(messages[1].isTrained == false)
    }

    /// Arrow writes every field that any tool of the column has; what a tool does not have is null.
    @Test func nullsOfArrowAreNoPartOfATool() throws {
        let tool = #"""
            {"type": "function", "strict": null, "function": {"name": "f", "description": null, "parameters": {
             "type": "object", "required": null, "$defs": null, "properties": {"city": null, "default": {"type": "string",
              "enum": null}, "n": {"type": ["integer", null], "default": null, "const": null, "enum": [1, null],
              "examples": [{"a": null}], "x-note": {"b": null}, "anyOf": [{"type": "null", "title": null}]}}}}}
            """#
        let kept = #"""
            {"type": "function", "function": {"name": "f", "parameters": {
             "type": "object", "properties": {"default": {"type": "string"},
              "n": {"type": ["integer", null], "default": null, "const": null, "enum": [1, null],
              "examples": [{"a": null}], "x-note": {"b": null}, "anyOf": [{"type": "null"}]}}}}}
            """#
        let given = try JSONValue(parsing: tool)
        for tools in [tool, "[\(tool)]", JSONValue.string(given.serialized()).serialized()] {
            let row = #"{"query": "q", "response": "a", "tools": \#(tools)}"#
            #expect(try recognize(row).conversation.tools == [JSONValue(parsing: kept)])
        }
    }

    @Test func parallelCallsBelongToOneMessage() throws {
        let row = """
            {"messages": [{"role": "user", "content": "Q"},
             {"role": "tool_call", "content": {"name": "f", "arguments": {}}},
             {"role": "tool_call", "content": "[{\\"name\\": \\"g\\"}]"},
             {"role": "tool", "content": {"r": 1}, "name": "f"}], "tools": ""}
            """
        let conversation = try recognize(row).conversation
        #expect(transcript(conversation) == ["user: Q", "assistant: ", "tool: {\"r\": 1}"])
        #expect(conversation.messages[1].toolCalls.map { $0["function"]?["name"] } == ["f", "g"])
        #expect(conversation.messages[2].name == "f")
        #expect(conversation.tools == nil)
    }

    @Test func placeholdersAreFilledByLanguage() throws {
        var options = ConversationRecognizer.Options()
        options.modelName = ["小燕", "Apus"]
        options.modelAuthor = ["the authors"]
        func answer(_ json: String) throws -> String? {
            try recognize(json, options).conversation.messages.last?.text
        }
        let row = #"{"query": "?", "response": "{{NAME}} {{AUTHOR}} {{NAME}}", "tag": "TAG"}"#
        #expect(try answer(row.replacing("TAG", with: "zh")) == "小燕 the authors 小燕")
        #expect(try answer(row.replacing("TAG", with: "en")) == "Apus the authors Apus")
        #expect(try answer(#"{"query": "Who?", "response": "{{NAME}}"}"#) == "Apus")
        #expect(try answer(#"{"query": "谁？", "response": "{{NAME}}"}"#) == "小燕")
        #expect(
            try recognize(row).notes == [
                "{{NAME}} left as it is (--model_name is not given)",
                "{{AUTHOR}} left as it is (--model_author is not given)",
            ])
        options.modelName = ["a", "b", "c"]
        #expect(throws: DatasetError.self) { try ConversationRecognizer(options) }
    }

    @Test func notesAreGiven() throws {
        #expect(try recognize(#"{"query": "Q", "response": ""}"#).notes == ["an empty answer"])
        let row =
            #"{"messages": [{"role": "system", "content": "S"}, {"role": "assistant", "content": "A"}], "system": "T"}"#
        #expect(try recognize(row).notes == ["a system column beside a system message (the message is used)"])
    }

    @Test func pythonLiteralsAreRead() {
        func parse(_ text: String) -> JSONValue? { PythonLiteral.parse(text) }
        #expect(
            parse(" [1, -2.5, 'a' \"b\", (None, True,), {'k': False}, ] ") == [
                1, -2.5, "ab", [nil, true], ["k": false],
            ])
        #expect(parse(#"'\x41\u4f60\U0001F600\'\\\n'"#) == .string("A你😀'\\\n"))
        for text in [
            "", "[", "['a", "[1 2]", "f(x)", "{'a'}", "{1: 2}", "'a' + 'b'", "[1],", "'\\", "__import__('os')",
        ] {
            #expect(parse(text) == nil, "\(text)")
        }
        #expect(parse(String(repeating: "[", count: 100_000)) == nil)
    }
}
