/// A file as `torch.save` wrote it before PyTorch 1.6, and still does with `_use_new_zipfile_serialization=False`.
///
/// Pickles one behind the other: a number that names the form, its version, facts of the machine, the table, and the keys of
/// the storages; then the numbers of each storage in that order, behind their count in 8 bytes. Nothing of it is run.
///
/// torch/serialization.py, `_legacy_save`.
struct OldPyTorchForm {
    let tensors: [(name: String, view: PickleReader.View)]
    /// Where the numbers of each storage lie in the file, by its key.
    let places: [String: Range<Int>]

    /// 0x1950a86a20f9469cfc6c as a pickled number, and the end of its pickle.
    private static let magic: [UInt8] = [
        0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, UInt8(ascii: "."),
    ]
    private static let version = 1001

    /// Where the first pickle ends; nil where the file is of another form.
    private static func endOfMagic(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count >= 2, bytes[0] == 0x80, bytes[1] <= 5 else { return nil }
        // From protocol 4 on a pickle may say how long it is.
        let start = bytes.count >= 11 && bytes[2] == 0x95 ? 11 : 2
        return bytes[start...].starts(with: magic) ? start + magic.count : nil
    }

    static func begins(_ bytes: UnsafeRawBufferPointer) -> Bool { endOfMagic(bytes) != nil }

    /// - Throws: `WeightsError` naming what the pickles ask for and may not have, or what is damaged.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        let start = Self.endOfMagic(bytes) ?? 0
        let end = min(bytes.count, start + PickleReader.maximumLength)
        var reader = PickleReader(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), path: path, isOld: true)
        guard try reader.value() == .int(Self.version) else {
            throw reader.unsupported("another version of the form before PyTorch 1.6")
        }
        guard case .dictionary(let facts) = try reader.value() else { throw reader.damaged }
        let order = reader.dictionaries[facts].last { $0.key == .string("little_endian") }?.value
        guard order == .bool(true) else {
            throw WeightsError(path, "its numbers are big-endian", advice: "save it again on another machine")
        }
        tensors = try reader.tensors()
        guard case .list(let keys) = try reader.value() else { throw reader.damaged }
        places = try Self.places(of: reader.sequences[keys], in: bytes, from: start + reader.position, reader)
    }

    /// Walks over the numbers without reading them.
    private static func places(
        of keys: [PickleReader.Value], in bytes: UnsafeRawBufferPointer, from start: Int, _ reader: PickleReader
    ) throws -> [String: Range<Int>] {
        var places: [String: Range<Int>] = [:]
        var position = start
        for key in keys {
            guard case .string(let key) = key, let storage = reader.storages[key] else {
                throw reader.refused("it lists numbers that no tensor has")
            }
            guard bytes.count - position >= 8 else { throw cut(reader.path) }
            let count = Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Int64.self))
            position += 8
            guard count == storage.count, let length = storage.dtype.byteCount(shape: [storage.count]) else {
                throw WeightsError(
                    reader.path, "a storage has \(count) numbers, and its pickle says \(storage.count)",
                    advice: WeightsError.downloadAgain)
            }
            guard length <= bytes.count - position else { throw cut(reader.path) }
            guard places.updateValue(position..<position + length, forKey: key) == nil else {
                throw reader.refused("it lists the same numbers twice")
            }
            position += length
        }
        return places
    }

    private static func cut(_ path: String) -> WeightsError {
        WeightsError(path, "ends before the numbers of its tensors", advice: WeightsError.downloadAgain)
    }
}
