package import ApusJSON
package import ApusNN
package import ApusTorch
package import ApusWeights

/// `s ⊙ (W (x B_m … B₁)) + b`: rotations in blocks, between which the channels are shuffled as in a butterfly.
///
/// Each B is `P D Pᵀ`, D block diagonal and orthogonal, P a permutation that pairs blocks ever further apart. Liu et al.
/// 2024, <https://arxiv.org/abs/2311.06243>.
package final class BOFT: LinearAdapter {
    @Parameter("boft_R") private var rotations: Tensor  // [m, N, b, b]
    @Parameter("boft_s") private var scales: Tensor  // [out, 1]

    private let dropout: Double
    private let stream: UInt64
    /// For each factor but the first, which is not shuffled, where channels come from and where they go back to.
    private let shuffles: [(there: IndexTable, back: IndexTable)]

    init(name: String, for base: Linear, size: Int, factors: Int, dropout: Double, stream: UInt64) {
        self.dropout = dropout
        self.stream = stream
        shuffles = (1..<max(factors, 1)).map { factor in
            let order = Self.butterfly(of: base.inputs, size: size, factor: factor)
            var inverse = order
            for (position, channel) in order.enumerated() { inverse[channel] = position }
            return (IndexTable(inverse), IndexTable(order))
        }
        super.init(name: name)
        $rotations.declare([factors, base.inputs / size, size, size])  // zeros: nothing is turned
        $scales.declare([base.outputs, 1], .ones)
    }

    package override var summary: String {
        let shape = $rotations.shape ?? []
        return "BOFT(\(shape.prefix(3).map(String.init).joined(separator: " × ")))"
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        var factors = try blocks(rotations)
        if context.isTraining, dropout > 0 {
            let key = streamKey(context.randomKey, stream)
            let index = AdapterChance.chosen(1, of: factors.count, key: key)[0]
            let count = factors[index].shape[0]
            factors[index] = try BlockRotation.dropped(
                factors[index],
                AdapterChance.chosen(Int(dropout * Double(count)), of: count, key: streamKey(key, 1)))
        }
        var turned = try x.to(scales.dtype)
        for index in factors.indices.reversed() { turned = try self.turned(turned, by: factors[index], index) }
        turned = try turned.to(x.dtype)
        let y = try (below?(turned) ?? base.plain(turned)).to(scales.dtype)
        let factor = try scales.reshaped([-1])
        // The bias is not scaled: s ⊙ (y − b) + b.
        let scaled = try base.bias.map { try factor * y + (-factor + 1) * $0.to(factor.dtype) } ?? factor * y
        return try scaled.to(x.dtype)
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        var turned = try matrix.to(wide)
        for (index, factor) in try blocks(rotations.to(wide)).enumerated() {
            turned = try self.turned(turned, by: factor.transposed(1, 2), index)
        }
        return try (scales.to(wide) * turned).to(matrix.dtype)
    }

    /// D of each factor, [N, b, b].
    private func blocks(_ rotations: Tensor) throws -> [Tensor] {
        let shape = rotations.shape
        let free = try rotations.reshaped([-1, shape[2], shape[3]])
        let orthogonal = try BlockRotation.cayley((free - free.transposed(1, 2)) * 0.5).reshaped(shape)
        return try (0..<shape[0]).map { try orthogonal.selected(0, $0) }
    }

    /// `x P D Pᵀ`.
    private func turned(_ x: Tensor, by blocks: Tensor, _ factor: Int) throws -> Tensor {
        guard factor > 0 else { return try BlockRotation.rotated(x, by: blocks) }
        let shuffle = shuffles[factor - 1]
        let shuffled = try x.indexed(1, shuffle.there.on(x.device))
        return try BlockRotation.rotated(shuffled, by: blocks).indexed(1, shuffle.back.on(x.device))
    }

    /// In each group of 2ᶠ blocks the half blocks with even numbers come first, then those with odd ones.
    static func butterfly(of dimension: Int, size: Int, factor: Int) -> [Int] {
        let half = size / 2
        let halves = 1 << (factor + 1)
        let order = Array(stride(from: 0, to: halves, by: 2)) + Array(stride(from: 1, to: halves, by: 2))
        return (0..<dimension).map { channel in
            let (group, place) = channel.quotientAndRemainder(dividingBy: half * halves)
            return group * half * halves + order[place / half] * half + place % half
        }
    }
}

