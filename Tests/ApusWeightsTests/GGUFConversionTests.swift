import ApusJSON
import ApusTorch
import Foundation
import Testing

@testable import ApusWeights

/// Models written as GGUF and read again.
struct GGUFConversionTests {
    private static func model(_ name: String) throws -> GGUFModel {
        try GGUFModel(GGUFFile(path: fixture("gguf/tiny-\(name).gguf")))
    }

    /// The sizes of a model that leaves none to defaults but the feed-forward width of GPT-2.
    static func sizes(_ config: JSONValue) throws -> GGUFDescription.Sizes {
        func count(_ keys: String...) throws -> Int {
            let counts = keys.compactMap { config[$0]?.intValue }
            return try #require(counts.first)
        }
        let (width, heads) = (try count("hidden_size", "n_embd"), try count("num_attention_heads", "n_head"))
        return GGUFDescription.Sizes(
            vocabulary: try count("vocab_size"), width: width,
            feedForward: config["n_embd"] == nil
                ? try count("intermediate_size") : config["n_inner"]?.intValue ?? 4 * width,
            layers: try count("num_hidden_layers", "n_layer"), heads: heads,
            keyValueHeads: config["num_key_value_heads"]?.intValue ?? heads,
            headSize: config["head_dim"]?.intValue ?? width / heads,
            context: try count("max_position_embeddings", "n_positions"))
    }

    private static func write(
        _ model: GGUFModel, as type: GGUFFileType, config: JSONValue? = nil, to path: String,
        _ change: (String, Tensor) throws -> Tensor = { $1 }
    ) throws {
        let config = config ?? model.config
        let description = try GGUFDescription(config, sizes: sizes(config), type: type, path: path)
        let tensors = try model.tensorNames.map {
            ($0, try change($0, model.tensor($0, dtype: .float32, device: .cpu).tensor))
        }
        try GGUFConversion(tensors, description, type: type, to: path)
            .write(
                general: [("general.name", .string("tiny"))], tokenizer: GGUFTokenizerMetadata(model.file).fields)
    }

