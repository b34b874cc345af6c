import ApusJSON
import Foundation
import Testing

@testable import ApusWeights

/// Real GGUF models, compared with what transformers read from them when the fixture was made.
///
/// They run where the models lie in the user's cache, and are skipped elsewhere.
struct RealModelTests {
    private static let folder = NSHomeDirectory() + "/.cache/apus/weights/"
    private static let smollm2 = "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"
    private static let qwen2 = "qwen2.5-coder-0.5b-instruct/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"

    private static func isHere(_ path: String) -> Bool {
        let parent = URL(fileURLWithPath: folder + path).deletingLastPathComponent()
        return FileManager.default.fileExists(atPath: parent.appendingPathComponent(".complete").path)
    }

    /// The sum of (word + 1) · (2 · position + 1) modulo 2^64, as the script of the fixture computes it.
    static func checksum<T: FixedWidthInteger & UnsignedInteger>(_ words: UnsafeBufferPointer<T>) -> String {
        var (sum, odd): (UInt64, UInt64) = (0, 1)
        for word in words {
            sum &+= (UInt64(truncatingIfNeeded: word) &+ 1) &* odd
            odd &+= 2
        }
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func check(_ path: String) throws {
        let model = try GGUFModel(GGUFFile(path: folder + path))
        let expected = try #require(try JSONValue(parsing: contents(fixture("gguf/real-models.json")))[path])
        for (key, value) in try #require(expected["config"]?.objectValue) {
            #expect(model.config[key] == value, "\(key)")
        }
        let tensors = try #require(expected["tensors"]?.objectValue)
        #expect(Set(model.entries.map(\.name)) == Set(tensors.keys))
        for (position, (name, facts)) in tensors.enumerated() {
            let entry = try #require(model[name])
            #expect(facts["shape"] == .array(entry.shape.map(JSONValue.int)))
            // A debug build decodes a hundred times slower: it looks at a sample.
            if isDebugBuild, position % 16 != 0 || entry.source.elementCount > 1 << 20 { continue }
            let numbers = UnsafeMutableBufferPointer<Float>.allocate(capacity: entry.source.elementCount)
            defer { numbers.deallocate() }
            try model.dequantize(name, into: numbers)
            let full = numbers.withMemoryRebound(to: UInt32.self) { checksum(UnsafeBufferPointer($0)) }
            #expect(full == facts["float32"]?.stringValue, "\(name)")
            let rounded = UnsafeMutableBufferPointer<UInt16>.allocate(capacity: entry.source.elementCount)
            defer { rounded.deallocate() }
            try model.dequantizeBFloat16(name, into: rounded)
            #expect(checksum(UnsafeBufferPointer(rounded)) == facts["bfloat16"]?.stringValue, "\(name)")
        }
    }

    // Skipped where the model is not in the cache.
    @Test(.enabled(if: isHere(smollm2)))
    func smollm2IsWhatTransformersReads() throws {
        try Self.check(Self.smollm2)
        let tokenizer = try GGUFTokenizerMetadata(GGUFFile(path: Self.folder + Self.smollm2))
        #expect(tokenizer.tokens.count == 49_152)
        #expect(tokenizer.merges.count == 48_900)
        #expect(tokenizer.tokens[1] == "<|im_start|>")
        #expect(tokenizer.unknownID == 0)
    }

    // Skipped where the model is not in the cache.
    @Test(.enabled(if: isHere(qwen2)))
    func qwen2IsWhatTransformersReads() throws {
        try Self.check(Self.qwen2)
        let tokenizer = try GGUFTokenizerMetadata(GGUFFile(path: Self.folder + Self.qwen2))
        #expect(tokenizer.tokens.count == 151_936)
        #expect(tokenizer.merges.count == 151_387)
        #expect(tokenizer.eosID == 151_645)
        #expect(tokenizer.addsBOS == false)
    }

    /// Rows of 896 elements, which no super-block fits, among rows that it does.
    // Skipped where the model is not in the cache.
    @Test(.enabled(if: isHere(qwen2)))
    func typesAreChosenAsInAFileOfLlamaCpp() throws {
        let file = try GGUFFile(path: Self.folder + Self.qwen2)
        let facts = GGUFFileType.Facts(layers: 24, isTied: file["output.weight"] == nil, sharesKeys: true)
        // The program that wrote the file counted layers as it met them: 0, 1, 10, 11 …
        var order: [Substring] = []
        for tensor in file.tensors {
            var fields = tensor.name.split(separator: ".")
            if fields.count == 4 {
                if !order.contains(fields[1]) { order.append(fields[1]) }
                fields[1] = Substring(String(try #require(order.firstIndex(of: fields[1]))))
            }
            let type = GGUFFileType.q4_K_M.type(of: fields.joined(separator: "."), shape: tensor.shape, facts)
            #expect(type == tensor.type, "\(tensor.name) \(tensor.shape)")
        }
        #expect(order.prefix(3) == ["0", "1", "10"])
    }

    private static var isDebugBuild: Bool {
        #if DEBUG
            true
        #else
            false
        #endif
    }
}
