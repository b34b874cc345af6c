import ApusNN
import ApusTorch

/// Rotations of the channels of a vector in blocks, which OFT and BOFT train.
enum BlockRotation {
    /// `x R` with R block diagonal — x [T, N · b], blocks [N, b, b], or [1, b, b] for all alike.
    static func rotated(_ x: Tensor, by blocks: Tensor) throws -> Tensor {
        let (count, size) = (blocks.shape[0], blocks.shape[1])
        if count == 1 { return try matmul(x.reshaped([-1, size]), blocks.selected(0, 0)).reshaped(x.shape) }
        let split = try x.reshaped([-1, count, size]).transposed(0, 1)  // [N, T, b]
        return try matmul(split, blocks).transposed(0, 1).reshaped(x.shape)  // [T, N · b]
    }

    /// `(I − Q)(I + Q)⁻¹` of each block, in float32 or wider: orthogonal where Q is skew-symmetric (Cayley).
    static func cayley(_ q: Tensor) throws -> Tensor {
        let wide = try q.to(q.dtype.atLeastFloat32)
        let one = try Tensor.identity(q.shape[1], dtype: wide.dtype, device: q.device)
        return try (one - wide).divided(byMatrix: one + wide).to(q.dtype)
    }

    /// The blocks, of which a part is no rotation in this pass.
    static func dropped(_ blocks: Tensor, _ chosen: [Int]) throws -> Tensor {
        guard !chosen.isEmpty else { return blocks }
        var isKept = [Float](repeating: 1, count: blocks.shape[0])
        for index in chosen { isKept[index] = 0 }
        let kept = try Tensor(isKept, device: blocks.device).to(blocks.dtype).reshaped([-1, 1, 1])
        let one = try Tensor.identity(blocks.shape[1], dtype: blocks.dtype, device: blocks.device)
        return try kept * blocks + (-kept + 1) * one
    }
}

/// Indices that a part of a model needs again and again, on the device that it was last asked on.
final class IndexTable {
    private let values: [Int64]
    private var made: Tensor?

    init(_ values: [Int]) { self.values = values.map(Int64.init) }

    func on(_ device: Device) throws -> Tensor {
        if let made, made.device == device { return made }
        let tensor = try Tensor(values, device: device)
        made = tensor
        return tensor
    }
}
