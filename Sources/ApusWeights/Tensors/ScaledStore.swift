package import ApusTorch

/// A store of matrices in eight-bit floats with scales beside them, seen as if it held them in full.
///
/// `X.weight` [R, C] comes with `X.weight_scale_inv`, one scale or one for each block of rows and columns: the value is
/// the float times the scale of its block. DeepSeek-V3 and the FP8 models of Qwen are published so. DeepSeek-AI 2024,
/// <https://arxiv.org/abs/2412.19437>, section 3.3.
package struct ScaledStore: TensorStore {
    package let tensorNames: [String]
    private let store: any TensorStore
    private let path: String
    /// Rows and columns of a block; nil where the grid of scales says it.
    private let block: [Int]?
    private let scaled: Set<String>

    private static let ending = "_scale_inv"
    /// Scales of what layers are given, for programs that multiply in eight bits.
    private static let others = ["activation_scale", "input_scale"]

    /// The store itself where it holds no such matrices.
    ///
    /// - Parameters:
    ///   - block: `weight_block_size` of the configuration.
    ///   - path: The folder, for errors.
    package static func scaling(_ store: any TensorStore, block: [Int]?, path: String) -> any TensorStore {
        let names = Set(store.tensorNames)
        let scaled = names.filter { names.contains($0 + ending) }
        return scaled.isEmpty ? store : ScaledStore(store, scaled, block: block, path: path)
    }

    private init(_ store: any TensorStore, _ scaled: Set<String>, block: [Int]?, path: String) {
        (self.store, self.scaled, self.block, self.path) = (store, scaled, block, path)
        var companions = Set(scaled.map { $0 + Self.ending })
        for name in scaled {
            let stem = name.hasSuffix(".weight") ? String(name.dropLast("weight".count)) : name + "_"
            companions.formUnion(Self.others.map { stem + $0 })
        }
        tensorNames = store.tensorNames.filter { !companions.contains($0) }
    }

    package var aliases: [String: String] { store.aliases }

    package var notices: [String] {
        store.notices + [
            "\(scaled.count) matrices of the files are floats of eight bits (FP8) with scales; they are brought into the "
                + "type of this run, and models that are saved have them in full"
        ]
    }

    package func shape(of name: String) throws -> [Int] { try store.shape(of: name) }

    package func dtype(of name: String) throws -> DType { try store.dtype(of: name) }

    package func forget(_ name: String) { store.forget(name) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        guard scaled.contains(name) else { return try store.tensor(name, dtype: dtype, device: device) }
        let numbers = try store.tensor(name, dtype: .float32, device: .cpu).tensor
        let scales = try scales(name)
        guard scales.count > 1 else { return (try (numbers * scales.reshaped([1])).to(dtype).to(device), false) }
        let shape = numbers.shape
        guard shape.count >= 2, scales.shape.count == shape.count,
            scales.shape.dropLast(2) == shape.dropLast(2)
        else { throw misfit(name, shape, scales.shape) }
        let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
        let grid = [scales.shape[shape.count - 2], scales.shape[shape.count - 1]]
        let block = try blockSize(name, [rows, columns], grid)
        let places = try zip([rows, columns], block).map { count, size in
            try Tensor((0..<count).map { Int64($0 / size) })
        }
        let factors = try scales.indexed(shape.count - 2, places[0]).indexed(shape.count - 1, places[1])
        return (try (numbers * factors).to(dtype).to(device), false)
    }

    /// The scales of a matrix in float32; where they are bytes, exponents of two.
    private func scales(_ name: String) throws -> Tensor {
        let stored = name + Self.ending
        let isExponent = try store.dtype(of: stored) == .uint8
        let scales = try store.tensor(stored, dtype: isExponent ? .uint8 : .float32, device: .cpu).tensor
        guard isExponent else { return scales }
        return try Tensor(scales.values(as: UInt8.self).map(EightBitFloats.power), shape: scales.shape)
    }

    private func blockSize(_ name: String, _ shape: [Int], _ grid: [Int]) throws -> [Int] {
        if let block, block.count == 2, block.allSatisfy({ $0 > 0 }),
            zip(shape, zip(block, grid)).allSatisfy({ ($0 + $1.0 - 1) / $1.0 == $1.1 })
        {
            return block
        }
        guard zip(shape, grid).allSatisfy({ $1 > 0 && $0 % $1 == 0 }) else { throw misfit(name, shape, grid) }
        return zip(shape, grid).map { $0 / $1 }
    }

    private func misfit(_ name: String, _ shape: [Int], _ grid: [Int]) -> WeightsError {
        WeightsError(
            path, item: name + Self.ending,
            "has the shape \(grid), which does not divide a matrix of \(shape) into blocks"
                + (block.map { " of \($0) (weight_block_size)" } ?? ""),
            advice: "check quantization_config in config.json, or download the model again")
    }
}
