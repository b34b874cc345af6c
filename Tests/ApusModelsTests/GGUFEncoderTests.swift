import ApusJSON
import Foundation
import Testing

@testable import ApusGeneration
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// GGUF files of T5, of its encoder, of BERT and of what is written as BERT, against what transformers computes of the same
/// models (Scripts/fixtures/make_gguf_encoders.py).
struct GGUFEncoderTests {
    static let models = ["t5", "flan-t5", "t5-encoder", "bert"]
    /// Read as a BERT, with a head that scores texts or without.
    static let readAsBERT = ["roberta", "bert-scores", "roberta-scores", "xlm-roberta-scores"]

    /// The file of a model: what the fixture holds of it, with the model's tensors behind.
    ///
    /// - Parameter change: Of the bytes before the tensors.
    static func model(_ name: String, _ change: (inout Data) throws -> Void = { _ in }) throws -> GGUFModel {
        var data = try Data(contentsOf: Fixture.root.appendingPathComponent("gguf/encoders/\(name).head"))
        try change(&data)
        let stored = try stored(name)
        for tensor in try order(name) {
            let entry = try #require(stored.entries.first { $0.name == tensor })
            let isPosition = tensor.hasSuffix("position_embeddings.weight")
            let skipped = try isPosition ? self.entry(name)["skipped"]?.intValue ?? 0 : 0
            try stored.withUnsafeBytes(of: entry) { bytes in
                data.append(contentsOf: bytes.dropFirst(skipped * (bytes.count / (entry.shape.first ?? 1))))
            }
            data.append(Data(count: (32 - data.count % 32) % 32))
        }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).gguf")
        defer { try? FileManager.default.removeItem(at: path) }
        try data.write(to: path)
        return try GGUFModel(GGUFFile(path: path.path))
    }

    static func entry(_ name: String) throws -> JSONValue {
        try #require(Fixture.json("gguf/encoders/files.json")[name])
    }

    private static func order(_ name: String) throws -> [String] {
        try (entry(name)["tensors"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    static func stored(_ name: String) throws -> SafetensorsFile {
        let folder = try #require(entry(name)["folder"]?.stringValue)
        return try SafetensorsFile(path: Fixture.root.appendingPathComponent("\(folder)/model.safetensors").path)
    }

    static func replace(_ from: String, _ to: String) -> (inout Data) throws -> Void {
        { data in
            data.replaceSubrange(try #require(data.range(of: Data(from.utf8))), with: Data(to.utf8))
        }
    }

    @Test(arguments: models) func everyTensorIsTheModels(name: String) throws {
        let (source, stored, order) = (try Self.model(name), try Self.stored(name), try Self.order(name))
        #expect(source.unusedKeys == [] && source.entries.count == order.count)
        for tensor in order {
            let own = try stored.tensor(tensor, dtype: .float32, device: .cpu).tensor
            let found =
                tensor.hasPrefix("embeddings.") || tensor.hasPrefix("encoder.layer.") ? "bert.\(tensor)" : tensor
            #expect(source[found]?.shape == own.shape, "\(tensor)")
            #expect(try source.dequantized(found) == own.values(as: Float.self), "\(tensor)")
        }
    }

    @Test(arguments: models) func theConfigurationIsTheModels(name: String) throws {
        let source = try Self.model(name)
        let folder = try #require(Self.entry(name)["folder"]?.stringValue)
        let expected = try Fixture.json("\(folder)/config.json")
        let keys = [
            "model_type", "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads",
            "relative_attention_num_buckets", "relative_attention_max_distance", "feed_forward_proj", "n_positions",
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
            "type_vocab_size", "hidden_act",
        ]
        var count = 0
        let whole = ["num_decoder_layers", "decoder_start_token_id", "is_encoder_decoder"]
        for key in keys + (name == "t5-encoder" ? [] : whole) {
            guard let value = expected[key] else { continue }
            #expect(source.config[key] == value, "\(key)")
            count += 1
        }
        #expect(count >= 9)
        // Of a model with a head of its own, what the head sees is not scaled.
        if name.hasSuffix("t5") { #expect(source.config["tie_word_embeddings"] == .bool(name == "t5")) }
    }

    @Test(arguments: ["t5", "flan-t5"]) func answersAreThoseOfTransformers(name: String) throws {
        let test = try SequenceToSequenceTests.Case(name)
        let source = try Self.model(name)
        let model = try Models.registry.sequenceToSequence(source.config)
        try model.loadWeights(source, dtype: .float32, device: .cpu)
        #expect(model.trunk.notices == [])
        let distance = try withoutGradients {
            let context = try model.context(for: test.batch)
            let logits = try model.logits(model.hiddenStates(test.batch, context), context)
            return try (0..<test.batch.sequenceCount).map { index in
                let (start, end) = (Int(test.batch.boundaries[index]), Int(test.batch.boundaries[index + 1]))
                let own = try logits.narrowed(0, start: start, length: end - start)
                return try difference(own, test.fixture.tensor("logits.\(index)"))
            }.max() ?? .infinity
        }
        print("gguf \(name): logits \(distance)")
        #expect(distance <= 1e-5)
        let answers = try SequenceToSequenceTests.greedy(model).answers(to: test.sources, limit: 30)
        #expect(answers == test.answers(test.fixture.expected))
    }

    private static func checkHidden(_ name: String, _ batch: TokenBatch, _ fixture: Fixture) throws {
        let source = try model(name)
        let model = try Models.registry.model(source.config, for: .hiddenStates)
        // A pooler, which vectors do not pass through, is in no file.
        let new = try model.loadWeights(source, dtype: .float32, device: .cpu, newHeadSeed: 0)
        #expect(new.allSatisfy { $0.hasPrefix("pooler.") })
        #expect(model.trunk.notices == [])
        let hidden = try withoutGradients { try model.hiddenStates(batch, model.context(for: batch)) }
        var distance = 0.0
        for index in 0..<batch.sequenceCount {
            let (start, end) = (Int(batch.boundaries[index]), Int(batch.boundaries[index + 1]))
            let own = try hidden.narrowed(0, start: start, length: end - start)
            distance = try max(distance, difference(own, fixture.tensor("hidden.\(index)")))
        }
        print("gguf \(name): hidden states \(distance)")
        #expect(distance <= 1e-5)
    }

    @Test func statesOfTheEncoderAreThoseOfTransformers() throws {
        let test = try SequenceToSequenceTests.Case("t5-encoder")
        try Self.checkHidden("t5-encoder", TokenBatch(test.sources), test.fixture)
    }

    @Test func statesOfBERTAreThoseOfTransformers() throws {
        let test = try ClassifierParityTests.Case("bert-hidden")
        try Self.checkHidden("bert", test.batch, test.fixture)
        #expect(try Self.model("bert").pooling() == "cls" && Self.model("t5").pooling() == nil)
    }

    /// The names of a model's scores.
    static func labels(_ name: String) throws -> [String] {
        try (entry(name)["labels"]?.arrayValue ?? []).compactMap(\.stringValue)
    }

    /// The model of a fixture's folder, from its own files.
    static func folderModel(_ name: String) throws -> (model: any TextModel, config: JSONObject) {
        let folder = try #require(entry(name)["folder"]?.stringValue)
        var config = try #require(Fixture.json("\(folder)/config.json").objectValue)
        let labels = try labels(name)
        let task: ModelTask =
            name.hasSuffix("t5")
            ? .sequenceToSequence : labels.isEmpty ? .hiddenStates : .sequenceClassification(labels: labels.count)
        let model = try Models.registry.model(.object(config), for: task)
        try model.loadWeights(
            ModelWeights(folder: Fixture.root.appendingPathComponent(folder).path), dtype: .float32, device: .cpu,
            newHeadSeed: task == .hiddenStates ? 0 : nil)
        config["architectures"] = [.string(model.architecture)]
        if !labels.isEmpty {
            config["id2label"] = .object(
                labels.enumerated().reduce(into: [:]) { $0["\($1.offset)"] = .string($1.element) })
        }
        return (model, config)
    }

    static func written(_ name: String, type: GGUFFileType = .f32) throws -> GGUFModel {
        let (model, config) = try folderModel(name)
        let above = model is BareModel && !model.trunk.name.isEmpty ? model.trunk.name + "." : ""
        let tensors = model.parameters().compactMap { name, slot in
            name.hasPrefix("pooler.") ? nil : slot.tensor.map { (above + name, $0) }
        }
        let sizes = model.sizes
        var description = try GGUFDescription(
            .object(config),
            sizes: GGUFDescription.Sizes(
                vocabulary: sizes.vocabulary, width: sizes.width, feedForward: sizes.hidden,
                layers: model.trunk.configuredLayers, heads: sizes.heads, keyValueHeads: sizes.keyValueHeads,
                headSize: sizes.headSize, context: model.trunk.maximumLength), type: type, path: "model.gguf")
        try description.check(hasOwnHead: name == "flan-t5")
        if ["bert", "roberta"].contains(name) { try description.add(pooling: "cls") }
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).gguf").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try GGUFConversion(tensors, description, type: type, to: path).write(general: [], tokenizer: [])
        return try GGUFModel(GGUFFile(path: path))
    }

    @Test(arguments: models + readAsBERT) func whatIsWrittenIsWhatAConverterWrites(name: String) throws {
        let (ours, theirs) = (try Self.written(name), try Self.model(name))
        #expect(Set(ours.file.tensors.map(\.name)) == Set(theirs.file.tensors.map(\.name)))
        for tensor in theirs.file.tensors {
            #expect(ours.file[tensor.name]?.shape == tensor.shape, "\(tensor.name)")
            #expect(try ours.file.dequantized(tensor.name) == theirs.file.dequantized(tensor.name), "\(tensor.name)")
        }
        for (key, value) in theirs.file.metadata { #expect(ours.file.metadata[key] == value, "\(key)") }
        let added = ours.file.metadata.keys.filter { theirs.file.metadata[$0] == nil && !$0.hasPrefix("general.") }
        #expect(added == [])
        #expect(ours.config == theirs.config)
    }

    @Test func whatAFileCannotSayIsNotWritten() throws {
        func message(_ changes: JSONObject, type: GGUFFileType = .f16, hasOwnHead: Bool = false) throws -> String {
            var config = try #require(Fixture.json("seq2seq/t5/config.json").objectValue)
            for (key, value) in changes { config[key] = value }
            let sizes = GGUFDescription.Sizes(
                vocabulary: 120, width: 32, feedForward: 48, layers: 3, heads: 4, keyValueHeads: 4, headSize: 8,
                context: 512)
            do {
                try GGUFDescription(.object(config), sizes: sizes, type: type, path: "m.gguf").check(
                    hasOwnHead: hasOwnHead)
                return ""
            } catch { return "\(error)" }
        }
        #expect(try message([:]) == "")
        #expect(try message(["relative_attention_max_distance": 40]).contains("relative_attention_max_distance"))
        #expect(try message(["feed_forward_proj": "gated-silu"]).contains("feed_forward_proj"))
        #expect(try message([:], type: .q4_K_M).contains("which layers of two stacks"))
        // A head that is the table sees scaled states, one of its own does not.
        #expect(try message([:], hasOwnHead: true).contains("scale_decoder_outputs"))
        #expect(try message(["scale_decoder_outputs": false]).contains("tie_word_embeddings"))
        #expect(try message(["scale_decoder_outputs": false], hasOwnHead: true) == "")
        #expect(try message(["model_type": "mt5"]).contains("tie_word_embeddings"))
        #expect(try message(["model_type": "mt5"], hasOwnHead: true) == "")
    }

    /// An encoder has its own number of layers, though the decoder that is left out has more.
    @Test func anEncoderAloneCountsItsOwnLayers() throws {
        var config = try #require(Fixture.json("seq2seq/t5/config.json").objectValue)
        (config["num_layers"], config["num_decoder_layers"]) = (2, 5)
        let model = try Models.registry.model(.object(config), for: .hiddenStates)
        #expect(model.trunk.configuredLayers == 2 && model.trunk.sequenceLayers == 0..<2)
    }

    @Test func biasesOfDistancesKeepTheirBits() throws {
        let file = try Self.written("t5", type: .q8_0).file
        #expect(file["enc.blk.0.attn_rel_b.weight"]?.type == .f16 && file["dec.blk.1.ffn_up.weight"]?.type == .q8_0)
        let bert = try Self.written("bert", type: .f16).file
        #expect(bert["token_types.weight"]?.type == .f32 && bert["position_embd.weight"]?.type == .f32)
        #expect(bert["blk.0.attn_q.weight"]?.type == .f16)
    }

    @Test func whatComputesOtherwiseIsRefused() {
        // UMT5 has biases of distances in every layer.
        #expect {
            try Self.model("t5", Self.replace("dec.blk.0.attn_rel_b", "dec.blk.1.attn_rel_b"))
        } throws: {
            "\($0)".contains("dec.blk.1.attn_rel_b.weight")
                && "\($0)".contains("no place in a T5ForConditionalGeneration")
        }
        // A BERT that sees no token after its own.
        #expect {
            try Self.model("bert") { data in
                let key = try #require(data.range(of: Data("bert.attention.causal".utf8)))
                // The tag of a boolean, then its byte.
                data[key.upperBound + 4] = 1
            }
        } throws: {
            "\($0)".contains("bert.attention.causal") && "\($0)".contains("nothing of this kind")
        }
        #expect {
            try Self.model("bert", Self.replace("token_types.weight", "token_kinds.weight"))
        } throws: {
            "\($0)".contains("tokenizer.ggml.token_type_count") && "\($0)".contains("no token_types.weight")
        }
        // A head that is none of BERT's.
        #expect {
            try Self.model("bert", Self.replace("token_embd_norm.bias", "cls.no_such_par.bias"))
        } throws: {
            "\($0)".contains("no place in a BertModel")
        }
        #expect {
            try Self.model(
                "bert",
                Self.replace(
                    "general.architecture\u{8}\0\0\0\u{4}\0\0\0\0\0\0\0bert",
                    "general.architecture\u{8}\0\0\0\u{4}\0\0\0\0\0\0\0bart"))
        } throws: {
            "\($0)".contains("\"bart\" is not supported as GGUF") && "\($0)".contains("t5encoder")
        }
    }
}
