/// A metadata value to be written, in the type that it is stored as.
package indirect enum GGUFTypedValue: Sendable, Equatable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case float32(Float)
    case bool(Bool)
    case string(String)
    case uint64(UInt64)
    case int64(Int64)
    case float64(Double)
    case strings([String])
    case int32s([Int32])
    case float32s([Float])
    /// An array of any other type.
    ///
    /// Its elements have the type of the first; without elements they count as texts.
    case array([GGUFTypedValue])

    var type: GGUFValueType {
        switch self {
        case .uint8: .uint8
        case .int8: .int8
        case .uint16: .uint16
        case .int16: .int16
        case .uint32: .uint32
        case .int32: .int32
        case .float32: .float32
        case .bool: .bool
        case .string: .string
        case .uint64: .uint64
        case .int64: .int64
        case .float64: .float64
        case .strings, .int32s, .float32s, .array: .array
        }
    }
}

/// Collects the little-endian bytes of a GGUF header.
struct GGUFEncoder {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ text: String) {
        append(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    mutating func pad(to alignment: Int) {
        bytes.append(contentsOf: repeatElement(0, count: (alignment - bytes.count % alignment) % alignment))
    }

    /// Appends a value without the tag of its type.
    mutating func append(_ value: GGUFTypedValue) {
        switch value {
        case .uint8(let number): append(number)
        case .int8(let number): append(number)
        case .uint16(let number): append(number)
        case .int16(let number): append(number)
        case .uint32(let number): append(number)
        case .int32(let number): append(number)
        case .float32(let number): append(number.bitPattern)
        case .bool(let flag): append(UInt8(flag ? 1 : 0))
        case .string(let text): append(text)
        case .uint64(let number): append(number)
        case .int64(let number): append(number)
        case .float64(let number): append(number.bitPattern)
        case .strings(let texts): appendArray(.string, texts) { $0.append($1) }
        case .int32s(let numbers): appendArray(.int32, numbers) { $0.append($1) }
        case .float32s(let numbers): appendArray(.float32, numbers) { $0.append($1.bitPattern) }
        case .array(let elements): appendArray(elements.first?.type ?? .string, elements) { $0.append($1) }
        }
    }

    private mutating func appendArray<Element>(
        _ type: GGUFValueType, _ elements: [Element], _ append: (inout Self, Element) -> Void
    ) {
        self.append(type.rawValue)
        self.append(UInt64(elements.count))
        for element in elements { append(&self, element) }
    }
}
