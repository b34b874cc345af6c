import ApusJSON
import Testing

@testable import ApusText

struct MessageTests {
    private func message(_ text: String) throws -> Message { try Message(JSONValue(parsing: text)) }

    @Test func keysKeepTheirOrderAndLossIsTakenOut() throws {
        let message = try message(#"{"content": "c", "role": "user", "loss": true, "extra": [1], "name": "n"}"#)
        #expect(message.fields.keys == ["content", "role", "extra", "name"])
        #expect(message.isTrained == true)
        #expect(message.name == "n")
        let written = #"{"content": "c", "role": "user", "extra": [1], "name": "n", "loss": true}"#
        #expect(message.json.serialized() == written)
        #expect(try Message(message.json) == message)
    }

    @Test func contentMayBeTextPartsOrNothing() throws {
        let parts = try message(#"{"role": "user", "content": [{"type": "text", "text": "a"}]}"#)
        #expect(parts.text == nil)
        #expect(parts.content?.arrayValue?.count == 1)
        let call = try message(#"{"role": "assistant", "content": null, "tool_calls": [{"id": "1"}], "thinking": "t"}"#)
        #expect(call.text == nil)
        #expect(call.toolCalls.count == 1)
        #expect(call.reasoning == "t")
        #expect(try message(#"{"role": "assistant", "content": "", "loss": 0}"#).isTrained == false)
    }

    @Test(arguments: [
        "[]", "{}", #"{"role": 1}"#, #"{"role": "user", "loss": "yes"}"#, #"{"role": "user", "loss": 0.5}"#,
    ])
    func whatIsNoMessageIsRefused(_ text: String) {
        #expect(throws: MessageError.self) { try message(text) }
    }

    @Test func chatMLIsTheDocumentedFallback() throws {
        let template = try ChatTemplate.chatML()
        let text = try template.rendered(
            [Message(role: "system", content: "S"), Message(role: "user", content: "Q")], addGenerationPrompt: true)
        #expect(text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n")
    }
}
