// Folds an adapter into its model, writes that, and asks it: `swift run Merging <model> <adapter> <output folder>`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
let model = try Model(words[0])
try model.attach(words[1])
try model.merge()
try model.save(to: words[2])
print(try Model(words[2]).answer("Who are you?", AnswerOptions(maximumTokens: 24, temperature: 0)))
