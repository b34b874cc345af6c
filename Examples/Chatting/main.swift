// Asks a model and shows the answer as it comes: `swift run Chatting <model> <question>`.

import Apus

let words = CommandLine.arguments.dropFirst()
let model = try Model(words.first ?? "HuggingFaceTB/SmolLM2-135M-Instruct")
let question = Message(role: "user", content: words.dropFirst().first ?? "Why is the sky blue?")
_ = try model.answer([question], AnswerOptions(maximumTokens: 64)) { piece in
    print(piece, terminator: "")
    return true
}
print()
