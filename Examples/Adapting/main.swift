// Trains an adapter and says where it lies: `swift run Adapting <model> <data> <output folder>`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
var training = Training(model: words[0], data: [words[1]])
training.maximumSteps = 20
training.learningRate = 1e-3
training.outputFolder = words[2]
let adapter = try training.run { print("step \($0.step) of \($0.totalSteps):", $0.metrics["loss"] ?? .nan) }
print(adapter)
