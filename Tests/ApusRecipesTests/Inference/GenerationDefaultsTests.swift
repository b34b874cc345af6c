import Foundation
import Testing

@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusRecipes
@testable import ApusTorch
@testable import ApusWeights

struct GenerationDefaultsTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Fixtures/generation")

    static func defaults(_ file: JSONValue?, config: JSONValue = [:]) throws -> GenerationDefaults {
        try GenerationDefaults(file?.objectValue, config: config.objectValue ?? [:], vocabularySize: 96)
    }

    /// The scores after the processors that `generate` of transformers makes of the same file.
    @Test func filesChangeScoresAsInTransformers() throws {
        let file = try JSONValue(parsing: Data(contentsOf: Self.root.appendingPathComponent("configs.json")))
        let tensors = try SafetensorsFile(path: Self.root.appendingPathComponent("configs.safetensors").path)
        let logits: [Float] = try tensors.tensor("scores", dtype: .float32, device: .cpu).tensor.values()
        func ids(_ key: String) -> [Int32] { (file[key]?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }
        let configs = file["configs"]?.arrayValue ?? []
        #expect(configs.count == 29)
        for (number, config) in configs.enumerated() {
            var json = config.objectValue ?? [:]
            json["eos_token_id"] = file["eosTokenIDs"]
            let defaults = try Self.defaults(.object(json))
            #expect(defaults.notices.isEmpty)
            let sampling = Answering.sampling(InferSettings(model: "m"), defaults)
            for (name, answer) in [("answer", ids("answer")), ("begin", [])] {
                let place = SamplingPlace(prompt: ids("prompt"), answer: answer, endTokens: defaults.endTokens)
                var scores = logits
                sampling.processors.process(&scores, at: place)
                if sampling.temperature > 0 {
                    let left = try sampling.candidates(Tensor(scores))
                    scores = Array(repeating: -.infinity, count: scores.count)
                    for (id, score) in zip(left.ids, left.scores) { scores[Int(id)] = score }
                }
                let wanted: [Float] =
                    try tensors.tensor("\(name).\(number)", dtype: .float32, device: .cpu).tensor.values()
                let worst = zip(scores, wanted).map { $0 == $1 ? 0 : abs($0 - $1) }.max() ?? .infinity
                #expect(worst <= 1e-5, "\(config.serialized()) at \(name)")
            }
        }
    }

    @Test func withoutAFileTheLikeliestTokenIsTaken() throws {
        let defaults = try Self.defaults(nil, config: ["eos_token_id": [1, 2]])
        #expect(!defaults.samples)
        #expect(defaults.endTokens == [1, 2])
        let sampling = Answering.sampling(InferSettings(model: "m"), defaults)
        #expect(sampling.isGreedy && sampling.temperature == 0)
    }

    /// Encoders' `config.json` is full of them.
    @Test func nullIsAsGoodAsAbsent() throws {
        var nulls: JSONObject = [:]
        for key in ["eos_token_id", "stop_strings", "do_sample", "max_new_tokens", "temperature", "early_stopping"] {
            nulls[key] = JSONValue.null
        }
        let (given, absent) = (try Self.defaults(.object(nulls)), try Self.defaults([:]))
        #expect(given.endTokens.isEmpty && given.stopStrings.isEmpty && !given.samples && given.notices.isEmpty)
        #expect(given.maximumNewTokens == nil && given.sampling == absent.sampling)
        #expect(try Self.defaults(nil, config: .object(nulls)).endTokens.isEmpty)
    }

    /// ms-swift's rules for flags beside a file.
    @Test(
        arguments: [
            (["do_sample": false, "temperature": 0.6], nil, 0, 50),
            (["do_sample": true], nil, 1, 50),
            (["do_sample": true, "temperature": 0.6, "top_k": 20], nil, 0.6, 20),
            (["do_sample": true, "temperature": 0.6], 0, 0, 50),
            (["do_sample": false, "temperature": 0.6], 0.7, 0.7, 50),
            ([:], 0.7, 0.7, 50),
            (["do_sample": true, "top_k": 0], nil, 1, nil),
        ] as [(JSONValue, Double?, Double, Int?)])
    func flagsOverFiles(file: JSONValue, flag: Double?, temperature: Double, topK: Int?) throws {
        var settings = InferSettings(model: "m")
        settings.generation.temperature = flag
        let sampling = Answering.sampling(settings, try Self.defaults(file))
        #expect(sampling.temperature == temperature)
        #expect(sampling.topK == topK)
    }

    /// What is 0 in the scores' 32 bits is no number to divide them by.
    @Test func temperaturesOfNothing() throws {
        var settings = InferSettings(model: "m")
        settings.generation.temperature = 0x1p-1063
        let sampling = Answering.sampling(settings, try Self.defaults([:]))
        #expect(sampling.isGreedy && sampling.temperature == 0)
    }

    @Test(arguments: ["[]", "1", "null"]) func aFileThatIsNoObject(text: String) throws {
        let folder = try TinyModelFolder.chat(files: ["generation_config.json": text])
        let error = #expect(throws: ModelError.self) { try LanguageModel(folder.path).generation() }
        #expect(error?.description.contains("generation_config.json is no JSON object") == true)
        var settings = InferSettings(model: folder.path)
        settings.hardware.device = .cpu
        settings.question = "a"
        #expect(throws: ModelError.self) { try Inference(settings) }
    }

    @Test func otherFlagsWin() throws {
        var settings = InferSettings(model: "m")
        settings.generation.temperature = 1
        settings.generation.topK = -1
        settings.generation.topP = 0.5
        settings.generation.repetitionPenalty = 1.1
        let file: JSONValue = ["do_sample": true, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.5]
        let sampling = Answering.sampling(settings, try Self.defaults(file))
        #expect(sampling.topK == nil)
        #expect(sampling.topP == 0.5)
        #expect(sampling.processors.repetitionPenalty == 1.1)
    }

    @Test func everyEndCounts() throws {
        let file: JSONValue = ["eos_token_id": [5, 6], "stop_strings": ["\nUser:", "###"], "max_new_tokens": 9]
        let defaults = try Self.defaults(file, config: ["eos_token_id": 7])
        #expect(defaults.endTokens == [5, 6, 7])
        #expect(defaults.stopStrings == ["\nUser:", "###"])
        #expect(defaults.maximumNewTokens == 9)
        #expect(try Self.defaults(["eos_token_id": -1, "stop_strings": "x"]).endTokens.isEmpty)
    }

    @Test func everyEndOfAGGUFFileCounts() throws {
        let folder = try TemporaryFolder()
        var bytes = Data("GGUF".utf8)
        func add(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        func addKey(_ name: String, type: UInt32) {
            let key = "tokenizer.ggml.\(name)"
            add(UInt64(key.utf8.count))
            bytes += key.utf8
            add(type)
        }
        let (uint32, array): (UInt32, UInt32) = (4, 9)
        add(UInt32(3))
        add(UInt64(0))  // tensors
        add(UInt64(4))  // keys
        for (name, id) in [("eos_token_id", 5), ("eot_token_id", 6), ("eom_token_id", 7)] as [(String, UInt32)] {
            addKey(name, type: uint32)
            add(id)
        }
        addKey("eos_token_ids", type: array)
        add(uint32)
        add(UInt64(2))
        add(UInt32(8))
        add(UInt32(9))
        let path = "\(folder.path)/ends.gguf"
        try bytes.write(to: URL(fileURLWithPath: path))
        #expect(try GenerationDefaults.endTokens(of: GGUFFile(path: path)) == [5, 6, 7, 8, 9])
    }

    /// Every key is used, known to be harmless, or named.
    @Test func whatIsNotDoneIsNamed() throws {
        let harmless: JSONValue = [
            "num_beams": 1, "length_penalty": 1.0, "early_stopping": false, "use_cache": true, "pad_token_id": 0,
            "bos_token_id": 1, "transformers_version": "5.0.0", "guidance_scale": nil, "num_return_sequences": 1,
            "output_scores": false, "diversity_penalty": 0.0,
        ]
        #expect(try Self.defaults(harmless).notices.isEmpty)
        let notices = try Self.defaults(["num_beams": 4, "chat_format": "chatml", "max_length": 2048, "top_n": 3])
            .notices
        #expect(notices.count == 3)
        for word in ["num_beams 4", "chat_format, top_n", "max_length 2048"] {
            #expect(notices.contains { $0.contains(word) })
        }
    }

    /// Where there is no such file, `generate` takes the keys that `config.json` has of it (`from_model_config`).
    @Test func whatAConfigurationAsksForIsNamed() throws {
        let asked: JSONValue = [
            "num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5, "hidden_size": 32, "max_length": 20,
            "num_return_sequences": 1, "penalty_alpha": 0, "renormalize_logits": true,
        ]
        let defaults = try Self.defaults(nil, config: asked)
        #expect(defaults.notices.count == 3 && defaults.notices.allSatisfy { $0.hasPrefix("config.json: ") })
        for word in ["num_beams 4", "num_beam_groups 2", "diversity_penalty 0.5"] {
            #expect(defaults.notices.contains { $0.contains(word) }, "\(defaults.notices)")
        }
        #expect(defaults.sampling.processors.renormalizes)
        // Beside a file they do not count.
        #expect(try Self.defaults(["use_cache": true], config: asked).notices == [])
        let plain: JSONValue = ["num_beams": 1, "num_beam_groups": 1, "diversity_penalty": 0.0, "max_length": 20]
        #expect(try Self.defaults(nil, config: plain).notices == [])
    }

    @Test(
        arguments: [
            ["temperature": "hot"], ["top_p": 1.5], ["top_k": 1.5], ["do_sample": "yes"], ["bad_words_ids": [[96]]],
            ["bad_words_ids": [3]], ["repetition_penalty": 0], ["sequence_bias": [[[1]]]], ["eos_token_id": "x"],
            ["stop_strings": 3], ["max_new_tokens": 0], ["exponential_decay_length_penalty": 1.2],
        ] as [JSONValue])
    func nonsenseIsRefusedByName(file: JSONValue) throws {
        let key = try #require(file.objectValue?.keys.first)
        #expect {
            try Self.defaults(file)
        } throws: { error in
            error is ModelError && "\(error)".contains("generation_config.json: \"\(key)\"")
        }
    }
}
