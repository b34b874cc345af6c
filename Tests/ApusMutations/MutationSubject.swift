import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusText
import ApusTorch
import ApusWeights
package import Foundation

/// A kind of file that comes from outside, with sound examples and the readers that it goes through in a run.
package struct MutationSubject {
    package let name: String
    /// Its name in the folder.
    let file: String
    let examples: [[UInt8]]
    /// The other files of the folder.
    var beside: [(name: String, bytes: [UInt8])] = []
    var isText = false
    var isJSON: Bool { file.hasSuffix(".json") || file.hasSuffix(".jsonl") }
    /// How much of an example says what the rest is.
    var head: ([UInt8]) -> Int = { $0.count }
    let read: (URL) throws -> Void

    /// All of them.
    ///
    /// - Parameter fixtures: `Tests/Fixtures`.
    package static func all(fixtures: URL) throws -> [MutationSubject] {
        func bytes(_ path: String) throws -> [UInt8] {
            try [UInt8](Data(contentsOf: fixtures.appendingPathComponent(path)))
        }
        let families = [
            "models/qwen2-tied-gqa", "models/llama-rope-yarn", "models/qwen3-tied", "models/mistral-window",
        ]
        let configs = try families.map { try bytes("\($0)/config.json") }
        let qwen2 = (name: "config.json", bytes: configs[0])
        let shards = try FileManager.default.contentsOfDirectory(
            atPath: fixtures.appendingPathComponent("models/qwen2-sharded").path
        ).filter { $0.hasPrefix("model-") }.map { ($0, try bytes("models/qwen2-sharded/\($0)")) }
        // Both kinds of SentencePiece models.
        let pieces = try JSONValue(parsing: bytes("tokenizers/unigram/folders.json"))["models"]
        let models = ["own", "albert", "symbols"].compactMap { pieces?[$0]?.stringValue }
        let bin = ["types", "views", "module", "wrapped-state-dict", "wrapped-module", "protocol-4", "wide-table"]
        return [
            MutationSubject(
                name: "safetensors", file: "model.safetensors",
                examples: [
                    try bytes("models/qwen2-tied-gqa/model.safetensors"), try bytes("safetensors/all.safetensors"),
                ],
                beside: [qwen2],
                head: { 8 + Int(min(100_000, $0.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })) },
                read: { folder in
                    let store = try readAll(WeightsFolder(folder.path).open())
                    let config = try JSONValue(parsing: Data(contentsOf: folder.appendingPathComponent("config.json")))
                    try Models.registry.model(config).loadWeights(store, dtype: .float32, device: .cpu)
                }),
            MutationSubject(
                name: "config.json", file: "config.json",
                examples: configs + [
                    try bytes("classifiers/bert-single/config.json"),
                    try bytes("classifiers/roberta-single/config.json"),
                ],
                beside: [("model.safetensors", try bytes("models/qwen2-tied-gqa/model.safetensors"))], isText: true,
                read: { folder in
                    let config = try JSONValue(parsing: Data(contentsOf: folder.appendingPathComponent("config.json")))
                    for task in [ModelTask.hiddenStates, .sequenceClassification(labels: 2)] {
                        _ = try? Models.registry.model(config, for: task)
                    }
                    let model = try Models.registry.model(config, for: .causalLanguageModel)
                    try model.loadWeights(WeightsFolder(folder.path).open(), dtype: .float32, device: .cpu)
                    let batch = TokenBatch(continuing: [([1, 2, 3], 0)])
                    _ = try model.hiddenStates(batch, model.context(for: batch))
                }),
            MutationSubject(
                name: "index", file: "model.safetensors.index.json",
                examples: [try bytes("models/qwen2-sharded/model.safetensors.index.json")], beside: shards,
                isText: true,
                read: { _ = try readAll(WeightsFolder($0.path).open()) }),
            MutationSubject(
                name: "gguf", file: "model.gguf",
                examples: try [
                    "tiny-qwen2", "tiny-llama", "tiny-qwen3", "tiny-gpt2", "types", "families/gemma3",
                    "families/phi3-longrope", "families/qwen2-moe", "families/smollm3",
                    "tokenizers/t5", "tokenizers/own", "tokenizers/xlm-r", "tokenizers/bert",
                ].map { try bytes("gguf/\($0).gguf") },
                head: { $0.count / 4 }, read: readGGUF),
            MutationSubject(
                name: "pickle", file: "pytorch_model.bin", examples: try bin.map { try bytes("pytorch/\($0).bin") },
                read: { _ = try readAll(WeightsFolder($0.path).open()) }),
            MutationSubject(
                name: "adapter_config.json", file: "adapter_config.json",
                examples: [try bytes("adapters/qwen2-tied-gqa/lora/adapter_config.json")], beside: [qwen2],
                isText: true,
                read: { folder in
                    let method = try AdapterFiles.method(in: folder.path)
                    let config = try JSONValue(parsing: Data(contentsOf: folder.appendingPathComponent("config.json")))
                    let model = try Models.registry.model(config, for: .causalLanguageModel)
                    _ = try method.attach(to: model, heads: model.headNames)
                }),
            MutationSubject(
                name: "tokenizer.json", file: "tokenizer.json", examples: Examples.tokenizers.map { Array($0.utf8) },
                beside: [("tokenizer_config.json", Array(Examples.tokenizerConfig.utf8))], isText: true,
                read: readTokenizer),
            MutationSubject(
                name: "tokenizer_config.json", file: "tokenizer_config.json",
                examples: [Array(Examples.tokenizerConfig.utf8), Array(Examples.tokenizerConfigOfBERT.utf8)],
                beside: [("tokenizer.json", Array(Examples.tokenizers[0].utf8))], isText: true, read: readTokenizer),
            MutationSubject(
                name: "tokenizer.model", file: "tokenizer.model",
                examples: models.compactMap { Data(base64Encoded: $0).map { [UInt8]($0) } }, read: readTokenizer),
        ]
            + Examples.data.map { file, examples in
                MutationSubject(
                    name: file, file: file, examples: examples.map { Array($0.utf8) }, isText: true,
                    read: { try readRows($0.appendingPathComponent(file).path) })
            }
    }

    // MARK: - Readers

    /// Looks at every tensor that could be a model's.
    private static func readAll(_ store: any TensorStore) throws -> any TensorStore {
        for name in store.tensorNames {
            // A view may repeat one number over any shape; a model's slots have a shape of their own.
            let count = try store.shape(of: name).reduce(1.0) { $0 * Double($1) }
            if count <= 1_000_000 {
                _ = try store.tensor(name, dtype: store.dtype(of: name), device: .cpu).tensor.cloned()
            }
        }
        return store
    }

    private static func readGGUF(_ folder: URL) throws {
        let file = try GGUFFile(path: folder.appendingPathComponent("model.gguf").path)
        let metadata = try? GGUFTokenizerMetadata(file)
        if let metadata {
            func id(_ value: Int?) -> Int32? { value.flatMap(Int32.init(exactly:)) }
            var vocabulary = GGUFVocabulary(
                model: metadata.model, preTokenizer: metadata.pre, tokens: metadata.tokens,
                tokenTypes: metadata.tokenTypes.map { Int32(clamping: $0) }, merges: metadata.merges,
                scores: metadata.scores, beginningOfSequenceID: id(metadata.bosID), endOfSequenceID: id(metadata.eosID),
                unknownID: id(metadata.unknownID), paddingID: id(metadata.paddingID),
                addsBeginningOfSequence: metadata.addsBOS, addsEndOfSequence: metadata.addsEOS,
                addsPrefixSpace: metadata.addsSpacePrefix, chatTemplate: metadata.chatTemplate)
            (vocabulary.separatorID, vocabulary.maskID) = (id(metadata.separatorID), id(metadata.maskID))
            (vocabulary.addsSeparator, vocabulary.removesExtraSpaces) = (
                metadata.addsSeparator, metadata.removesExtraSpaces
            )
            vocabulary.characterMap = metadata.characterMap.map { Data($0) }
            _ = try? vocabulary.tokenizerFiles()
            if let tokenizer = try? Tokenizer(gguf: vocabulary) { try use(tokenizer) }
        }
        for tensor in file.tensors where tensor.elementCount <= 1 << 20 { _ = try? file.dequantized(tensor.name) }
        let model = try GGUFModel(file)
        let built = try Models.registry.model(model.config, for: .causalLanguageModel)
        try built.loadWeights(SplitExperts(model) ?? model, dtype: .float32, device: .cpu)
    }

    private static func readTokenizer(_ folder: URL) throws { try use(Tokenizer.load(folder: folder)) }

    private static let texts = [
        "Hello, world! 12 a\u{301}\u{0} ", "你好 <|im_end|>\n\n  tabs\t☃️ xyz", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]

    private static func use(_ tokenizer: Tokenizer) throws {
        for text in texts {
            let ids = tokenizer.encode(text)
            _ = tokenizer.decode(ids)
            _ = tokenizer.decode(ids + [-1, 0, 1, .max], skipSpecialTokens: true)
        }
        _ = tokenizer.encode(texts[0], pair: texts[1], maximumLength: 7)
        guard let source = tokenizer.chatTemplate else { return }
        let template = try ChatTemplate(source: source, bosToken: tokenizer.bosToken, eosToken: tokenizer.eosToken)
        _ = try template.rendered(
            [Message(role: "user", content: "Hi"), Message(role: "assistant", content: "there")],
            addGenerationPrompt: true)
    }

    private static func readRows(_ path: String) throws {
        func all<R: RowRecognizer>(_ recognizer: R) throws {
            let rows = try DatasetLoader().load([path], as: recognizer).train
            for index in 0..<min(rows.count, 50) { _ = try rows.recognized(at: index) }
        }
        _ = try? all(LabelledRecognizer())
        _ = try? all(EmbeddingRecognizer())
        _ = try? all(RerankerRecognizer())
        try all(ConversationRecognizer(ConversationRecognizer.Options()))
    }
}
