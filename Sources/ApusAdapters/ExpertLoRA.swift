import ApusNN
import ApusTorch

// N experts, r rank.

/// LoRA on one matrix of every expert of a layer: `W_e + s · B_e A_e`.
///
/// The factors lie as PEFT keeps them where all experts are one tensor (`target_parameters`): the rows of A by expert,
/// [N · r, in], the columns of B by rank, [out, r · N].
final class ExpertLoRA: SharedAdapter {
    @Parameter("lora_A.weight") private var a: Tensor  // [N · r, in]
    @Parameter("lora_B.weight") private var b: Tensor  // [out, r · N]

    let scale: Double
    private let rank: Int
    private let count: Int

    /// - Parameters:
    ///   - outputs: Of all layers of an expert whose matrices lie in the tensor.
    ///   - count: How many experts there are.
    init(
        name: String, inputs: Int, outputs: Int, count: Int, rank: Int, scale: Double,
        initializer: LoRAConfiguration.Initialization
    ) {
        (self.count, self.rank, self.scale) = (count, rank, scale)
        super.init(name: name)
        let (first, second) = initializer.slots(rank: rank)
        $a.declare([count * rank, inputs], first)
        $b.declare([outputs, rank * count], second)
    }

    override var summary: String { "LoRA(rank \(rank), \(count) experts)" }

    /// A [r, in] and B [rows, r] of an expert.
    func factors(of expert: Int, rows: Range<Int>) throws -> (a: Tensor, b: Tensor) {
        let own = try b.narrowed(0, start: rows.lowerBound, length: rows.count)
            .reshaped([rows.count, rank, count]).selected(2, expert)
        return (try a.narrowed(0, start: expert * rank, length: rank), own)
    }
}

/// Its part on a layer of one expert.
final class ExpertLayerLoRA: LinearAdapter {
    private let stack: Shared<ExpertLoRA>
    private let expert: Int
    /// The layer's outputs among those of the tensor.
    private let rows: Range<Int>

    init(name: String, _ stack: ExpertLoRA, expert: Int, rows: Range<Int>) {
        self.stack = Shared(stack)
        (self.expert, self.rows) = (expert, rows)
        super.init(name: name)
    }

    override var summary: String { stack.part.summary }

    override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let (a, b) = try stack.part.factors(of: expert, rows: rows)
        let y = try below?(x) ?? base.plain(x)
        return try y + (linear(linear(x.to(a.dtype), a), b) * stack.part.scale).to(y.dtype)
    }

    override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        let (a, b) = try stack.part.factors(of: expert, rows: rows)
        return try (matrix.to(wide) + matmul(b.to(wide), a.to(wide)) * stack.part.scale).to(matrix.dtype)
    }
}

/// The matrices of all experts of a layer, under the name that `transformers` gives to the tensor of them.
struct ExpertStack {
    /// The path of the tensor, such as `model.layers.0.mlp.experts.down_proj`.
    let path: String
    /// What the names of its adapter's tensors begin with.
    let prefix: String
    /// The layers of each expert.
    let layers: [[Linear]]

    /// What `transformers` calls the module of all experts of a layer, by the path of the part that has them.
    static func stem(of path: String) -> String {
        Module.joined(path.split(separator: ".").dropLast().joined(separator: "."), "mlp.experts")
    }

    /// Those of a model that some names end.
    ///
    /// - Parameter isNamed: Whether a path is meant.
    static func all(on model: Module, where isNamed: (String) -> Bool) -> [ExpertStack] {
        model.modules().flatMap { path, module -> [ExpertStack] in
            guard let mixture = module as? MixtureOfExperts else { return [] }
            let stem = stem(of: path)
            let named = MixtureOfExperts.stackedNames.filter { isNamed(Module.joined(stem, $0)) }
            return named.enumerated().compactMap { index, name in
                guard let layers = mixture.layers(stackedAs: name) else { return nil }
                // PEFT wraps the module once for each of its tensors; the first lies innermost.
                let inner = String(repeating: "base_layer.", count: named.count - 1 - index)
                return ExpertStack(
                    path: Module.joined(stem, name), prefix: "base_model.model.\(stem).\(inner)", layers: layers)
            }
        }
    }
}

extension LoRAConfiguration {
    /// The parts on experts whose tensors `target_parameters` names.
    func expertParts(on model: Module, _ stacks: [ExpertStack], named name: String) -> [AdapterPart] {
        stacks.flatMap { stack -> [AdapterPart] in
            guard let first = stack.layers.first, let inputs = first.first?.inputs else { return [] }
            let shared = ExpertLoRA(
                name: name, inputs: inputs, outputs: first.reduce(0) { $0 + $1.outputs }, count: stack.layers.count,
                rank: rank(of: stack.path), scale: scale(of: stack.path), initializer: initialization)
            var parts = [AdapterPart(path: stack.path, host: model, adapter: shared, prefix: stack.prefix)]
            for (expert, layers) in stack.layers.enumerated() {
                var row = 0
                for layer in layers {
                    let part = ExpertLayerLoRA(name: name, shared, expert: expert, rows: row..<row + layer.outputs)
                    row += layer.outputs
                    layer.adapters.append(part)
                    parts.append(AdapterPart(path: "\(stack.path).\(expert)", host: layer, adapter: part, prefix: ""))
                }
            }
            return parts
        }
    }
}

extension [AdapterPart] {
    /// Those that are not of experts that lie in one tensor.
    var withoutStacks: [AdapterPart] { filter { !($0.adapter is ExpertLoRA || $0.adapter is ExpertLayerLoRA) } }
}
