/// A metadata value of a GGUF file.
///
/// Integers of every width become `Int`, floats `Double`.
package enum GGUFValue: Sendable, Equatable {
    case integer(Int)
    /// An unsigned integer beyond `Int.max`.
    case large(UInt64)
    case float(Double)
    case bool(Bool)
    case string(String)
    case integers([Int])
    case floats([Double])
    case bools([Bool])
    case strings([String])
    /// An array of arrays, or of integers of which some are beyond `Int.max`.
    case values([GGUFValue])

    package var intValue: Int? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The number, integer or not.
    package var doubleValue: Double? {
        switch self {
        case .float(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }

    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var intValues: [Int]? {
        if case .integers(let values) = self { values } else { nil }
    }

    package var doubleValues: [Double]? {
        if case .floats(let values) = self { values } else { nil }
    }

    package var stringValues: [String]? {
        if case .strings(let values) = self { values } else { nil }
    }

    var kind: String {
        switch self {
        case .integer, .large: "an integer"
        case .float: "a float"
        case .bool: "a boolean"
        case .string: "a string"
        case .integers: "an array of integers"
        case .floats: "an array of floats"
        case .bools: "an array of booleans"
        case .strings: "an array of strings"
        case .values: "an array of mixed values"
        }
    }
}

/// The type tag before each metadata value.
enum GGUFValueType: UInt32 {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// The fewest bytes one value can take: what a claimed count is checked against before anything is allocated.
    var minimumSize: Int {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .string, .uint64, .int64, .float64: 8
        case .array: 12
        }
    }
}
