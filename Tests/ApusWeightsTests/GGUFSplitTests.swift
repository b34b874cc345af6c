import Foundation
import Testing

@testable import ApusWeights

/// Models that llama.cpp has cut into parts.
struct GGUFSplitTests {
    private static func part(_ number: Int, of count: Int, tensors: Int? = nil) -> GGUFBuilder {
        var builder = GGUFBuilder()
        builder.add(key: "split.no", type: 2, littleEndian(UInt16(number)))
        builder.add(key: "split.count", type: 2, littleEndian(UInt16(count)))
        builder.add(key: "split.tensors.count", type: 5, littleEndian(Int32(tensors ?? count)))
        if number == 0 { builder.add("general.architecture", "llama") }
        return builder
    }

    private static func name(_ number: Int, of count: Int) -> String { "m-0000\(number)-of-0000\(count).gguf" }

    /// Three parts of which each holds the tensor `t0`, `t1`, `t2` with its number as value.
    private static func write(
        to folder: TemporaryFolder, except missing: Int? = nil, change: (Int, inout GGUFBuilder) -> Void = { _, _ in }
    ) throws {
        for number in 0..<3 where number != missing {
            var builder = part(number, of: 3)
            builder.add(tensor: "t\(number)", shape: [4], floats: Array(repeating: Float(number), count: 4))
            change(number, &builder)
            _ = try folder.file(name(number + 1, of: 3), builder.bytes())
        }
    }

    @Test(arguments: 1...3) func anyPartOpensAll(given: Int) throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        let file = try GGUFFile(path: "\(folder.path)/\(Self.name(given, of: 3))")
        #expect(file.tensors.map(\.name) == ["t0", "t1", "t2"])
        #expect(try file.requiredValue("general.architecture", \.stringValue) == "llama")
        for number in 0..<3 {
            #expect(try file.dequantized("t\(number)") == Array(repeating: Float(number), count: 4))
        }
    }

    /// What PyPI `gguf` has split is the model it was.
    @Test func aSplitModelIsTheWholeOne() throws {
        let whole = try GGUFModel(GGUFFile(path: fixture("gguf/tiny-qwen2.gguf")))
        let split = try GGUFModel(GGUFFile(path: fixture("gguf/tiny-qwen2-split-00002-of-00003.gguf")))
        #expect(split.config == whole.config)
        #expect(split.entries.map(\.name).sorted() == whole.entries.map(\.name).sorted())
        for entry in whole.entries {
            #expect(try split.dequantized(entry.name) == whole.dequantized(entry.name), "\(entry.name)")
        }
        #expect(try GGUFTokenizerMetadata(split.file) == GGUFTokenizerMetadata(whole.file))
    }

    private static func error(_ folder: TemporaryFolder, _ name: String = name(1, of: 3)) -> String {
        #expect(throws: WeightsError.self) { try GGUFFile(path: "\(folder.path)/\(name)") }?.description ?? ""
    }

    @Test func aMissingPartIsNamed() throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder, except: 1)
        let text = Self.error(folder)
        #expect(text.contains("m-00002-of-00003.gguf") && text.contains("download all parts"))
    }

    @Test func aPartOfAnotherNameIsNamed() throws {
        let folder = try TemporaryFolder()
        _ = try folder.file("model.gguf", Self.part(0, of: 3).bytes())
        #expect(Self.error(folder, "model.gguf").contains("…-00001-of-00003.gguf"))
    }

    @Test func partsOfDifferentModelsAreNamed() throws {
        let folder = try TemporaryFolder()
        try Self.write(to: folder)
        _ = try folder.file(Self.name(2, of: 3), Self.part(2, of: 3).bytes())
        #expect(Self.error(folder).contains("is not part 2 of 3"))
        _ = try folder.file(Self.name(2, of: 3), Self.part(1, of: 3).bytes())
        #expect(Self.error(folder).contains("2 tensors instead of 3"))
        try Self.write(to: folder) { number, builder in
            if number == 2 { builder.add(tensor: "t0", shape: [1], floats: [0]) }
        }
        #expect(Self.error(folder).contains("in another part too"))
    }

    @Test(arguments: [
        ("a-00001-of-00002.gguf", "a", 1, 2), ("/x/b-c-00003-of-00012.GGUF", "/x/b-c", 3, 12),
    ])
    func namesOfParts(name: String, stem: String, number: Int, count: Int) throws {
        let parts = try #require(GGUFSplit.parts(of: name))
        #expect(parts == (stem, number, count))
    }

    @Test(arguments: ["a.gguf", "a-1-of-2.gguf", "a-00001-of-00002.bin", "a-0000x-of-00002.gguf", "", ".gguf"])
    func namesOfWholeFiles(name: String) { #expect(GGUFSplit.parts(of: name) == nil) }
}

/// Claims of a GGUF file that would be paid for in time or memory before they are found to be wrong.
struct GGUFClaimsTests {
    private static func refusal(_ change: (inout GGUFBuilder) -> Void) throws -> String {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder()
        builder.add("general.architecture", "llama")
        for (key, value) in [("context_length", 64), ("feed_forward_length", 12), ("attention.head_count", 2)] {
            builder.add("llama.\(key)", value)
        }
        builder.add("llama.attention.layer_norm_rms_epsilon", Float(1e-5))
        builder.add(tensor: "token_embd.weight", shape: [3, 8], floats: Array(repeating: 1, count: 24))
        change(&builder)
        let path = try folder.file("m.gguf", builder.bytes())
        return #expect(throws: WeightsError.self) { try GGUFModel(GGUFFile(path: path)) }?.description ?? ""
    }

    @Test func layersThatTheFileDoesNotHold() throws {
        let text = try Self.refusal {
            $0.add("llama.block_count", 1 << 30)
            $0.add("llama.embedding_length", 8)
        }
        #expect(text.contains("block_count") && text.contains("1073741824 layers"))
    }

    @Test func aWidthThatTheEmbeddingDoesNotHave() throws {
        let text = try Self.refusal {
            $0.add("llama.block_count", 1)
            $0.add("llama.embedding_length", 1 << 30)
        }
        #expect(text.contains("embedding_length") && text.contains("rows of 8"))
    }

    /// An array over the weights of a large file would take eight times its bytes.
    @Test func metadataEndsBeforeTheWeights() throws {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder()
        builder.add(key: "a", type: 9, littleEndian(UInt32(0)) + littleEndian(UInt64(80 << 20)))
        let path = try folder.file("m.gguf", builder.bytes())
        try #require(truncate(path, 100 << 20) == 0)
        let error = #expect(throws: WeightsError.self) { try GGUFFile(path: path) }
        #expect(error?.description.contains("array elements") == true)
    }
}
