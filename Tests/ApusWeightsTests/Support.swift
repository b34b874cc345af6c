import Foundation

@testable import ApusWeights

/// A file of Tests/Fixtures.
func fixture(_ path: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures").appendingPathComponent(path).path
}

/// A fresh folder that is removed when the object goes.
final class TemporaryFolder {
    let path = NSTemporaryDirectory() + "/apus-weights-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }
}

func contents(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
}

/// SplitMix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Flips, overwrites, inserts or removes a few bytes.
    mutating func mutate(_ original: [UInt8], within limit: Int) -> [UInt8] {
        var bytes = original
        for _ in 0...Int.random(in: 0..<4, using: &self) {
            guard !bytes.isEmpty else { break }
            let position = Int.random(in: 0..<min(limit, bytes.count), using: &self)
            switch Int.random(in: 0..<5, using: &self) {
            case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &self)
            case 1: bytes[position] = UInt8.random(in: 0...255, using: &self)
            case 2: bytes.insert(UInt8.random(in: 0...255, using: &self), at: position)
            case 3: bytes.remove(at: position)
            default:
                let extreme: [UInt8] =
                    Bool.random(using: &self) ? Array(repeating: 0xFF, count: 8) : littleEndian(1 << 62)
                for (offset, byte) in extreme.enumerated() where position + offset < bytes.count {
                    bytes[position + offset] = byte
                }
            }
        }
        return bytes
    }
}

/// Runs `parse`, which may succeed or throw a `WeightsError`; any other error is passed on.
///
/// - Returns: Whether it succeeded.
func accepts<R>(_ parse: () throws -> R) throws -> Bool {
    do {
        _ = try parse()
        return true
    } catch is WeightsError {
        return false
    }
}
