import ApusJSON
import ApusText
import Testing

@testable import ApusDatasets

@Suite("Rows become questions")
struct PromptRowTests {
    private func recognize(_ json: String, columns: [String: String] = [:]) throws -> PromptRow {
        var options = ConversationRecognizer.Options()
        options.columns = columns
        return try PromptRecognizer(options).recognize(JSONValue(parsing: json)).row
    }

    /// What a question is made of stays a column, and is no answer to it.
    @Test(arguments: [
        (#"{"text": "Q", "answer": "4"}"#, #"{"text": "Q", "answer": "4", "solution": "4"}"#),
        (#"{"text": "Q", "level": 3}"#, #"{"text": "Q", "level": 3}"#),
        (#"{"Text": "Q", "answer": "4"}"#, #"{"Text": "Q", "answer": "4", "solution": "4"}"#),
    ]) func formattedQuestions(json: String, columns: String) throws {
        var options = ConversationRecognizer.Options()
        options.promptFormat = try PromptFormat("{text}?")
        let row = try PromptRecognizer(options).recognize(JSONValue(parsing: json)).row
        #expect(asked(row) == ["user: Q?"])
        #expect(try JSONValue.object(row.columns) == JSONValue(parsing: columns))
    }

    private func asked(_ row: PromptRow) -> [String] {
        row.conversation.messages.map { "\($0.role): \($0.text ?? "")" }
    }

    /// Every column reaches the rewards as it stands; what the row gives as its response is the solution as well.
    @Test(arguments: [
        (#"{"query": "Q", "response": "4"}"#, #"{"response": "4", "solution": "4"}"#),
        (#"{"question": "Q", "answer": 4, "level": 3}"#, #"{"answer": 4, "level": 3, "solution": 4}"#),
        (#"{"question": "Q", "solution": 4}"#, #"{"solution": 4}"#),
        (#"{"question": "Q", "solution": "4"}"#, #"{"solution": "4"}"#),
        (#"{"question": "Q", "solution": null, "answer": "4"}"#, #"{"solution": null, "answer": "4"}"#),
        (#"{"question": "Q", "solution": ["4", "four"]}"#, #"{"solution": ["4", "four"]}"#),
        (#"{"question": "Q", "answers": ["4", "four"]}"#, #"{"answers": ["4", "four"], "solution": "4"}"#),
        (#"{"question": "Q", "answer": {"value": 4}}"#, #"{"answer": {"value": 4}}"#),
        (#"{"question": "Q", "answer": "4", "solution": "2+2=4"}"#, #"{"answer": "4", "solution": "2+2=4"}"#),
        // Which of several is the answer, nobody says.
        (#"{"question": "Q", "answer": "4", "target": "5"}"#, #"{"answer": "4", "target": "5"}"#),
        (
            #"{"prompt": [{"role": "user", "content": "Q"}], "answer": "4", "solution": "5"}"#,
            #"{"answer": "4", "solution": "5"}"#
        ),
        (
            #"{"prompt": [{"role": "user", "content": "Q"}], "completion": [{"role": "assistant", "content": "4"}]}"#,
            #"{"completion": [{"role": "assistant", "content": "4"}], "solution": "4"}"#
        ),
        (#"{"instruction": "Q", "input": "", "output": "4"}"#, #"{"output": "4", "solution": "4"}"#),
        // Beside messages only their own last answer is one.
        (
            #"{"messages": [{"role": "user", "content": "Q"}], "answer": "4"}"#, #"{"answer": "4"}"#
        ),
        (
            #"{"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "4"}], "target": 5}"#,
            #"{"target": 5, "solution": "4"}"#
        ),
    ])
    func columns(_ json: String, _ columns: String) throws {
        let row = try recognize(json)
        #expect(asked(row) == ["user: Q"])
        #expect(try JSONValue.object(row.columns) == JSONValue(parsing: columns), "\(row.columns)")
    }

    @Test func renamedColumns() throws {
        let row = try recognize(#"{"frage": "Q", "zahl": 4}"#, columns: ["frage": "query", "zahl": "solution"])
        #expect(asked(row) == ["user: Q"] && row.columns == ["solution": 4])
    }

    /// Where answers are compared, and none is asked for, a number is a solution and no answer.
    @Test func numbersAreNoAnswers() throws {
        var options = ConversationRecognizer.Options()
        options.requiresAnswer = false
        let row = try ConversationRecognizer(options).recognize(
            JSONValue(parsing: #"{"question": "Q", "solution": 4}"#)
        ).row
        #expect(row.messages.map(\.role) == ["user"] && row.otherColumns == ["solution": 4])
        let both = try ConversationRecognizer(options).recognize(
            JSONValue(parsing: #"{"prompt": [{"role": "user", "content": "Q"}], "answer": "4", "solution": "5"}"#)
        ).row
        #expect(both.messages.map(\.role) == ["user"] && both.otherColumns == ["answer": "4", "solution": "5"])
    }
}
