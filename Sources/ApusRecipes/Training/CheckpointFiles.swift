import ApusAdapters
import ApusDatasets
import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusQuantization
import ApusText
import ApusTorch
import ApusTraining
import ApusWeights
import Foundation

/// PEFT's files, and what `apus infer` and ms-swift look for beside them.
struct AdapterContents: CheckpointContents {
    let attached: AttachedAdapter
    let arguments: Data
    let settings: SFTSettings
    let source: ModelSource
    let labels: LabelScheme?
    /// Files that sentence-transformers wants, which then reads the folder as a model; it also wants the tokenizer.
    let companions: [(name: String, data: Data)]

    private var card: ModelCard {
        let method = type(of: attached.method)
        return ModelCard(
            subject: .adapter(
                method: method.tunerType, isPEFTs: method.folder.isEmpty,
                summary: "\(method.peftType). \(attached.method.summary), \(attached.layerCount) layers"),
            source: source, task: settings.taskType, settings: settings, labelCount: labels?.labelCount)
    }

    func write(into folder: AtomicDirectory, history: [JSONObject]) throws {
        try attached.write(into: folder)
        let place = type(of: attached.method).folder
        // ms-swift looks for it beside its own methods.
        if !place.isEmpty { try folder.write(Data("{}".utf8), as: "configuration.json") }
        let additional: JSONValue = [
            "lora_dtype": settings.tuner.loraDType.map { .string($0.rawValue) } ?? .null,
            "lorap_lr_ratio": settings.tuner.methodOptions["lorap_lr_ratio"]?.plainJSON ?? .null,
            "lorap_emb_lr": .double(LoRAConfiguration.embeddingRate),
        ]
        try folder.write(Data(additional.serialized().utf8), as: "additional_config.json")
        try folder.write(arguments, as: "args.json")
        try folder.write(Data(card.text(history).utf8), as: "README.md")
        guard !companions.isEmpty else { return }
        for (name, data) in companions { try folder.write(data, as: name) }
        try source.copyTokenizer(into: folder)
    }
}

extension AttachedAdapter {
    /// Writes PEFT's two files.
    func write(into folder: AtomicDirectory) throws {
        let place = type(of: method).folder
        try SafetensorsWriter.write(weightSources(), to: folder.path(for: place + AdapterFiles.weightsName))
        try folder.write(Data(configurationText().utf8), as: place + AdapterFiles.configurationName)
    }
}

/// A whole model as a Hugging Face folder.
struct ModelContents: CheckpointContents {
    let model: any TextModel
    let source: ModelSource
    let config: JSONValue
    /// What a classifier's labels mean.
    let labels: LabelScheme?
    /// Files of the task, such as those of sentence-transformers.
    var companions: [(name: String, data: Data)] = []
    let arguments: Data?
    let shardSize: Int?
    let card: ModelCard
    /// How matrices in fewer bits were made, and the type under whose name their bytes are written.
    var quantization: (settings: QuantizationSettings, storage: DType)?

    func write(into folder: AtomicDirectory, history: [JSONObject] = []) throws {
        let quantized = QuantizedLayers.all(of: model)
        let parameters = model.parameters()
        let copies = model.writtenCopies.flatMap { copy in
            parameters.filter { $0.name == copy.parameter }.map { (name: copy.name, slot: $0.slot) }
        }
        let weights = try (parameters + copies).flatMap { name, slot in
            try quantized[name]?.sources(name, storage: quantization?.storage ?? .uint8)
                ?? slot.tensor.map { [WeightSource(name, $0)] } ?? []
        }
        try ModelWeightsWriter.write(
            weights, to: folder.stagingPath, maximumShardSize: shardSize ?? ModelWeightsWriter.defaultMaximumShardSize)
        var config = config.objectValue ?? JSONObject()
        if model.modules().contains(where: { ($0.module as? Linear)?.formerTie != nil }) {
            config["tie_word_embeddings"] = false
        }
        for (key, value) in model.trunk.writtenConfiguration { config[key] = .bool(value) }
        // Newer files say `dtype`, older ones `torch_dtype`; readers take either.
        config[config["dtype"] == nil ? "torch_dtype" : "dtype"] = .string(model.dtype.rawValue)
        if let quantization {
            let layers = model.modules().compactMap { ($0.module as? Linear) == nil ? nil : $0.path }
            config["quantization_config"] = BitsAndBytesConfiguration.json(
                quantization.settings, storage: quantization.storage,
                wholeModules: layers.filter { quantized[Module.joined($0, "weight")] == nil })
        }
        if !model.continuesText {
            config["architectures"] = [.string(model.architecture)]
            for (key, value) in labels?.configuration ?? [:] { config[key] = value }
        }
        try folder.write(Data((JSONValue.object(config).serialized(indent: 2) + "\n").utf8), as: "config.json")
        if let arguments { try folder.write(arguments, as: "args.json") }
        try folder.write(Data(card.text(history).utf8), as: "README.md")
        for (name, data) in companions { try folder.write(data, as: name) }
        try source.copyTokenizer(into: folder)
    }
}

extension ModelSource {
    /// The files beside the weights that other programs want: tokenizer, template, settings for generation.
    ///
    /// - Parameter others: Names of files that are not copied.
    func copyTokenizer(into folder: AtomicDirectory, without others: Set<String> = []) throws {
        switch form {
        case .folder:
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            for name in names.sorted() where Self.companions.contains(name) || name.hasSuffix(".tiktoken") {
                guard !others.contains(name), let data = FileManager.default.contents(atPath: "\(path)/\(name)") else {
                    continue
                }
                try folder.write(data, as: name)
            }
        case .gguf(let gguf):
            let files = try GGUFVocabulary(GGUFTokenizerMetadata(gguf.file)).tokenizerFiles()
            for (name, text) in files { try folder.write(Data(text.utf8), as: name) }
        }
    }

    private static let companions: Set<String> = [
        "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
        "merges.txt", "added_tokens.json", "chat_template.jinja", "tokenizer.model", "vocab.txt",
        "spiece.model", "sentencepiece.bpe.model", "spm.model", "sentencepiece.model", "tiktoken.model", "tekken.json",
    ]
}
