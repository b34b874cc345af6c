package import ApusTorch

/// A set of named tensors on disk, whatever the format of the file.
package protocol TensorStore {
    var tensorNames: [String] { get }

    /// The names of tensors that are left out because they have the values of another, with the name of that one.
    ///
    /// `safetensors.torch.save_model` stores tied weights once and notes the other names so. Neither `tensorNames` nor
    /// the functions below know these names.
    var aliases: [String: String] { get }

    /// What a user should know of how tensors are read.
    var notices: [String] { get }

    func shape(of name: String) throws -> [Int]

    /// The element type on disk, or the one it is best computed in when the storage is quantised.
    func dtype(of name: String) throws -> DType

    /// The values as `dtype` on `device`.
    ///
    /// - Returns: The tensor, and whether its memory belongs to the file and must not be written to.
    func tensor(_ name: String, dtype: DType, device: Device) throws -> (tensor: Tensor, isBorrowed: Bool)

    /// Gives the memory back that reading a tensor took, where it can be read again from the file.
    func forget(_ name: String)
}

extension TensorStore {
    package func forget(_ name: String) {}
    package var aliases: [String: String] { [:] }
    package var notices: [String] { [] }
}

extension DType {
    /// The computing type that stores the same bits, if there is one.
    package init?(_ stored: WeightDType) {
        switch stored {
        case .float64: self = .float64
        case .float32: self = .float32
        case .float16: self = .float16
        case .bfloat16: self = .bfloat16
        case .int64: self = .int64
        case .int32: self = .int32
        case .int16: self = .int16
        case .int8: self = .int8
        case .uint8: self = .uint8
        case .bool: self = .bool
        default: return nil
        }
    }

    package var stored: WeightDType {
        switch self {
        case .float64: .float64
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        case .int64: .int64
        case .int32: .int32
        case .int16: .int16
        case .int8: .int8
        case .uint8: .uint8
        case .bool: .bool
        }
    }
}
