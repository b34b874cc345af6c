import ApusJSON

/// One tensor of a safetensors file.
package struct SafetensorsEntry: Sendable, Equatable {
    package let name: String
    package let dtype: WeightDType
    package let shape: [Int]
    /// Where the elements lie, counted from the start of the file; row-major, little-endian.
    package let byteRange: Range<Int>

    /// Whether the first element lies at a multiple of its size, as the format asks of writers but not all heed.
    package var isAligned: Bool {
        byteRange.lowerBound % max(1, dtype.bitsPerElement / 8) == 0
    }
}

/// The header of a safetensors file, checked so that every entry can be read without a further look.
struct SafetensorsHeader {
    var metadata: [String: String] = [:]
    /// In the order of their bytes.
    var entries: [SafetensorsEntry] = []

    static let maximumLength = 100_000_000
    static let lengthSize = 8

    init(parsing file: UnsafeRawBufferPointer, path: String) throws {
        let text = try Self.headerText(of: file, path: path)
        let dataStart = Self.lengthSize + text.count
        let root: JSONValue
        do {
            // Three levels are the format's depth; anything deeper is refused without recursion.
            root = try JSONValue(parsing: text, duplicateKeys: .refuse, maximumDepth: 4)
        } catch let error as JSONError {
            throw WeightsError(path, "the header is \(error)", advice: WeightsError.downloadAgain)
        }
        guard let object = root.objectValue else { throw WeightsError(path, "the header is not a JSON object") }
        entries.reserveCapacity(object.count)
        for (name, value) in object {
            if name == "__metadata__" {
                metadata = try Self.metadata(value, path: path)
            } else {
                entries.append(try Self.entry(name, value, dataStart: dataStart, fileSize: file.count, path: path))
            }
        }
        entries.sort {
            ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
        }
        try checkThatEntriesCover(dataStart..<file.count, path: path)
    }

    private static func headerText(of file: UnsafeRawBufferPointer, path: String) throws -> UnsafeRawBufferPointer {
        do {
            return try soundHeaderText(of: file, path: path)
        } catch {
            throw FileSort.error(file, path: path, wanted: .safetensors) ?? error
        }
    }

    private static func soundHeaderText(
        of file: UnsafeRawBufferPointer, path: String
    ) throws -> UnsafeRawBufferPointer {
        guard file.count >= lengthSize else {
            throw WeightsError(
                path, "has \(file.count) bytes, too few for a safetensors file", advice: WeightsError.downloadAgain)
        }
        let length = UInt64(littleEndian: file.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(maximumLength) else {
            throw WeightsError(
                path, "the header claims \(length) bytes, more than the format's limit of \(maximumLength)",
                advice: WeightsError.notSafetensors)
        }
        guard length <= UInt64(file.count - lengthSize) else {
            throw WeightsError(
                path, "the header claims \(length) bytes, but only \(file.count - lengthSize) follow",
                advice: WeightsError.downloadAgain)
        }
        let text = UnsafeRawBufferPointer(rebasing: file[lengthSize..<lengthSize + Int(length)])
        guard text.first == UInt8(ascii: "{") else {
            throw WeightsError(
                path, "the header does not start with '{'", advice: WeightsError.notSafetensors)
        }
        return text
    }

    private static func metadata(_ value: JSONValue, path: String) throws -> [String: String] {
        guard let object = value.objectValue else { throw WeightsError(path, "__metadata__ is not an object") }
        var metadata: [String: String] = [:]
        for (key, value) in object {
            guard let text = value.stringValue else {
                throw WeightsError(path, item: key, "this entry of __metadata__ is not a string")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func entry(
        _ name: String, _ value: JSONValue, dataStart: Int, fileSize: Int, path: String
    ) throws -> SafetensorsEntry {
        guard let object = value.objectValue, object.count == 3, let dtypeName = object["dtype"]?.stringValue,
            let shape = object["shape"].flatMap(integers), let offsets = object["data_offsets"].flatMap(integers)
        else {
            throw WeightsError(
                path, item: name,
                "its header entry is not {\"dtype\": text, \"shape\": [integers], "
                    + "\"data_offsets\": [begin, end]}")
        }
        guard let dtype = WeightDType(name: dtypeName) else {
            throw WeightsError(path, item: name, "unknown dtype \(WeightsError.printable(dtypeName))")
        }
        guard let size = dtype.byteCount(shape: shape) else {
            throw WeightsError(path, item: name, "impossible shape \(shape) for \(dtype.name)")
        }
        guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1] else {
            throw WeightsError(path, item: name, "data_offsets \(offsets) are not a range")
        }
        guard offsets[1] <= fileSize - dataStart else {
            throw WeightsError(
                path, item: name, "ends at byte \(offsets[1]) of the data, but the file holds \(fileSize - dataStart)",
                advice: WeightsError.downloadAgain)
        }
        guard offsets[1] - offsets[0] == size else {
            throw WeightsError(
                path, item: name,
                "\(dtype.name) of shape \(shape) takes \(size) bytes, data_offsets give \(offsets[1] - offsets[0])")
        }
        return SafetensorsEntry(
            name: name, dtype: dtype, shape: shape, byteRange: dataStart + offsets[0]..<dataStart + offsets[1])
    }

    private static func integers(_ value: JSONValue) -> [Int]? {
        guard let array = value.arrayValue else { return nil }
        var result: [Int] = []
        for element in array {
            guard case .int(let integer) = element else { return nil }
            result.append(integer)
        }
        return result
    }

    /// The format allows neither overlaps nor holes: bytes that no tensor names could smuggle another file.
    private func checkThatEntriesCover(_ data: Range<Int>, path: String) throws {
        var end = data.lowerBound
        for entry in entries {
            if entry.byteRange.lowerBound < end {
                throw WeightsError(path, item: entry.name, "overlaps the tensor before it")
            }
            if entry.byteRange.lowerBound > end {
                throw WeightsError(
                    path, item: entry.name, "\(entry.byteRange.lowerBound - end) bytes before it belong to no tensor")
            }
            end = entry.byteRange.upperBound
        }
        if end < data.upperBound {
            throw WeightsError(path, "the last \(data.upperBound - end) bytes belong to no tensor")
        }
    }
}
