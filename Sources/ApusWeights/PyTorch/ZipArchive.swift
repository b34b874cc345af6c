/// The members of a zip archive that are stored as they are, which is how PyTorch writes them.
///
/// PKWARE, APPNOTE.TXT 6.3.10; both the 32-bit and the 64-bit tables.
struct ZipArchive {
    /// Where the bytes of each member lie in the file, by name.
    let members: [String: Range<Int>]

    /// - Throws: `WeightsError` when the tables do not fit the file, a name comes twice, or a member is compressed or
    ///   encrypted.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        let reader = Reader(bytes: bytes, path: path)
        let table = try reader.table()
        var members: [String: Range<Int>] = [:]
        var position = table.start
        for _ in 0..<table.count {
            let (name, range, next) = try reader.member(at: position, tableStart: table.start)
            guard members.updateValue(range, forKey: name) == nil else {
                throw WeightsError(path, item: name, "two members of the archive have this name")
            }
            position = next
        }
        self.members = members
    }
}

/// Reads fields at places that a hostile file may have chosen.
private struct Reader {
    let bytes: UnsafeRawBufferPointer
    let path: String

    private var damaged: WeightsError {
        WeightsError(path, "its table of members is damaged", advice: WeightsError.downloadAgain)
    }

    private func field<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at position: Int) throws -> T {
        guard position >= 0, position <= bytes.count - MemoryLayout<T>.size else { throw damaged }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: type))
    }

    private func place(at position: Int) throws -> Int {
        guard let value = Int(exactly: try field(UInt64.self, at: position)), value <= bytes.count else {
            throw damaged
        }
        return value
    }

    /// Where the central directory begins and how many members it lists.
    func table() throws -> (start: Int, count: Int) {
        let fixed = 22
        let first = max(0, bytes.count - fixed - Int(UInt16.max))
        guard bytes.count >= fixed,
            let end = try stride(from: bytes.count - fixed, through: first, by: -1).first(where: {
                try field(UInt32.self, at: $0) == 0x0605_4B50
                    && $0 + fixed + Int(field(UInt16.self, at: $0 + 20)) == bytes.count
            })
        else {
            // The table is at the end, where a broken download has nothing.
            if bytes.starts(with: [0x50, 0x4B, 3, 4]) { throw damaged }
            if let error = FileSort.error(bytes, path: path), FileSort(bytes) != .pickle { throw error }
            throw WeightsError(
                path, "is not a zip archive, as PyTorch writes them since 1.6, nor of the form that it wrote before",
                advice: "load it in Python and save it again with safe_serialization=True")
        }
        let count = Int(try field(UInt16.self, at: end + 10))
        let start = try field(UInt32.self, at: end + 16)
        guard count == UInt16.max || start == UInt32.max else { return (Int(start), count) }
        guard end >= 20, try field(UInt32.self, at: end - 20) == 0x0706_4B50 else { throw damaged }
        let wide = try place(at: end - 12)
        guard try field(UInt32.self, at: wide) == 0x0606_4B50 else { throw damaged }
        return (try place(at: wide + 48), try place(at: wide + 32))
    }

    /// The name and the bytes of the member listed at `position`, and where the next one is listed.
    func member(at position: Int, tableStart: Int) throws -> (name: String, range: Range<Int>, next: Int) {
        guard try field(UInt32.self, at: position) == 0x0201_4B50 else { throw damaged }
        let nameCount = Int(try field(UInt16.self, at: position + 28))
        let extraCount = Int(try field(UInt16.self, at: position + 30))
        let commentCount = Int(try field(UInt16.self, at: position + 32))
        let extra = position + 46 + nameCount
        let next = extra + extraCount + commentCount
        guard next <= bytes.count else { throw damaged }
        guard let name = String(validating: bytes[position + 46..<extra], as: UTF8.self) else { throw damaged }
        guard try field(UInt16.self, at: position + 8) & 1 == 0, try field(UInt16.self, at: position + 10) == 0 else {
            throw WeightsError(path, item: name, "this member of the archive is compressed or encrypted")
        }
        let sizes = try wideSizes(
            stored: [
                field(UInt32.self, at: position + 24), field(UInt32.self, at: position + 20),
                field(UInt32.self, at: position + 42),
            ], extra: extra..<extra + extraCount)
        let (count, header) = (sizes[0], sizes[2])
        guard count == sizes[1], try field(UInt32.self, at: header) == 0x0403_4B50,
            Int(try field(UInt16.self, at: header + 26)) == nameCount, header + 30 + nameCount <= bytes.count,
            bytes[header + 30..<header + 30 + nameCount].elementsEqual(bytes[position + 46..<extra])
        else { throw damaged }
        let start = header + 30 + nameCount + Int(try field(UInt16.self, at: header + 28))
        guard start <= tableStart, count <= tableStart - start else { throw damaged }
        return (name, start..<start + count, next)
    }

    /// The sizes of a member and its place; those that do not fit 32 bits stand, in this order, in an extra field.
    private func wideSizes(stored: [UInt32], extra: Range<Int>) throws -> [Int] {
        var wide: Range<Int>?
        var position = extra.lowerBound
        while position + 4 <= extra.upperBound {
            let count = Int(try field(UInt16.self, at: position + 2))
            guard position + 4 + count <= extra.upperBound else { throw damaged }
            if try field(UInt16.self, at: position) == 1 { wide = position + 4..<position + 4 + count }
            position += 4 + count
        }
        var next = wide?.lowerBound ?? 0
        return try stored.map { value in
            guard value == UInt32.max else { return Int(value) }
            guard let wide, next + 8 <= wide.upperBound else { throw damaged }
            defer { next += 8 }
            return try place(at: next)
        }
    }
}
