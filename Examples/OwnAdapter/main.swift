// A method of one's own: trains a gate on some layers, loads it again, asks with and without it, and folds it in.
// `swift run OwnAdapter <model> <data> <output folder>`.

import Apus
import ApusNN
import ApusTorch

/// `(1 + g) ⊙ (x Wᵀ + b)`: one trained factor for each output.
final class Gate: LinearAdapter {
    @Parameter("gate") var gate: Tensor  // [out]

    init(_ layer: Linear) {
        super.init()
        $gate.declare([layer.outputs])
    }

    override func callAsFunction(
        _ x: Tensor, on layer: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let y = try below?(x) ?? layer.plain(x)
        return try y * (gate + 1).to(y.dtype)
    }

    override func merged(into matrix: Tensor) throws -> Tensor {
        try matrix * (gate + 1).to(matrix.dtype).reshaped([-1, 1])  // [out, in]
    }

    override func merged(intoBias bias: Tensor) throws -> Tensor { try bias * (gate + 1).to(bias.dtype) }
}

let words = Array(CommandLine.arguments.dropFirst())
let gates = OwnMethod("gate", on: ["q_proj", "v_proj", "down_proj"]) { Gate($0) }
var training = Training(model: words[0], data: [words[1]])
training.method = .own(gates)
training.maximumSteps = 20
training.learningRate = 3e-2
training.outputFolder = words[2]
let adapter = try training.run { print("step \($0.step) of \($0.totalSteps):", $0.metrics["loss"] ?? .nan) }

let model = try Model(words[0])
try model.attach(adapter, by: gates)
let options = AnswerOptions(maximumTokens: 24, temperature: 0)
let answer = try model.answer("Who are you?", options)
try model.activate([])
print("without the gates:", try model.answer("Who are you?", options))
try model.activate(nil)
try model.merge()
print(
    "with the gates:", answer, answer == (try model.answer("Who are you?", options)) ? "(the same when folded in)" : "")
