/// The part of a GGUF file before the tensor data.
struct GGUFHeader {
    let version: Int
    private(set) var alignment = 32
    private(set) var metadata: [String: GGUFValue] = [:]
    private(set) var tensors: [GGUFTensor] = []

    private static let maximumNameLength = 65_535
    static let maximumDimensions = 4
    private static let maximumAlignment = 1 << 20
    /// Of metadata and table together; those of the largest vocabularies take a third.
    ///
    /// Metadata grows eightfold when it is read, so damage that makes an array of the weights must not fill the memory.
    static let maximumLength = 64 << 20
    private static let smallestPair = 8 + 4 + 1
    private static let smallestTensorInfo = 8 + 4 + 4 + 8

    init(parsing file: UnsafeRawBufferPointer, path: String) throws {
        guard file.count >= 4, file[0..<4].elementsEqual("GGUF".utf8) else {
            if let error = FileSort.error(file, path: path) { throw error }
            throw WeightsError(path, "does not start with GGUF", advice: "this is not a GGUF file, or it is damaged")
        }
        var cursor = GGUFCursor(
            UnsafeRawBufferPointer(rebasing: file.prefix(Self.maximumLength)), path: path, position: 4)
        version = try Self.readVersion(&cursor)
        let tensorCount = try cursor.read(UInt64.self)
        let pairCount = try cursor.read(UInt64.self)
        try readMetadata(count: pairCount, &cursor)
        try readTensors(count: tensorCount, fileSize: file.count, &cursor)
        try checkThatTensorsAreApart(path: path)
    }

    private static func readVersion(_ cursor: inout GGUFCursor) throws -> Int {
        let version = try cursor.read(UInt32.self)
        switch version {
        case 2, 3: return Int(version)
        case 1: throw cursor.failure("GGUF version 1 is not supported", advice: "convert the model again")
        case _ where version & 0xFFFF == 0 && version != 0:
            throw cursor.failure("is a big-endian GGUF file", advice: "get or convert the little-endian one")
        default: throw cursor.failure("GGUF version \(version) is not supported; versions 2 and 3 are")
        }
    }

    private mutating func readMetadata(count: UInt64, _ cursor: inout GGUFCursor) throws {
        let count = try cursor.check(count: count, of: "metadata entries", size: Self.smallestPair)
        for _ in 0..<count {
            let key = try cursor.readString(limit: Self.maximumNameLength)
            cursor.item = key
            let value = try cursor.readValue()
            guard metadata.updateValue(value, forKey: key) == nil else {
                throw cursor.failure("this metadata key appears twice")
            }
        }
        guard let value = metadata["general.alignment"] else { return }
        cursor.item = "general.alignment"
        guard let alignment = value.intValue, alignment > 0, alignment <= Self.maximumAlignment,
            alignment & (alignment - 1) == 0
        else { throw cursor.failure("is not a power of two up to \(Self.maximumAlignment)") }
        self.alignment = alignment
    }

    private mutating func readTensors(count: UInt64, fileSize: Int, _ cursor: inout GGUFCursor) throws {
        cursor.item = nil
        let count = try cursor.check(count: count, of: "tensors", size: Self.smallestTensorInfo)
        var names: Set<String> = []
        var infos: [(name: String, type: GGUFTensorType, shape: [Int], size: Int, offset: UInt64)] = []
        infos.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count {
            let name = try cursor.readString(limit: Self.maximumNameLength)
            cursor.item = name
            guard names.insert(name).inserted else { throw cursor.failure("two tensors have this name") }
            let shape = try Self.readShape(&cursor)
            let typeNumber = try cursor.read(UInt32.self)
            guard let type = GGUFTensorType(rawValue: typeNumber) else {
                throw cursor.failure(
                    "unknown or withdrawn tensor type \(typeNumber)", advice: "quantise the model again")
            }
            guard let size = type.byteCount(shape: shape) else {
                throw cursor.failure("impossible shape \(shape) for \(type.name)")
            }
            let offset = try cursor.read(UInt64.self)
            guard offset % UInt64(alignment) == 0 else {
                throw cursor.failure("offset \(offset) is not a multiple of the alignment \(alignment)")
            }
            infos.append((name, type, shape, size, offset))
        }
        let dataStart = (cursor.position + alignment - 1) & ~(alignment - 1)
        let dataSize = max(0, fileSize - dataStart)
        for info in infos {
            cursor.item = info.name
            guard info.size <= dataSize, info.offset <= UInt64(dataSize - info.size) else {
                throw cursor.failure(
                    "\(info.size) bytes at offset \(info.offset) do not lie in the \(dataSize) bytes of data",
                    advice: WeightsError.downloadAgain)
            }
            let start = dataStart + Int(info.offset)
            tensors.append(
                GGUFTensor(name: info.name, type: info.type, shape: info.shape, byteRange: start..<start + info.size))
        }
    }

    private static func readShape(_ cursor: inout GGUFCursor) throws -> [Int] {
        let dimensions = try cursor.read(UInt32.self)
        guard dimensions <= maximumDimensions else {
            throw cursor.failure("has \(dimensions) dimensions, at most 4 are allowed")
        }
        var shape: [Int] = []
        for _ in 0..<dimensions {
            let size = try cursor.read(UInt64.self)
            guard let size = Int(exactly: size) else { throw cursor.failure("impossible dimension \(size)") }
            shape.append(size)
        }
        return shape.reversed()
    }

    private func checkThatTensorsAreApart(path: String) throws {
        var end = 0
        for tensor in tensors.sorted(by: { $0.byteRange.lowerBound < $1.byteRange.lowerBound })
        where !tensor.byteRange.isEmpty {
            guard tensor.byteRange.lowerBound >= end else {
                throw WeightsError(path, item: tensor.name, "overlaps another tensor")
            }
            end = tensor.byteRange.upperBound
        }
    }
}
