import ApusNN
import ApusTorch

// n places, D inputs, H hidden width.

/// PyTorch's `LSTM` of one sequence [n, D], both ways, layer on layer: [n, 2 H].
///
/// `c ← σ(f) c + σ(i) tanh(g)`, `h ← σ(o) tanh(c)` with i, f, g, o the quarters of `W x + b + U h + d`. Hochreiter and
/// Schmidhuber 1997, <https://doi.org/10.1162/neco.1997.9.8.1735>.
final class BidirectionalLSTM: Module {
    /// Forth and back of each layer, under PyTorch's names, which all lie in one module.
    struct Directions: ChildValue {
        let cells: [Direction]
        var childModules: [(name: String, module: Module)] { cells.map { ("", $0) } }
    }

    @Child("") private var directions: Directions

    private let dropout: Double
    private let stream: UInt64

    init(inputs: Int, hidden: Int, layers: Int, dropout: Double, stream: UInt64) {
        self.dropout = dropout
        self.stream = stream
        super.init()
        directions = Directions(
            cells: (0..<layers).flatMap { layer in
                ["", "_reverse"].map { suffix in
                    Direction(
                        inputs: layer == 0 ? inputs : 2 * hidden, hidden: hidden, isReversed: !suffix.isEmpty,
                        ending: "_l\(layer)\(suffix)")
                }
            })
    }

    /// - Parameter key: Names the draws of dropout; nil drops nothing.
    func callAsFunction(_ x: Tensor, key: UInt64?) throws -> Tensor {
        var x = x
        for layer in 0..<(directions.cells.count / 2) {
            if layer > 0, dropout > 0, let key {
                x = try ApusTorch.dropout(
                    x, probability: dropout, key: streamKey(streamKey(key, stream), UInt64(layer)))
            }
            x = try concatenated([directions.cells[2 * layer](x), directions.cells[2 * layer + 1](x)], axis: 1)
        }
        return x
    }

    /// One way through the places.
    final class Direction: Module {
        @Parameter("weight_ih") private var input: Tensor  // [4 H, D]
        @Parameter("weight_hh") private var recurrent: Tensor  // [4 H, H]
        @Parameter("bias_ih") private var inputBias: Tensor  // [4 H]
        @Parameter("bias_hh") private var recurrentBias: Tensor  // [4 H]

        private let hidden: Int
        private let isReversed: Bool

        init(inputs: Int, hidden: Int, isReversed: Bool, ending: String) {
            self.hidden = hidden
            self.isReversed = isReversed
            super.init()
            _input = Parameter("weight_ih\(ending)")
            _recurrent = Parameter("weight_hh\(ending)")
            _inputBias = Parameter("bias_ih\(ending)")
            _recurrentBias = Parameter("bias_hh\(ending)")
            let start = Initializer.uniform(bound: 1 / Double(hidden).squareRoot())
            $input.declare([4 * hidden, inputs], start)
            $recurrent.declare([4 * hidden, hidden], start)
            $inputBias.declare([4 * hidden], start)
            $recurrentBias.declare([4 * hidden], start)
        }

        /// [n, D] → [n, H].
        func callAsFunction(_ x: Tensor) throws -> Tensor {
            let inputs = try linear(x, input, inputBias)  // [n, 4 H]
            var state = try Tensor.zeros([1, hidden], dtype: x.dtype, device: x.device)
            var memory = state
            var outputs: [Tensor] = []
            let places = Array(0..<x.shape[0])
            for place in isReversed ? places.reversed() : places {
                let gates =
                    try inputs.narrowed(0, start: place, length: 1) + linear(state, recurrent, recurrentBias)
                func gate(_ index: Int) throws -> Tensor {
                    try gates.narrowed(1, start: index * hidden, length: hidden)
                }
                memory = try sigmoid(gate(1)) * memory + sigmoid(gate(0)) * tanh(gate(2))
                state = try sigmoid(gate(3)) * tanh(memory)
                outputs.append(state)
            }
            return try concatenated(isReversed ? outputs.reversed() : outputs)
        }
    }
}
