package import ApusTorch

/// A store of experts' matrices in four-bit floats with scales beside them (MXFP4), seen as if it held them in full.
///
/// `X_blocks` [N, R, G, 16] holds two numbers a byte, the first in the low half, and `X_scales` [N, R, G] for each 32 of
/// them a power of two: together `X` [N, 32 G, R], inputs first. GPT-OSS is published so. Rouhani et al. 2023,
/// <https://arxiv.org/abs/2310.10537>.
package struct MicroscaledStore: TensorStore {
    package let tensorNames: [String]
    private let store: any TensorStore
    private let path: String
    private let packed: Set<String>

    private static let (blocks, scales) = ("_blocks", "_scales")
    /// Bytes and numbers of a block.
    private static let (bytes, numbers) = (16, 32)

    /// The store itself where it holds no such matrices.
    ///
    /// - Parameter path: The folder, for errors.
    package static func unpacking(_ store: any TensorStore, path: String) throws -> any TensorStore {
        let names = Set(store.tensorNames)
        let packed = try names.filter { $0.hasSuffix(blocks) }.map { String($0.dropLast(blocks.count)) }
            .filter { names.contains($0 + scales) }
            .filter { stem in try [blocks, scales].allSatisfy { try store.dtype(of: stem + $0) == .uint8 } }
        return packed.isEmpty ? store : MicroscaledStore(store, Set(packed), path: path)
    }

    private init(_ store: any TensorStore, _ packed: Set<String>, path: String) {
        (self.store, self.packed, self.path) = (store, packed, path)
        tensorNames = store.tensorNames.compactMap { name in
            for ending in [Self.blocks, Self.scales] where name.hasSuffix(ending) {
                let stem = String(name.dropLast(ending.count))
                if packed.contains(stem) { return ending == Self.blocks ? stem : nil }
            }
            return name
        }
    }

    package var aliases: [String: String] { store.aliases }

    package var notices: [String] {
        store.notices + [
            "\(packed.count) tensors of experts are floats of four bits (MXFP4) with scales; they are brought into the type "
                + "of this run, and models that are saved have them in full"
        ]
    }

    package func shape(of name: String) throws -> [Int] {
        guard packed.contains(name) else { return try store.shape(of: name) }
        let (count, rows, groups) = try sizes(name)
        return [count, Self.numbers * groups, rows]
    }

    package func dtype(of name: String) throws -> DType {
        packed.contains(name) ? .bfloat16 : try store.dtype(of: name)
    }

    package func forget(_ name: String) {
        guard packed.contains(name) else { return store.forget(name) }
        for ending in [Self.blocks, Self.scales] { store.forget(name + ending) }
    }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        guard packed.contains(name) else { return try store.tensor(name, dtype: dtype, device: device) }
        let (count, rows, groups) = try sizes(name)
        let (columns, perExpert) = (Self.numbers * groups, rows * groups)
        let all = try Tensor.empty([count, columns, rows], dtype: dtype)
        let blocks = try store.tensor(name + Self.blocks, dtype: .uint8, device: .cpu).tensor
        let scales = try store.tensor(name + Self.scales, dtype: .uint8, device: .cpu).tensor
        // One expert after the other: in float32 all of them would take much memory.
        let matrix = try Tensor.empty([rows, columns], dtype: .float32)
        for expert in 0..<count {
            try blocks.withUnsafeBytes { blocks in
                try scales.withUnsafeBytes { scales in
                    try matrix.withUnsafeMutableBytes { matrix in
                        let (first, size) = (expert * perExpert, Self.bytes * perExpert)
                        FourBitFloats.decode(
                            UnsafeRawBufferPointer(rebasing: blocks[(expert * size)..<(expert * size + size)]),
                            scales: UnsafeRawBufferPointer(rebasing: scales[first..<(first + perExpert)]),
                            into: matrix.bindMemory(to: Float.self))
                    }
                }
            }
            try all.selected(0, expert).copy(from: matrix.transposed(0, 1))
        }
        return (try all.to(device), false)
    }

    private func sizes(_ name: String) throws -> (experts: Int, rows: Int, groups: Int) {
        let (blocks, scales) = (try store.shape(of: name + Self.blocks), try store.shape(of: name + Self.scales))
        guard blocks.count == 4, blocks[3] == Self.bytes, !blocks.contains(0), Array(blocks.dropLast()) == scales else {
            throw WeightsError(
                path, item: name + Self.blocks,
                "has the shape \(blocks), and the scales beside it \(scales); wanted are [N, R, G, 16] and [N, R, G]",
                advice: WeightsError.downloadAgain)
        }
        return (scales[0], scales[1], scales[2])
    }
}
