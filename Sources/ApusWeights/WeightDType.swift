/// The element type of a stored tensor, under the name that safetensors writes.
///
/// The order is the format's own: writers put the types with the higher value first.
package enum WeightDType: Int, Sendable, CaseIterable, Comparable {
    case bool, float4, float6E2M3, float6E3M2, uint8, int8
    case float8E5M2, float8E4M3, float8E8M0, float8E4M3FNUZ, float8E5M2FNUZ
    case int16, uint16, float16, bfloat16, int32, uint32, float32, complex64, float64, int64, uint64

    package var name: String {
        switch self {
        case .bool: "BOOL"
        case .float4: "F4"
        case .float6E2M3: "F6_E2M3"
        case .float6E3M2: "F6_E3M2"
        case .uint8: "U8"
        case .int8: "I8"
        case .float8E5M2: "F8_E5M2"
        case .float8E4M3: "F8_E4M3"
        case .float8E8M0: "F8_E8M0"
        case .float8E4M3FNUZ: "F8_E4M3FNUZ"
        case .float8E5M2FNUZ: "F8_E5M2FNUZ"
        case .int16: "I16"
        case .uint16: "U16"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .int32: "I32"
        case .uint32: "U32"
        case .float32: "F32"
        case .complex64: "C64"
        case .float64: "F64"
        case .int64: "I64"
        case .uint64: "U64"
        }
    }

    private static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.name, $0) })

    package init?(name: String) {
        guard let dtype = Self.byName[name] else { return nil }
        self = dtype
    }

    package var bitsPerElement: Int {
        switch self {
        case .float4: 4
        case .float6E2M3, .float6E3M2: 6
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
        case .int16, .uint16, .float16, .bfloat16: 16
        case .int32, .uint32, .float32: 32
        case .complex64, .float64, .int64, .uint64: 64
        }
    }

    /// Whether Apus computes with this type, or brings it into one that it computes with.
    ///
    /// The others are recognised, so that a file holding one can be opened and its other tensors used, and refused by
    /// name when their bytes are asked for.
    package var isSupported: Bool {
        switch self {
        case .bool, .uint8, .int8, .int16, .int32, .int64, .float16, .bfloat16, .float32, .float64: true
        case .float8E4M3, .float8E5M2, .float8E8M0: true
        default: false
        }
    }

    package static func < (lhs: Self, rhs: Self) -> Bool { lhs.rawValue < rhs.rawValue }

    /// The size in bytes of a tensor of this type, or `nil` when it overflows, is negative, or ends inside a byte.
    package func byteCount(shape: [Int]) -> Int? {
        guard let elements = elementCount(of: shape) else { return nil }
        let (bits, overflow) = elements.multipliedReportingOverflow(by: bitsPerElement)
        return overflow || bits % 8 != 0 ? nil : bits / 8
    }
}

/// The product of the dimensions, or `nil` when one is negative or the product overflows.
func elementCount(of shape: [Int]) -> Int? {
    var product = 1
    for dimension in shape {
        guard dimension >= 0 else { return nil }
        let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
        if overflow { return nil }
        product = next
    }
    return product
}
