/// The element type of a tensor.
public enum DType: String, Sendable, CaseIterable, CustomStringConvertible {
    case float32, float16, bfloat16, float64
    case int64, int32, int16, int8, uint8, bool

    /// libtorch's number of the type (`c10::ScalarType`).
    var scalarType: Int32 {
        switch self {
        case .uint8: 0
        case .int8: 1
        case .int16: 2
        case .int32: 3
        case .int64: 4
        case .float16: 5
        case .float32: 6
        case .float64: 7
        case .bool: 11
        case .bfloat16: 15
        }
    }

    init?(scalarType: Int32) {
        guard let match = DType.allCases.first(where: { $0.scalarType == scalarType }) else { return nil }
        self = match
    }

    /// Bytes of one element.
    public var size: Int {
        switch self {
        case .float64, .int64: 8
        case .float32, .int32: 4
        case .float16, .bfloat16, .int16: 2
        case .int8, .uint8, .bool: 1
        }
    }

    public var isFloatingPoint: Bool {
        switch self {
        case .float32, .float16, .bfloat16, .float64: true
        default: false
        }
    }

    /// Whether it is a float of 16 bits: too short to sum many small numbers in.
    package var isShortFloat: Bool { self == .float16 || self == .bfloat16 }

    public var description: String { rawValue }
}
