// What stands behind the masks of a text: `swift run FillingMasks <model> '<text with [MASK]>'`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
let model = try Model(words.first ?? "google-bert/bert-base-uncased")
let text = words.count > 1 ? words[1] : "The sentiment of this text is [MASK]."
for (number, fillings) in try model.fillMasks(text).enumerated() {
    print("mask \(number + 1):", fillings.map { "\($0.token) \($0.probability)" }.joined(separator: ", "))
}
