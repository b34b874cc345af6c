import ApusJSON
import ApusTorch
import ApusWeights
import Foundation

/// What bitsandbytes writes beside a matrix of four bits, its `QuantState`.
struct FourBitState {
    /// The tensors beside `X.weight`, without the JSON.
    static let parts = ["absmax", "quant_map", "nested_absmax", "nested_quant_map"]
    /// How many numbers can share a scale.
    private static let blocks = 1...1 << 20

    private let weight: String
    private let type: FourBitType
    private let block: Int
    let shape: [Int]
    /// The type that the matrix had before.
    let dtype: DType
    private let nested: (block: Int, offset: Float)?

    /// - Parameter name: Of the tensor whose bytes are the JSON.
    init(_ store: any TensorStore, name: String, weight: String, path: String) throws {
        func wrong(_ problem: String) -> WeightsError {
            WeightsError(path, item: name, problem, advice: "download the model again")
        }
        guard let type = FourBitType(rawValue: name.components(separatedBy: "__").last ?? "") else {
            throw wrong("is of a kind that bitsandbytes does not have; there are nf4 and fp4")
        }
        guard try store.dtype(of: name) == .uint8, try store.shape(of: name).reduce(1, *) <= 4096 else {
            throw wrong("is no JSON text of a few bytes")
        }
        let bytes = try store.tensor(name, dtype: .uint8, device: .cpu).tensor.values(as: UInt8.self)
        guard let json = try? JSONValue(parsing: Data(bytes)), json.objectValue != nil else {
            throw wrong("does not hold a JSON object")
        }
        guard let block = json["blocksize"]?.intValue, Self.blocks.contains(block), block % 2 == 0,
            let shape = json["shape"]?.arrayValue?.compactMap(\.intValue), shape.count == 2,
            shape.allSatisfy({ (1...1 << 31).contains($0) })
        else { throw wrong("does not say \"blocksize\" and a \"shape\" of two sizes") }
        guard json["quant_type"]?.stringValue == type.rawValue else {
            throw wrong("says quant_type \(json["quant_type"]?.serialized() ?? "nothing")")
        }
        guard let dtype = json["dtype"]?.stringValue.flatMap({ DType(rawValue: $0) }), dtype.isFloatingPoint else {
            throw wrong("does not say a \"dtype\" that is known")
        }
        (self.weight, self.type, self.block, self.shape, self.dtype) = (weight, type, block, shape, dtype)
        guard let nestedSize = json["nested_blocksize"], !nestedSize.isNull else {
            nested = nil
            return
        }
        guard let nestedBlock = nestedSize.intValue, Self.blocks.contains(nestedBlock) else {
            throw wrong("has a \"nested_blocksize\" of \(nestedSize.serialized()), which is no size of a block")
        }
        guard let offset = json["nested_offset"]?.doubleValue.map({ Float($0) }), offset.isFinite else {
            throw wrong("has \"nested_blocksize\" without a \"nested_offset\" that is a number")
        }
        nested = (nestedBlock, offset)
    }

    func matrix(
        of store: any TensorStore, path: String, computeType: DType, dtype: DType, device: Device
    ) throws -> QuantizedWeight {
        let count = shape[0] * shape[1]
        let blocks = (count + block - 1) / block
        func part(_ name: String, _ type: DType, count: Int) throws -> Tensor {
            let full = "\(weight).\(name)"
            guard store.tensorNames.contains(full), try store.shape(of: full).reduce(1, *) == count else {
                throw WeightsError(
                    path, item: full, "is missing or has not \(count) elements", advice: "download the model again")
            }
            return try store.tensor(full, dtype: type, device: device).tensor
        }
        let code = try part("quant_map", .float32, count: 16)
        let known = type.code
        guard zip(try code.values(as: Float.self), known).allSatisfy({ Swift.abs($0 - $1) < 1e-4 }) else {
            throw WeightsError(
                path, item: "\(weight).quant_map", "is not the code of \(type)", advice: "download the model again")
        }
        return QuantizedWeight(
            QuantizedMatrix(
                packed: try packed(store, path: path, bytes: (count + 1) / 2, device: device),
                code: try Tensor(known, shape: [16], device: device),
                absmax: try part("absmax", nested == nil ? .float32 : .uint8, count: blocks),
                nested: try nested.map { nested in
                    QuantizedMatrix.Nested(
                        code: try part("nested_quant_map", .float32, count: 256),
                        absmax: try part(
                            "nested_absmax", .float32, count: (blocks + nested.block - 1) / nested.block),
                        offset: nested.offset, block: nested.block)
                }, block: block, rows: shape[0], columns: shape[1]),
            type: type, computeType: computeType, dtype: dtype)
    }

    /// The bytes of the indices, which may be kept under the name of another type.
    private func packed(_ store: any TensorStore, path: String, bytes: Int, device: Device) throws -> Tensor {
        let type = try store.dtype(of: weight)
        guard try store.shape(of: weight).reduce(1, *) * type.size == bytes else {
            throw WeightsError(
                path, item: weight, "does not hold \(bytes) bytes, half a byte for each number of \(shape)",
                advice: "download the model again")
        }
        let stored = try store.tensor(weight, dtype: type, device: .cpu).tensor
        if type == .uint8 { return try stored.to(device) }
        return try stored.withUnsafeBytes { try Tensor([UInt8]($0), device: device) }
    }
}
