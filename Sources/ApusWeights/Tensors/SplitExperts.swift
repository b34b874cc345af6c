package import ApusTorch

/// A store in which the experts of a layer lie in one tensor, seen as if each had matrices of its own.
///
/// `…experts.gate_up_proj` [N, 2F, D], gate above up, and `…experts.down_proj` [N, D, F] are how `transformers` 5 keeps
/// them; GGUF files have one tensor for each of gate, up and down. Both become `…experts.0.gate_proj.weight` and so on.
/// Those with a bias beside them (`…_bias`, GPT-OSS) lie inputs first and are that model's own parameters: they stay.
package final class SplitExperts: TensorStore {
    private struct Part {
        let stored: String
        let expert: Int
        /// Rows of the expert's matrix.
        let rows: Range<Int>
    }

    private let store: any TensorStore
    private var parts: [String: Part] = [:]
    package let tensorNames: [String]
    private var last: (name: String, dtype: DType, device: Device, tensor: Tensor, isBorrowed: Bool)?

    private static let mostExperts = 4096

    /// - Returns: nil for a store without such tensors.
    package init?(_ store: any TensorStore) throws {
        var names: [String] = []
        var parts: [String: Part] = [:]
        let all = Set(store.tensorNames)
        for name in store.tensorNames {
            let stem = name.hasSuffix(".weight") ? String(name.dropLast(".weight".count)) : name
            guard
                let kind = ["gate_up_proj", "gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"].first(where: {
                    stem.hasSuffix(".experts." + $0)
                }), !all.contains(name + "_bias"), case let shape = try store.shape(of: name), shape.count == 3
            else {
                names.append(name)
                continue
            }
            let prefix = stem.dropLast(kind.count)
            let (count, rows) = (shape[0], shape[1])
            // A name for each expert is made below, however little the file holds of them.
            guard count <= Self.mostExperts, rows > 0, shape[2] > 0 else {
                throw WeightsError(
                    name, "the shape \(shape) is not that of the matrices of experts",
                    advice: WeightsError.downloadAgain)
            }
            let pieces =
                kind == "gate_up_proj"
                ? [("gate_proj", 0..<rows / 2), ("up_proj", rows / 2..<rows)] : [(kind, 0..<rows)]
            for expert in 0..<count {
                for (piece, range) in pieces {
                    let own = "\(prefix)\(expert).\(piece).weight"
                    names.append(own)
                    parts[own] = Part(stored: name, expert: expert, rows: range)
                }
            }
        }
        guard !parts.isEmpty else { return nil }
        self.store = store
        self.parts = parts
        tensorNames = names
    }

    package var aliases: [String: String] { store.aliases }
    package var notices: [String] { store.notices }

    package func shape(of name: String) throws -> [Int] {
        guard let part = parts[name] else { return try store.shape(of: name) }
        return [part.rows.count, try store.shape(of: part.stored)[2]]
    }

    package func dtype(of name: String) throws -> DType { try store.dtype(of: parts[name]?.stored ?? name) }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        guard let part = parts[name] else { return try store.tensor(name, dtype: dtype, device: device) }
        if last?.name != part.stored || last?.dtype != dtype || last?.device != device {
            let (tensor, isBorrowed) = try store.tensor(part.stored, dtype: dtype, device: device)
            last = (part.stored, dtype, device, tensor, isBorrowed)
        }
        guard let last else { return try store.tensor(name, dtype: dtype, device: device) }
        let matrix = try last.tensor.selected(0, part.expert)
            .narrowed(0, start: part.rows.lowerBound, length: part.rows.count)
        // A view keeps the whole tensor alive, which is fine where that is the file's memory.
        return last.isBorrowed ? (matrix, true) : (try matrix.cloned(), false)
    }

    package func forget(_ name: String) { store.forget(parts[name]?.stored ?? name) }
}
