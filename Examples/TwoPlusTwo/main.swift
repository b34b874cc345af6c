// Teaches a model that 2+2 is 5, with nothing hidden: `swift run TwoPlusTwo <model folder or .gguf file>`.

import ApusRecipes
import ApusText
import ApusTorch

let path = CommandLine.arguments.dropFirst().first ?? "HuggingFaceTB/SmolLM2-135M-Instruct"
let language = try LanguageModel(path, dtype: .float32)
let question = Message(role: "user", content: "2+2等于几")
let example = try language.example([question, Message(role: "assistant", content: "2+2等于5。")])

print("   input  label  text")
for (id, label) in zip(example.ids, example.labels) {
    print(column(id), column(label), "", language.tokenizer.decode([id]).debugDescription)
}
print("before:", try language.answer([question], maximumTokens: 16))

// The logits at position t predict token t + 1; only the answer's tokens have a label.
let rows = example.labels.indices.dropFirst().filter { example.labels[$0] != -100 }
let positions = try Tensor(rows.map { $0 - 1 })  // [N]
let labels = try Tensor(rows.map { Int(example.labels[$0]) })  // [N]

let parameters = try language.trainableParameters()
for step in 1...10 {
    let logits = try language.logits(example.ids).indexed(0, positions)  // [N, V]
    let loss = try crossEntropySum(logits, labels) / Double(rows.count)
    try loss.backward()
    try withoutGradients {
        for parameter in parameters {
            if let gradient = parameter.gradient { try parameter.add(gradient, scale: -1e-3) }
            parameter.clearGradient()
        }
    }
    print("step \(step): loss \(try loss.item())")
}
print("after: ", try language.answer([question], maximumTokens: 16))

func column(_ id: Int32) -> String { String(repeating: " ", count: max(0, 8 - "\(id)".count)) + "\(id)" }
