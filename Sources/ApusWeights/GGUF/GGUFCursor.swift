/// Reads little-endian fields one after the other, never past the end.
struct GGUFCursor {
    private let bytes: UnsafeRawBufferPointer
    private let path: String
    private(set) var position: Int
    /// What is being read, for errors: the last key or tensor name.
    var item: String?

    private static let maximumDepth = 4

    init(_ bytes: UnsafeRawBufferPointer, path: String, position: Int) {
        self.bytes = bytes
        self.path = path
        self.position = position
    }

    var remaining: Int { bytes.count - position }

    func failure(_ problem: String, advice: String? = nil) -> WeightsError {
        WeightsError(path, item: item, problem, advice: advice)
    }

    /// Checks a claimed number of things, each of which takes at least `size` bytes, against what is left of the file.
    func check(count: UInt64, of what: String, size: Int) throws -> Int {
        guard count <= UInt64(remaining / size) else {
            throw failure(
                "claims \(count) \(what), but only \(remaining) bytes are left for them",
                advice: WeightsError.downloadAgain)
        }
        return Int(count)
    }

    mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws -> T {
        guard remaining >= MemoryLayout<T>.size else {
            throw failure("the file ends in the middle of a number", advice: WeightsError.downloadAgain)
        }
        return readUnchecked(type)
    }

    private mutating func readUnchecked<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T {
        defer { position += MemoryLayout<T>.size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
    }

    private mutating func readCount(of what: String, size: Int) throws -> Int {
        // In two statements: as an argument of `check`, the read would happen after `self` was taken for the call.
        let count = try read(UInt64.self)
        return try check(count: count, of: what, size: size)
    }

    mutating func readString(limit: Int = .max) throws -> String {
        let count = try readCount(of: "bytes of text", size: 1)
        guard count <= limit else { throw failure("a name of \(count) bytes is longer than \(limit)") }
        defer { position += count }
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self) else {
            throw failure("a string at byte \(position) is not valid UTF-8")
        }
        return text
    }

    private mutating func readType() throws -> GGUFValueType {
        let number = try read(UInt32.self)
        guard let type = GGUFValueType(rawValue: number) else { throw failure("unknown value type \(number)") }
        return type
    }

    private mutating func readBool() throws -> Bool {
        let byte = try read(UInt8.self)
        guard byte <= 1 else { throw failure("a boolean is stored as \(byte), not 0 or 1") }
        return byte == 1
    }

    /// Reads a type tag and the value after it.
    mutating func readValue() throws -> GGUFValue {
        switch try readType() {
        case .uint8: .integer(Int(try read(UInt8.self)))
        case .int8: .integer(Int(try read(Int8.self)))
        case .uint16: .integer(Int(try read(UInt16.self)))
        case .int16: .integer(Int(try read(Int16.self)))
        case .uint32: .integer(Int(try read(UInt32.self)))
        case .int32: .integer(Int(try read(Int32.self)))
        case .int64: .integer(Int(try read(Int64.self)))
        case .uint64: Self.value(try read(UInt64.self))
        case .float32: .float(Double(Float(bitPattern: try read(UInt32.self))))
        case .float64: .float(Double(bitPattern: try read(UInt64.self)))
        case .bool: .bool(try readBool())
        case .string: .string(try readString())
        case .array: try readArray(depth: 1)
        }
    }

    private static func value(_ number: UInt64) -> GGUFValue {
        Int(exactly: number).map(GGUFValue.integer) ?? .large(number)
    }

    private mutating func readArray(depth: Int) throws -> GGUFValue {
        guard depth <= Self.maximumDepth else { throw failure("arrays nested deeper than \(Self.maximumDepth) levels") }
        let type = try readType()
        let count = try readCount(of: "array elements", size: type.minimumSize)
        switch type {
        case .uint8: return readIntegers(UInt8.self, count: count)
        case .int8: return readIntegers(Int8.self, count: count)
        case .uint16: return readIntegers(UInt16.self, count: count)
        case .int16: return readIntegers(Int16.self, count: count)
        case .uint32: return readIntegers(UInt32.self, count: count)
        case .int32: return readIntegers(Int32.self, count: count)
        case .int64: return readIntegers(Int64.self, count: count)
        case .uint64:
            let numbers = readNumbers(UInt64.self, count: count) { $0 }
            let integers = numbers.compactMap(Int.init(exactly:))
            return integers.count == count ? .integers(integers) : .values(numbers.map(Self.value))
        case .float32: return .floats(readNumbers(UInt32.self, count: count) { Double(Float(bitPattern: $0)) })
        case .float64: return .floats(readNumbers(UInt64.self, count: count, Double.init(bitPattern:)))
        case .bool: return .bools(try readList(count: count) { try $0.readBool() })
        case .string: return .strings(try readList(count: count) { try $0.readString() })
        case .array: return .values(try readList(count: count) { try $0.readArray(depth: depth + 1) })
        }
    }

    private mutating func readIntegers<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type, count: Int
    ) -> GGUFValue {
        .integers(readNumbers(type, count: count) { Int($0) })
    }

    /// `count` numbers, which the caller has checked to lie inside the file.
    private mutating func readNumbers<T: FixedWidthInteger & BitwiseCopyable, R>(
        _ type: T.Type, count: Int, _ convert: (T) -> R
    ) -> [R] {
        var values: [R] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(convert(readUnchecked(type))) }
        return values
    }

    private mutating func readList<R>(count: Int, _ element: (inout Self) throws -> R) throws -> [R] {
        var values: [R] = []
        values.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count { values.append(try element(&self)) }
        return values
    }
}
