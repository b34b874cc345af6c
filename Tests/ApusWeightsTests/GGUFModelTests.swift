import ApusJSON
import Foundation
import Testing

@testable import ApusWeights

struct GGUFModelTests {
    private static let hidden = 8

    /// A llama of one layer, 2 heads of width 4 and 1 key-value head, in full precision.
    private static func llama(_ change: (inout GGUFBuilder) -> Void = { _ in }) -> GGUFBuilder {
        var builder = GGUFBuilder()
        builder.add("general.architecture", "llama")
        builder.add("llama.block_count", 1)
        builder.add("llama.context_length", 64)
        builder.add("llama.embedding_length", hidden)
        builder.add("llama.feed_forward_length", 12)
        builder.add("llama.attention.head_count", 2)
        builder.add("llama.attention.head_count_kv", 1)
        builder.add("llama.attention.layer_norm_rms_epsilon", Float(1e-5))
        builder.add(tensor: "token_embd.weight", shape: [3, hidden], floats: Array(repeating: 1, count: 3 * hidden))
        change(&builder)
        return builder
    }

    private static func model(_ builder: GGUFBuilder, in folder: TemporaryFolder) throws -> GGUFModel {
        try GGUFModel(GGUFFile(path: folder.file(UUID().uuidString, builder.bytes())))
    }

    private static func json(_ path: String) throws -> JSONValue {
        try JSONValue(parsing: contents(path))
    }

