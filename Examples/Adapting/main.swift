// Trains an adapter, folds it into its model and asks that: `swift run Adapting <model> <data> <output folder>`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
var training = Training(model: words[0], data: [words[1]])
training.method = .lora(rank: 8)
training.maximumSteps = 20
training.learningRate = 1e-3
training.outputFolder = words[2]
let adapter = try training.run { print("step \($0.step) of \($0.totalSteps):", $0.metrics["loss"] ?? .nan) }

let model = try Model(words[0])
try model.attach(adapter)
try model.merge()
try model.save(to: words[2] + "/merged")
print(try Model(words[2] + "/merged").answer("Who are you?", AnswerOptions(maximumTokens: 24, temperature: 0)))