    @Test(arguments: ["llama", "qwen2", "qwen3", "gpt2"])
    func readsBackAsItWas(_ name: String) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.gguf"
        let original = try Self.model(name)
        try Self.write(original, as: .f32, to: path)
        let copy = try GGUFModel(GGUFFile(path: path))
        #expect(copy.config == original.config)
        #expect(Set(copy.entries.map(\.name)) == Set(original.entries.map(\.name)))
        for entry in original.entries {
            #expect(copy[entry.name]?.shape == entry.shape)
            #expect(try copy.dequantized(entry.name) == original.dequantized(entry.name), "\(entry.name)")
        }
        #expect(try GGUFTokenizerMetadata(copy.file) == GGUFTokenizerMetadata(original.file))
        // Every key that the converter wrote is there again with its value.
        let added: Set<String> = ["general.file_type", "general.quantization_version"]
        var expected = original.file.metadata
        if name == "qwen3" || name == "gpt2" { expected["general.name"] = .string("tiny") }
        #expect(
            Set(copy.file.metadata.keys).subtracting(expected.keys).subtracting(added).allSatisfy {
                $0.contains("_length")
            })
        for (key, value) in expected { #expect(copy.file.metadata[key] == value, "\(key)") }
    }

    private static let converted = [
        "llama-bias", "llama-head-dim", "llama-rope-linear", "llama-rope-llama3", "llama-rope-yarn", "llama-tied-gqa",
        "llama-untied-mha", "mistral-window", "qwen2-tied-gqa", "qwen2-untied", "qwen3-tied", "gpt2",
    ]

    /// Hyperparameters and blocks are those that llama.cpp's converter writes of the same folder.
    @Test(arguments: converted)
    func isWhatTheConverterWrites(_ name: String) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.gguf"
        let expected = try #require(try JSONValue(parsing: contents(fixture("gguf/converted.json")))[name])
        let config = try JSONValue(parsing: contents(fixture("models/\(name)/config.json")))
        let weights = try WeightsFolder(fixture("models/\(name)")).open()
        let tensors = try weights.tensorNames.map {
            ($0, try weights.tensor($0, dtype: weights.dtype(of: $0), device: .cpu).tensor)
        }
        let description = try GGUFDescription(config, sizes: Self.sizes(config), type: .f16, path: path)
        try GGUFConversion(tensors, description, type: .f16, to: path).write(general: [], tokenizer: [])

        let file = try GGUFFile(path: path)
        var keys = try #require(expected["metadata"]?.objectValue)
        for key in ["general.size_label", "general.type"] { keys[key] = nil }
        #expect(Set(file.metadata.keys) == Set(keys.keys))
        for (key, value) in keys {
            switch try #require(file.metadata[key]) {
            case .integer(let number): #expect(value[1]?.intValue == number, "\(key)")
            case .float(let number): #expect(value[1]?.doubleValue == number, "\(key)")
            case .string(let text): #expect(value[1]?.stringValue == text, "\(key)")
            case let other: Issue.record("\(key) is \(other)")
            }
        }
        let blocks = try #require(expected["tensors"]?.objectValue)
        #expect(Set(file.tensors.map(\.name)) == Set(blocks.keys))
        for tensor in file.tensors {
            let facts = try #require(blocks[tensor.name])
            #expect(facts["type"]?.stringValue == tensor.type.name, "\(tensor.name)")
            #expect(facts["shape"] == .array(tensor.shape.map(JSONValue.int)), "\(tensor.name)")
            // Divisors of frequencies are computed in float32 there.
            guard tensor.name != "rope_freqs.weight" else { continue }
            let sum = file.mappings[0].withUnsafeBytes { bytes in
                RealModelTests.checksum(
                    UnsafeRawBufferPointer(rebasing: bytes[tensor.byteRange]).bindMemory(to: UInt8.self))
            }
            #expect(facts["checksum"]?.stringValue == sum, "\(tensor.name)")
        }
    }

    /// The types of llama.cpp's mixtures, for a model whose rows they fit.
    @Test func mixesAsLlamaCppDoes() {
        func types(_ type: GGUFFileType, _ name: String, columns: Int = 512, layers: Int = 16, tied: Bool = false)
            -> [GGUFTensorType]
        {
            let facts = GGUFFileType.Facts(layers: layers, isTied: tied, sharesKeys: true)
            return (0..<layers).map {
                type.type(of: name.replacing("N", with: "\($0)"), shape: [8, columns], facts)
            }
        }
        // n / 8 = 2, 7n / 8 = 14; of those between, every third.
        let more: Set<Int> = [0, 1, 4, 7, 10, 13, 14, 15]
        for part in ["attn_v", "attn_qkv", "ffn_down", "ffn_down_exps", "ffn_down_shexp"] {
            let name = "blk.N.\(part).weight"
            #expect(types(.q4_K_M, name) == (0..<16).map { more.contains($0) ? .q6_K : .q4_K })
            #expect(types(.q5_K_M, name) == (0..<16).map { more.contains($0) ? .q6_K : .q5_K })
            #expect(Set(types(.q4_0, name)) == [.q4_0])
        }
        #expect(Set(types(.q4_K_M, "blk.N.attn_q.weight")) == [.q4_K])
        #expect(types(.q4_K_M, "blk.N.attn_v.weight", layers: 80).contains(.q5_K))
        #expect(Set(types(.q4_K_M, "token_embd.weight")) == [.q4_K])
        for type in GGUFFileType.allCases where !type.isFloat {
            let head: GGUFTensorType = type == .q8_0 ? .q8_0 : .q6_K
            #expect(Set(types(type, "output.weight")) == [head])
            #expect(Set(types(type, "token_embd.weight", tied: true)) == [head])
            // Rows of 16 fit into no block, rows of 96 only into small ones.
            #expect(Set(types(type, "blk.N.attn_k.weight", columns: 16)) == [.f16])
            #expect(types(type, "blk.N.attn_k.weight", columns: 96)[0].block.elements == 32)
            #expect(Set(types(type, "output.weight", columns: 96)) == [.q8_0])
            #expect(Set(types(type, "blk.N.attn_q_norm.weight")) == [.f32])
            #expect(Set(types(type, "position_embd.weight")) == [.f32])
            #expect(Set(types(type, "blk.N.ffn_gate_inp.weight")) == [.f32])
            #expect(
                type.type(of: "blk.0.attn_q.bias", shape: [512], .init(layers: 1, isTied: true, sharesKeys: false))
                    == .f32)
        }
        #expect(types(.q4_K_M, "blk.N.attn_q.weight", columns: 96)[0] == .q5_0)
        #expect(types(.q5_K_M, "blk.N.attn_q.weight", columns: 96)[0] == .q5_1)
        #expect(types(.q6_K, "blk.N.attn_q.weight", columns: 96)[0] == .q8_0)
    }

    /// The largest error of a type's values, relative to the largest of them.
    @Test(arguments: [(GGUFFileType.f16, 0.0005), (.bf16, 0.004), (.q8_0, 0.01), (.q5_1, 0.04), (.q4_0, 0.13)])
    func roundsNoMoreThanTheTypeDoes(_ type: GGUFFileType, _ bound: Double) throws {
        let folder = try TemporaryFolder()
        let original = try Self.model("llama")
        try Self.write(original, as: type, to: folder.path + "/a.gguf")
        let copy = try GGUFModel(GGUFFile(path: folder.path + "/a.gguf"))
        #expect(copy.file.metadata["general.file_type"] == .integer(Int(type.number)))
        #expect(copy.file.metadata["general.quantization_version"] == .integer(2))
        for entry in original.entries {
            let (before, after) = (try original.dequantized(entry.name), try copy.dequantized(entry.name))
            let largest = before.map(abs).max() ?? 0
            let error = zip(before, after).map { abs($0 - $1) }.max() ?? 0
            #expect(Double(error / largest) <= (entry.shape.count == 1 ? 0 : bound), "\(entry.name)")
        }
    }

    @Test func saysHowPositionsAreScaled() throws {
        let folder = try TemporaryFolder()
        let original = try Self.model("llama")
        func read(_ scaling: JSONValue, _ key: String = "rope_scaling") throws -> JSONValue? {
            var config = try #require(original.config.objectValue)
            config[key] = scaling
            if key == "rope_parameters" { config["rope_theta"] = nil }
            let path = folder.path + "/" + UUID().uuidString
            try Self.write(original, as: .f32, config: .object(config), to: path)
            let read = try GGUFModel(GGUFFile(path: path)).config
            #expect(read["rope_theta"] == 50000.0)
            return read["rope_scaling"]
        }
        #expect(try read(["rope_type": "default"]) == nil)
        #expect(try read(["rope_type": "default", "rope_theta": 50000.0], "rope_parameters") == nil)
        #expect(try read(["type": "linear", "factor": 4.0]) == ["rope_type": "linear", "factor": 4.0])
        let yarn: JSONValue = [
            "rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 128, "beta_fast": 32.0,
            "beta_slow": 1.0,
        ]
        #expect(try read(yarn) == yarn)
        // Without a factor it is the length over the one the model was first made for.
        #expect(
            try read(["rope_type": "yarn", "original_max_position_embeddings": 64])?["factor"] == 4.0)
        let llama3: JSONValue = [
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        ]
        // Half of the four pairs of this head turn too fast to be scaled; the base makes the others slow enough.
        var config = try #require(original.config.objectValue)
        config["rope_scaling"] = llama3
        config["rope_theta"] = 500_000.0
        let path = folder.path + "/llama3"
        try Self.write(original, as: .f32, config: .object(config), to: path)
        let file = try GGUFFile(path: path)
        #expect(
            try file.dequantized("rope_freqs.weight").map { ($0 * 1e4).rounded() } == [10_000, 10_000, 26_945, 80_000])
        #expect(try GGUFModel(file).config["rope_scaling"] == llama3)
    }

    @Test func refusesWhatAFileCannotSay() throws {
        let folder = try TemporaryFolder()
        func refusal(_ name: String, _ key: String, _ value: JSONValue) throws -> String {
            let original = try Self.model(name)
            var config = try #require(original.config.objectValue)
            config[key] = value
            do {
                try Self.write(original, as: .f32, config: .object(config), to: folder.path + "/a.gguf")
                return ""
            } catch let error as WeightsError {
                return error.description
            }
        }
        #expect(try refusal("llama", "model_type", "mamba").contains("llama, mistral, qwen2, qwen3, gpt2"))
        #expect(try refusal("qwen2", "use_sliding_window", true).contains("use_sliding_window"))
        #expect(try refusal("gpt2", "activation_function", "relu").contains("activation_function"))
        #expect(try refusal("gpt2", "scale_attn_by_inverse_layer_idx", true).contains("cannot say"))
        #expect(try refusal("llama", "rope_scaling", ["rope_type": "dynamic", "factor": 2.0]).contains("dynamic"))
        #expect(try refusal("llama", "rope_scaling", ["rope_type": "linear"]).contains("factor"))
        #expect(
            try refusal("llama", "rope_scaling", ["rope_type": "yarn", "factor": 2.0, "attention_factor": 1.0])
                .contains("attention_factor"))
        #expect(try folder.names() == [])
    }

    @Test func namesTheTensorAtFault() throws {
        let folder = try TemporaryFolder()
        let original = try Self.model("qwen2")
        let name = "model.layers.1.mlp.up_proj.weight"
        for (value, type, word) in [
            (Double.nan, GGUFFileType.f32, "nan"), (70_000, .f16, "BF16"), (70_000, .q8_0, "BF16"),
        ] {
            let error = #expect(throws: WeightsError.self) {
                try Self.write(original, as: type, to: folder.path + "/a.gguf") { tensor, values in
                    tensor == name ? try values * 0 + value : values
                }
            }
            #expect(error?.item?.contains("blk.1.ffn_up.weight") == true)
            #expect(error?.description.contains(word) == true, "\(String(describing: error))")
        }
        let path = folder.path + "/a.gguf"
        let description = try GGUFDescription(
            original.config, sizes: Self.sizes(original.config), type: .f32, path: path)
        #expect(throws: WeightsError.self) {
            try GGUFConversion(
                [("model.layers.0.mlp.extra.weight", Tensor.zeros([2, 2]))], description, type: .f32, to: path)
        }
        #expect(try folder.names() == [])
    }

    @Test func largeTablesAreWrittenInPieces() throws {
        let folder = try TemporaryFolder()
        let original = try Self.model("llama")
        let rows = (1 << 24) / 32 + 5
        try Self.write(original, as: .f16, to: folder.path + "/a.gguf") { name, values in
            name == "model.embed_tokens.weight"
                ? try Tensor((0..<rows).map { Float($0 % 2048) }, shape: [rows, 1]).expanded([rows, 32]) : values
        }
        let copy = try GGUFFile(path: folder.path + "/a.gguf")
        let table = try copy.tensor(named: "token_embd.weight")
        #expect(table.shape == [rows, 32] && table.byteRange.count == rows * 64)
        let bytes = copy.mappings[0].withUnsafeBytes { bytes in
            [0, 1, 2047, rows - 6, rows - 5, rows - 1].map { (row: Int) -> Float in
                float(
                    halfBits: bytes.loadUnaligned(
                        fromByteOffset: table.byteRange.lowerBound + row * 64 + 62, as: UInt16.self))
            }
        }
        #expect(bytes == [0, 1, 2047, rows - 6, rows - 5, rows - 1].map { Float($0 % 2048) })
    }
}
