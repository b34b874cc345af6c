// Learns vectors in front of a text while the model stays as it is: `swift run SoftPrompt <GPT-Neo folder> <text>`.

import ApusRecipes
import ApusText
import ApusTorch

let words = Array(CommandLine.arguments.dropFirst())
let language = try LanguageModel(words.first ?? "EleutherAI/gpt-neo-125m", dtype: .float32)
let ids = language.tokenizer.encode(words.count > 1 ? words[1] : "The sky is green.", addSpecialTokens: false)
let text = try language.vectors(ids)  // [T, D]

// Learned places, as small at first as the vectors of an untrained model.
let places = 8
let prompt = try Tensor.zeros([places, text.shape[1]])  // [P, D]
try prompt.fillNormal(deviation: 0.02, generator: Generator(seed: 42))
try prompt.setRequiresGradient(true)

// The vector before a token predicts it; the first token comes after the last place.
let rows = try Tensor(Array((places - 1)..<(places + ids.count - 1)))  // [T]
let labels = try Tensor(ids.map { Int($0) })  // [T]

for step in 0...20 {
    let logits = try language.logits(of: concatenated([prompt, text]))  // [P + T, V]
    if step == 0 {
        let first = try logits.selected(0, 0).narrowed(0, start: 0, length: 5)
        print("logits:", logits.shape, "from", try first.values(as: Float.self))
    }
    let loss = try crossEntropySum(logits.indexed(0, rows), labels) / Double(ids.count)
    print("step \(step): loss \(try loss.item())")
    try loss.backward()
    guard let gradient = prompt.gradient else { break }
    try withoutGradients {
        // A step of a fixed length downhill.
        let length = try sqrt((gradient * gradient).sum()).item()
        try prompt.add(gradient, scale: -0.2 / length)
        prompt.clearGradient()
    }
}
