// What a classifier says of texts: `swift run Classifying <classifier or its adapter> <text> …`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
let model = try Model(words.first ?? "classifier")
for (text, prediction) in zip(words.dropFirst(), try model.classify(Array(words.dropFirst()))) {
    print(text, "→", prediction.labels, prediction.probabilities, prediction.values)
}
