// How near two texts are to each other: `swift run Embedding <sentence encoder> <text> <text>`.

import Apus

let words = Array(CommandLine.arguments.dropFirst())
let model = try Model(words.first ?? "sentence-transformers/all-MiniLM-L6-v2")
let texts = words.count > 2 ? Array(words[1...2]) : ["It rains.", "Rain falls."]
let vectors = try model.embed(texts)
print("cosine:", zip(vectors[0], vectors[1]).reduce(0) { $0 + $1.0 * $1.1 })