    /// Checks that `config` says all that `expected` says.
    private static func check(_ config: JSONValue, covers expected: JSONValue?) throws {
        for (key, value) in try #require(expected?.objectValue) {
            #expect(config[key] == value, "\(key)")
        }
    }

    @Test(arguments: ["llama", "qwen2", "qwen3", "gpt2"])
    func isWhatTransformersReads(_ architecture: String) throws {
        let model = try GGUFModel(GGUFFile(path: fixture("gguf/tiny-\(architecture).gguf")))
        #expect(model.architecture.name == architecture)
        #expect(model.unusedKeys == [])
        try Self.check(model.config, covers: Self.json(fixture("gguf/tiny-\(architecture).json")))

        let expected = try SafetensorsFile(path: fixture("gguf/tiny-\(architecture).safetensors"))
        #expect(Set(model.entries.map(\.name)) == Set(expected.entries.map(\.name)))
        for entry in expected.entries {
            #expect(model[entry.name]?.shape == entry.shape)
            let bits = try expected.withUnsafeBytes(of: entry) { Array($0.bindMemory(to: UInt32.self)) }
            #expect(try model.dequantized(entry.name).map(\.bitPattern) == bits, "\(entry.name)")
        }
    }

    @Test func permutesVectorsToo() throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(
            Self.llama { builder in
                builder.add(tensor: "blk.0.attn_q.bias", shape: [8], floats: [0, 1, 2, 3, 4, 5, 6, 7])
                builder.add(tensor: "blk.0.attn_v.bias", shape: [4], floats: [0, 1, 2, 3])
            }, in: folder)
        #expect(try model.dequantized("model.layers.0.self_attn.q_proj.bias") == [0, 2, 1, 3, 4, 6, 5, 7])
        #expect(try model.dequantized("model.layers.0.self_attn.v_proj.bias") == [0, 1, 2, 3])
        #expect(model.config["attention_bias"] == true)
        var bits = [UInt16](repeating: 0, count: 8)
        try bits.withUnsafeMutableBufferPointer {
            try model.dequantizeBFloat16("model.layers.0.self_attn.q_proj.bias", into: $0)
        }
        #expect(bits.prefix(4) == [0, 0x4000, 0x3F80, 0x4040])
        #expect(throws: WeightsError.self) { try model.dequantized("lm_head.weight") }
    }

    @Test func refusesToReorderBlocksThatSpanRows() throws {
        let folder = try TemporaryFolder()
        let model = try Self.model(
            Self.llama { $0.add(tensor: "blk.0.attn_q.bias", type: 8, shape: [32], [UInt8](repeating: 0, count: 34)) },
            in: folder)
        #expect(throws: WeightsError.self) { try model.dequantized("model.layers.0.self_attn.q_proj.bias") }
    }

    @Test func readsRopeScaling() throws {
        let folder = try TemporaryFolder()
        let linear = try Self.model(
            Self.llama { builder in
                builder.add("llama.rope.scaling.type", "linear")
                builder.add("llama.rope.scaling.factor", Float(4))
                builder.add("llama.something.new", 1)
            }, in: folder)
        #expect(linear.config["rope_scaling"] == ["rope_type": "linear", "factor": 4.0])
        #expect(linear.config["rope_theta"] == 10000.0)
        #expect(linear.unusedKeys == ["llama.something.new"])
        let yarn = try Self.model(
            Self.llama { builder in
                builder.add("llama.rope.scaling.type", "yarn")
                builder.add("llama.rope.scaling.factor", Float(4))
                builder.add("llama.rope.scaling.original_context_length", 16)
            }, in: folder)
        #expect(yarn.config["rope_scaling"]?["original_max_position_embeddings"] == 16)
        #expect(throws: WeightsError.self) {
            try Self.model(Self.llama { $0.add("llama.rope.scaling.type", "longrope") }, in: folder)
        }
    }

    @Test func recognisesTheRopeScalingOfLlama3() throws {
        let folder = try TemporaryFolder()
        // The base frequencies divided by those of ROPE_INIT_FUNCTIONS["llama3"] in transformers, for heads of width 8,
        // theta 500,000 and factor 8.
        func build(_ divisors: [Float]) -> GGUFBuilder {
            Self.llama { builder in
                builder.add("llama.attention.key_length", 8)
                builder.add("llama.rope.freq_base", Float(500_000))
                builder.add(tensor: "rope_freqs.weight", shape: [divisors.count], floats: divisors)
            }
        }
        let scaled = try Self.model(build([1, 1, 2.6945304013878557, 8]), in: folder)
        #expect(scaled.config["rope_scaling"]?["rope_type"] == "llama3")
        #expect(scaled.config["rope_scaling"]?["factor"] == 8.0)
        #expect(scaled.entries.map(\.name) == ["model.embed_tokens.weight"])
        #expect(try Self.model(build([1, 1, 1, 1]), in: folder).config["rope_scaling"] == nil)
        #expect(throws: WeightsError.self) { try Self.model(build([1, 1, 3, 8]), in: folder) }
        #expect(throws: WeightsError.self) { try Self.model(build([1, 8]), in: folder) }
    }

    private static let malformations: [@Sendable (inout GGUFBuilder) -> Void] = [
        { $0.add(tensor: "blk.0.attn_q_norm.weight", shape: [1], floats: [1]) },
        { $0.add(tensor: "blk.00.attn_q.weight", shape: [8, 1], floats: Array(repeating: 1, count: 8)) },
        { $0.add(tensor: "blk.-1.attn_q.weight", shape: [8, 1], floats: Array(repeating: 1, count: 8)) },
        { $0.add(tensor: "blk.0.attn_q.weight", shape: [6, 1], floats: Array(repeating: 1, count: 6)) },
        { $0.add(tensor: "blk.0.attn_k.weight", shape: [], floats: [1]) },
        { $0.add("llama.attention.key_length", 0) },
        { $0.add("llama.rope.dimension_count", 3) },
        { $0.add("llama.expert_count", 8) },
        { $0.add("llama.rope.freq_base", "high") },
    ]

    @Test(arguments: malformations.indices)
    func refuses(_ index: Int) throws {
        let folder = try TemporaryFolder()
        _ = try Self.model(Self.llama(), in: folder)
        #expect(throws: WeightsError.self) { try Self.model(Self.llama(Self.malformations[index]), in: folder) }
    }

    /// A file of another family, one layer, 2 heads of width 4.
    private static func family(_ name: String, _ change: (inout GGUFBuilder) -> Void) -> GGUFBuilder {
        var builder = GGUFBuilder()
        builder.add("general.architecture", name)
        for (key, value) in [
            ("block_count", 1), ("context_length", 64), ("embedding_length", hidden), ("feed_forward_length", 12),
            ("attention.head_count", 2), ("attention.head_count_kv", 1),
        ] { builder.add("\(name).\(key)", value) }
        builder.add("\(name).attention.layer_norm_rms_epsilon", Float(1e-5))
        builder.add(tensor: "token_embd.weight", shape: [3, hidden], floats: Array(repeating: 1, count: 3 * hidden))
        change(&builder)
        return builder
    }

    private static func add(_ name: String, _ shape: [Int], to builder: inout GGUFBuilder) {
        builder.add(tensor: name, shape: shape, floats: Array(repeating: 1, count: shape.reduce(1, *)))
    }

    private typealias Change = @Sendable (inout GGUFBuilder) -> Void

    /// What every file of a family has, what makes it sound, and what spoils it.
    private struct Family {
        let name: String
        let start: Change
        let sound: Change
        let spoils: [Change]
    }

    private static let experts = Family(
        name: "qwen3moe",
        start: {
            $0.add("qwen3moe.expert_used_count", 1)
            add("blk.0.ffn_gate_exps.weight", [2, 6, 8], to: &$0)
        },
        sound: { $0.add("qwen3moe.expert_count", 2) },
        spoils: [
            { _ in },
            { $0.add("qwen3moe.expert_count", 1 << 31) },
            { $0.add("qwen3moe.expert_count", 3) },
            { $0.add("qwen3moe.expert_count", 0) },
            {
                $0.add("qwen3moe.expert_count", 2)
                $0.add("qwen3moe.expert_feed_forward_length", 7)
            },
            {
                $0.add("qwen3moe.expert_count", 2)
                add("blk.0.ffn_down_exps.weight", [16, 6], to: &$0)
            },
            {
                $0.add("qwen3moe.expert_count", 2)
                add("blk.0.ffn_gate.weight", [12, 8], to: &$0)
            },
        ])

    private static let partlyTurned = Family(
        name: "phi3", start: { $0.add("phi3.rope.scaling.original_context_length", 16) }, sound: { _ in },
        spoils: [
            { $0.add("phi3.rope.dimension_count", 3) },
            { $0.add("phi3.rope.dimension_count", 0) },
            { $0.add("phi3.rope.dimension_count", 6) },
            { $0.add("phi3.attention.sliding_window", "wide") },
            { add("rope_factors_long.weight", [2], to: &$0) },
            {
                add("rope_factors_long.weight", [2], to: &$0)
                add("rope_factors_short.weight", [3], to: &$0)
            },
        ])

    private static let scaled = Family(
        name: "granite", start: { $0.add("granite.logit_scale", Float(2)) },
        sound: {
            $0.add("granite.attention.scale", Float(0.5))
            $0.add(key: "granite.rope.scaling.finetuned", type: 7, [1])
        },
        spoils: [
            { _ in }, { $0.add("granite.attention.scale", Float.nan) },
            {
                $0.add("granite.attention.scale", Float(0.5))
                $0.add(key: "granite.rope.scaling.finetuned", type: 7, [0])
            },
        ])

    private static let windowed = Family(
        name: "gemma3", start: { _ in }, sound: { $0.add("gemma3.attention.sliding_window", 4) },
        spoils: [
            { _ in },
            { $0.add("gemma3.attention.sliding_window", 0) },
            {
                $0.add("gemma3.attention.sliding_window", 4)
                $0.add("gemma3.attention.sliding_window_pattern", 0)
            },
        ])

    private static let olmo2 = Family(
        name: "olmo2", start: { _ in }, sound: { _ in },
        spoils: [
            { $0.add("olmo2.attention.sliding_window", 4) },
            { add("rope_factors_long.weight", [2], to: &$0) },
            { add("blk.0.attn_norm.weight", [8], to: &$0) },
        ])

    @Test func refusesWhatAFamilyDoesNotHave() throws {
        let folder = try TemporaryFolder()
        func read(_ family: Family, _ change: Change) throws -> GGUFModel {
            try Self.model(
                Self.family(family.name) {
                    family.start(&$0)
                    change(&$0)
                }, in: folder)
        }
        for family in [Self.experts, Self.partlyTurned, Self.scaled, Self.windowed, Self.olmo2] {
            #expect(try read(family, family.sound).architecture.name == family.name)
            for (index, spoil) in family.spoils.enumerated() {
                #expect(throws: WeightsError.self, "\(family.name) \(index)") { try read(family, spoil) }
            }
        }
    }

    /// A gate that a file keeps as a vector is a matrix of one row; norms of Gemma are one more in the file.
    @Test func bringsPartsIntoTheFormOfTheModel() throws {
        let folder = try TemporaryFolder()
        let moe = try Self.model(
            Self.family("qwen2moe") {
                $0.add("qwen2moe.expert_count", 2)
                $0.add("qwen2moe.expert_used_count", 1)
                Self.add("blk.0.ffn_gate_exps.weight", [2, 6, 8], to: &$0)
                Self.add("blk.0.ffn_gate_shexp.weight", [5, 8], to: &$0)
                Self.add("blk.0.ffn_gate_inp_shexp.weight", [8], to: &$0)
            }, in: folder)
        #expect(moe["model.layers.0.mlp.shared_expert_gate.weight"]?.shape == [1, 8])
        #expect(moe.config["moe_intermediate_size"] == 6 && moe.config["shared_expert_intermediate_size"] == 5)
        #expect(moe.config["norm_topk_prob"] == false)
        let gemma = try Self.model(
            Self.family("gemma") { $0.add(tensor: "output_norm.weight", shape: [3], floats: [1, 1.5, 0]) }, in: folder)
        #expect(try gemma.dequantized("model.norm.weight") == [0, 0.5, -1])
        var bits = [UInt16](repeating: 0, count: 3)
        try bits.withUnsafeMutableBufferPointer { try gemma.dequantizeBFloat16("model.norm.weight", into: $0) }
        #expect(bits == [0, 0x3F00, 0xBF80])
        var short = [Float](repeating: 0, count: 2)
        #expect(throws: WeightsError.self) {
            try short.withUnsafeMutableBufferPointer { try gemma.dequantize("model.norm.weight", into: $0) }
        }
    }

    @Test func refusesOtherArchitectures() throws {
        let folder = try TemporaryFolder()
        var builder = GGUFBuilder()
        #expect(throws: WeightsError.self) { try Self.model(builder, in: folder) }
        builder.add("general.architecture", "mamba")
        #expect(throws: WeightsError.self) { try Self.model(builder, in: folder) }
    }

    @Test func survivesRandomMutations() throws {
        let folder = try TemporaryFolder()
        let original = Self.llama {
            $0.add(tensor: "blk.0.attn_q.weight", shape: [8, 8], floats: Array(repeating: 1, count: 64))
        }.bytes()
        var generator = SeededGenerator(state: 3)
        var accepted = 0
        for iteration in 0..<2_000 {
            // A new name each time: some file systems flush a file that is written over.
            let path = try folder.file("\(iteration).gguf", generator.mutate(original, within: original.count))
            let isSound = try accepts {
                let model = try GGUFModel(GGUFFile(path: path))
                for entry in model.entries { _ = try model.dequantized(entry.name) }
            }
            if isSound { accepted += 1 }
        }
        #expect((1..<2_000).contains(accepted))
    }

    @Test func readsTheTokenizer() throws {
        let tokenizer = try GGUFTokenizerMetadata(GGUFFile(path: fixture("gguf/tiny-llama.gguf")))
        #expect(tokenizer.model == "gpt2")
        #expect(tokenizer.pre == "qwen2")
        #expect(tokenizer.tokens == (0..<40).map { "t\($0)" })
        #expect(tokenizer.tokenTypes == Array(repeating: 1, count: 39) + [3])
        #expect(tokenizer.merges == ["t 0", "t 1"])
        #expect(tokenizer.scores.isEmpty)
        #expect((tokenizer.bosID, tokenizer.eosID, tokenizer.paddingID) == (1, 2, 0))
        #expect(tokenizer.unknownID == nil)
        #expect(tokenizer.addsBOS == false)
        #expect(tokenizer.addsEOS == nil)
        #expect(tokenizer.chatTemplate == "{{ messages }}")
    }

    @Test func refusesATokenizerThatContradictsItself() throws {
        let folder = try TemporaryFolder()
        func tokenizer(_ change: (inout GGUFBuilder) -> Void) throws -> GGUFTokenizerMetadata {
            var builder = GGUFBuilder()
            builder.add("tokenizer.ggml.model", "gpt2")
            let tokens = littleEndian(UInt32(8)) + littleEndian(UInt64(1)) + GGUFBuilder.string("a")
            builder.add(key: "tokenizer.ggml.tokens", type: 9, tokens)
            change(&builder)
            return try GGUFTokenizerMetadata(GGUFFile(path: folder.file("a.gguf", builder.bytes())))
        }
        #expect(try tokenizer { $0.add("tokenizer.ggml.bos_token_id", 0) }.bosID == 0)
        #expect(throws: WeightsError.self) { try tokenizer { $0.add("tokenizer.ggml.bos_token_id", 1) } }
        #expect(throws: WeightsError.self) { try tokenizer { $0.add("tokenizer.ggml.merges", "a b") } }
        #expect(throws: WeightsError.self) {
            try tokenizer {
                let types = littleEndian(UInt32(5)) + littleEndian(UInt64(2)) + littleEndian(UInt64(0))
                $0.add(key: "tokenizer.ggml.token_type", type: 9, types)
            }
        }
    }
}