/// BOFT, as PEFT's `BOFTConfig` describes it.
package struct BOFTConfiguration: MatrixMethod {
    package static let peftType = "BOFT"
    package static let tunerType = "boft"
    package static let title = "BOFT"

    static let sizeOption = AdapterOption(
        "boft_block_size", .integer(0...(1 << 20)), default: 4,
        "Size of the blocks that are turned; 0 takes boft_block_num.", decidesCount: true)
    static let countOption = AdapterOption(
        "boft_block_num", .integer(0...(1 << 20)), default: 0, "Count of the blocks, where boft_block_size is 0.",
        decidesCount: true)
    static let factorsOption = AdapterOption(
        "boft_n_butterfly_factor", .integer(1...64), default: 1, "Rotations one after another, with shuffles between.",
        decidesCount: true)
    static let dropoutOption = AdapterOption(
        "boft_dropout", .number(0..<1), default: 0, "Part of the blocks that is not turned.")
    package static let options = [sizeOption, countOption, factorsOption, dropoutOption]

    package var selection = LayerSelection()
    private var blockSize = 4
    private var blockCount = 0
    private var factors = 1
    private var dropout = 0.0
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        blockSize = try settings.integer(Self.sizeOption)
        blockCount = try settings.integer(Self.countOption)
        factors = try settings.integer(Self.factorsOption)
        dropout = try settings.number(Self.dropoutOption)
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.lora, settings.modelType))
        try checkSizes("--boft_block_size", "--boft_block_num")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse([("bias", ["none"])])
        blockSize = try reader.integer("boft_block_size", default: 4)
        blockCount = try reader.integer("boft_block_num", default: 0)
        factors = try reader.count("boft_n_butterfly_factor", default: 1)
        dropout = try reader.probability("boft_dropout")
        startsAsBase = try reader.flag("init_weights", default: true)
        selection = try LayerSelection(reader)
        base = try reader.base()
        try checkSizes("\(file): \"boft_block_size\"", "\"boft_block_num\"")
    }

    /// Without its CUDA kernel PEFT makes one factor, whatever it writes of their count.
    package mutating func read(_ store: any TensorStore) throws {
        let shapes = try store.tensorNames.filter { $0.hasSuffix(".boft_R") }.map(store.shape(of:))
        if !shapes.isEmpty, shapes.allSatisfy({ $0.first == 1 }) { factors = 1 }
    }

    package func fileNotice(_ parts: [AdapterPart]) -> String? {
        factors == 1
            ? nil
            : "PEFT reads a file with boft_n_butterfly_factor \(factors) only where it can build its CUDA kernel, and wants "
                + "one factor elsewhere; Apus reads it everywhere"
    }

    private func checkSizes(_ size: String, _ count: String) throws {
        guard (blockSize == 0) != (blockCount == 0) else {
            throw AdapterError(
                "\(size) is \(blockSize) and \(count) is \(blockCount): one of the two must be 0, since their product is "
                    + "the layer's input")
        }
        guard factors <= 64 else {
            throw AdapterError("\(size): boft_n_butterfly_factor is \(factors), and no layer has 2^\(factors) channels")
        }
    }

    package var summary: String {
        (blockSize > 0 ? "Blocks of \(blockSize)" : "\(blockCount) blocks")
            + (factors > 1 ? ", \(factors) factors" : "")
    }

    package func adapter(for linear: Linear, at path: String, named name: String) throws -> LinearAdapter {
        let given = blockSize > 0 ? blockSize : blockCount
        guard linear.inputs % given == 0 else {
            throw refusal(
                path,
                "its input of \(linear.inputs) channels cannot be divided by "
                    + (blockSize > 0 ? "boft_block_size \(blockSize)" : "boft_block_num \(blockCount)")
                    + "; give a divisor, or leave the layer out of --target_modules")
        }
        let size = blockSize > 0 ? blockSize : linear.inputs / blockCount
        let count = linear.inputs / size
        if factors > 1 {
            let group = factors - 1 < 62 ? 1 << (factors - 1) : Int.max
            guard size % 2 == 0, count % group == 0 else {
                throw refusal(
                    path,
                    "\(factors) butterfly factors pair \(group) blocks and halve each, and there are \(count) blocks of "
                        + "\(size); give a lower boft_n_butterfly_factor, or other blocks")
            }
        }
        return BOFT(
            name: name, for: linear, size: size, factors: factors, dropout: dropout,
            stream: AdapterStream.key(name, path))
    }

    package func keys(_ parts: [AdapterPart]) -> JSONObject {
        [
            "bias": "none", "boft_block_num": .int(blockCount), "boft_block_size": .int(blockSize),
            "boft_dropout": .double(dropout), "boft_n_butterfly_factor": .int(factors),
            "fan_in_fan_out": false, "init_weights": .bool(startsAsBase),
        ]
    }
}
