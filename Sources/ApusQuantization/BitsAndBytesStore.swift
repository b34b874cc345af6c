package import ApusTorch
package import ApusWeights
import Foundation

/// A store of weights that bitsandbytes has quantised: what belongs to one matrix lies in tensors beside it.
///
/// `X.weight` (two numbers a byte) with `.absmax`, `.quant_map`, `.nested_absmax`, `.nested_quant_map` and
/// `.quant_state.bitsandbytes__nf4` (JSON as bytes), or `X.weight` (int8) with `X.SCB`. Asked as any other store, it gives
/// the matrices in full.
package struct BitsAndBytesStore: TensorStore {
    package let tensorNames: [String]
    private let store: any TensorStore
    private let path: String
    private let computeType: DType
    private let states: [String: FourBitState]
    private let rows: Set<String>

    package init(_ store: any TensorStore, computeType: DType, path: String) throws {
        var states: [String: FourBitState] = [:]
        var rows: Set<String> = []
        var companions: Set<String> = []
        let names = Set(store.tensorNames)
        for name in store.tensorNames {
            if let range = name.range(of: ".quant_state.bitsandbytes__") {
                let weight = String(name[..<range.lowerBound])
                states[weight] = try FourBitState(store, name: name, weight: weight, path: path)
                companions.formUnion(FourBitState.parts.map { "\(weight).\($0)" } + [name])
            } else if name.hasSuffix(".SCB"), names.contains(Self.beside(name, "weight")) {
                rows.insert(Self.beside(name, "weight"))
                let format = Self.beside(name, "weight_format")
                companions.formUnion([name, format])
                try Self.checkFormat(format, of: store, names, path: path)
            }
        }
        guard !states.isEmpty || !rows.isEmpty else {
            throw WeightsError(
                path, item: "quantization_config",
                "says that bitsandbytes has quantised the weights, and none of the \(names.count) tensors is quantised",
                advice:
                    "take it out of config.json if the weights are in their original precision, or download the model again"
            )
        }
        (self.store, self.path, self.computeType, self.states, self.rows) = (store, path, computeType, states, rows)
        tensorNames = store.tensorNames.filter { !companions.contains($0) }
    }

    /// `a.b.SCB` for `a.b.weight` and `SCB`.
    private static func beside(_ name: String, _ last: String) -> String {
        (name.split(separator: ".").dropLast() + [Substring(last)]).joined(separator: ".")
    }

    /// Older versions laid eight bits out for one kind of graphics card.
    private static func checkFormat(
        _ name: String, of store: any TensorStore, _ names: Set<String>, path: String
    ) throws {
        guard names.contains(name) else { return }
        guard try store.tensor(name, dtype: .int64, device: .cpu).tensor.item() == 0 else {
            throw WeightsError(
                path, item: name, "the matrix is laid out for a graphics card (col32, col_turing or col_ampere)",
                advice: "save it with a newer bitsandbytes, or give the model in its original precision")
        }
    }

    package var aliases: [String: String] { store.aliases }

    package func shape(of name: String) throws -> [Int] { try states[name]?.shape ?? store.shape(of: name) }

    package func dtype(of name: String) throws -> DType {
        if let state = states[name] { return state.dtype }
        return rows.contains(name) ? .float32 : try store.dtype(of: name)
    }

    package func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool) {
        guard let matrix = try matrix(name, dtype: dtype, device: device) else {
            return try store.tensor(name, dtype: dtype, device: device)
        }
        return (try matrix.numbers.dequantized(dtype), false)
    }

    /// The shape of a matrix that is held in fewer bits; nil for other tensors.
    package func quantizedShape(of name: String) throws -> [Int]? {
        if let state = states[name] { return state.shape }
        return rows.contains(name) ? try store.shape(of: name) : nil
    }

    /// A matrix in the bits that the store holds; nil for a tensor that it holds in full.
    ///
    /// - Parameter dtype: The type that the matrix is made in when it is asked for in full.
    package func matrix(_ name: String, dtype: DType, device: Device) throws -> QuantizedWeight? {
        if let state = states[name] {
            return try state.matrix(of: store, path: path, computeType: computeType, dtype: dtype, device: device)
        }
        guard rows.contains(name) else { return nil }
        let shape = try store.shape(of: name)
        let factors = Self.beside(name, "SCB")
        guard shape.count == 2, shape[1] > 0, try store.dtype(of: name) == .int8,
            try store.shape(of: factors).reduce(1, *) == shape[0]
        else {
            throw WeightsError(
                path, item: name, "is no matrix of int8 with a factor for each row", advice: "download it again")
        }
        return QuantizedWeight(
            QuantizedMatrix(
                packed: try store.tensor(name, dtype: .int8, device: device).tensor, code: nil,
                absmax: try store.tensor(factors, dtype: .float32, device: device).tensor, nested: nil,
                block: shape[1], rows: shape[0], columns: shape[1]),
            type: nil, computeType: nil, dtype: dtype)
    }
}
