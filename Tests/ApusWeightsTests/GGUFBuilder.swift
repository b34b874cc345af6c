/// Assembles GGUF files, sound or not.
struct GGUFBuilder {
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var pairCount: UInt64?
    private var pairs: [[UInt8]] = []
    private var infos: [[UInt8]] = []
    private var data: [UInt8] = []
    var alignment = 32

    static func string(_ text: String) -> [UInt8] { littleEndian(UInt64(text.utf8.count)) + Array(text.utf8) }

    /// Adds a key with the bytes of a value of type `type`.
    mutating func add(key: String, type: UInt32, _ value: [UInt8]) {
        pairs.append(Self.string(key) + littleEndian(type) + value)
    }

    mutating func add(_ key: String, _ value: Int) { add(key: key, type: 4, littleEndian(UInt32(value))) }
    mutating func add(_ key: String, _ value: Float) { add(key: key, type: 6, littleEndian(value.bitPattern)) }
    mutating func add(_ key: String, _ value: String) { add(key: key, type: 8, Self.string(value)) }

    /// Adds a tensor behind those before it.
    mutating func add(tensor name: String, type: UInt32 = 0, shape: [Int], _ bytes: [UInt8]) {
        addInfo(name: name, type: type, dimensions: shape.reversed().map(UInt64.init), offset: UInt64(data.count))
        data += bytes
        data += [UInt8](repeating: 0, count: (alignment - data.count % alignment) % alignment)
    }

    mutating func add(tensor name: String, shape: [Int], floats: [Float]) {
        add(tensor: name, shape: shape, floats.flatMap { littleEndian($0.bitPattern) })
    }

    /// Adds a line to the table of tensors only.
    mutating func addInfo(name: String, type: UInt32, dimensions: [UInt64], offset: UInt64) {
        infos.append(
            Self.string(name) + littleEndian(UInt32(dimensions.count)) + dimensions.flatMap { littleEndian($0) }
                + littleEndian(type) + littleEndian(offset))
    }

    func bytes() -> [UInt8] {
        var file = Array("GGUF".utf8) + littleEndian(version)
        file += littleEndian(tensorCount ?? UInt64(infos.count)) + littleEndian(pairCount ?? UInt64(pairs.count))
        file += pairs.flatMap { $0 } + infos.flatMap { $0 }
        file += [UInt8](repeating: 0, count: (alignment - file.count % alignment) % alignment)
        return file + data
    }
}
