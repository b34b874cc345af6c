import ApusFiles
import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusText
import ApusTorch
import ApusWeights
import Foundation

/// A model as a GGUF file, with a `Modelfile` for Ollama beside it.
struct GGUFExport {
    /// What the file cannot say and a user should know.
    let notices: [String]

    private let adapted: AdaptedModel
    private let type: GGUFFileType
    private let name: String
    private let tensors: [(name: String, tensor: Tensor)]
    private let description: GGUFDescription
    private let tokenizer: GGUFTokenizerMetadata
    private let text: TextParts
    /// Texts that end an answer.
    private let ends: [String]

    /// - Parameters:
    ///   - adapted: A model whose adapters are merged.
    ///   - name: Of the file.
    /// - Throws: `ModelError`, `WeightsError` or `TokenizerError` naming what a GGUF file cannot say.
    init(_ adapted: AdaptedModel, type: GGUFFileType, name: String) throws {
        let model = adapted.form.model
        let use = adapted.task.task.gguf
        let (makesVectors, scoresTexts) = (use == .vectors && model.isEncoder, use == .scores && model.isEncoder)
        guard makesVectors || scoresTexts || use == .text else {
            throw ModelError(
                "--to_gguf: GGUF files are written of models that continue text, that read a text and write another, and of "
                    + "encoders that make vectors or score texts; this one \(adapted.task.task.activity). Export it as "
                    + "safetensors: leave out --to_gguf.")
        }
        (self.adapted, self.type, self.name) = (adapted, type, name)
        text = try TextParts(adapted.source, of: model)
        let above = makesVectors && !model.trunk.name.isEmpty ? model.trunk.name + "." : ""
        tensors = model.parameters().compactMap { name, slot in
            // Vectors do not pass through a pooler.
            makesVectors && name.hasPrefix("pooler.") ? nil : slot.tensor.map { (above + name, $0) }
        }
        let sizes = model.sizes
        var config = adapted.config.objectValue ?? [:]
        if makesVectors || scoresTexts { config["architectures"] = [.string(model.architecture)] }
        for (key, value) in adapted.form.labels?.configuration ?? [:] { config[key] = value }
        var description = try GGUFDescription(
            .object(config),
            sizes: GGUFDescription.Sizes(
                vocabulary: sizes.vocabulary, width: sizes.width, feedForward: sizes.hidden,
                layers: model.trunk.configuredLayers, heads: sizes.heads, keyValueHeads: sizes.keyValueHeads,
                headSize: sizes.headSize, context: model.trunk.maximumLength), type: type, path: name)
        try description.check(hasOwnHead: tensors.contains { $0.name == "lm_head.weight" })
        var own: [String] = []
        if makesVectors {
            let files = try SentenceFiles(adapted.source, model: model)
            own = try Self.describe(files, in: &description)
            if files.lowercases, text.tokenizer.encode("A") != text.tokenizer.encode("a") {
                own.append("the file cannot say that texts are brought to lower case first; do so before them")
            }
        }
        self.description = description
        let defaults = try GenerationDefaults(
            adapted.source, config: adapted.config, tokenizer: text.tokenizer, vocabularySize: sizes.vocabulary)
        var tokenizer = try Self.tokenizer(adapted, text.tokenizer, size: sizes.vocabulary)
        if scoresTexts { own += try Self.describePairs(text.tokenizer, written: tokenizer) }
        let ends = defaults.endTokens.map(Int.init).filter { tokenizer.tokens.indices.contains($0) }.sorted()
        let others = ends.filter { $0 != tokenizer.eosID && $0 != tokenizer.eotID }
        if tokenizer.eotID == nil { tokenizer.eotID = others.first }
        self.tokenizer = tokenizer
        self.ends = ends.map { tokenizer.tokens[$0] } + defaults.stopStrings
        notices =
            description.notices + own
            + others.filter { $0 != tokenizer.eotID }.map {
                "the file names two ends of answers; \(tokenizer.tokens[$0]) is left out, which llama.cpp may know by its name"
            }
    }

    /// Says how vectors are made of texts.
    ///
    /// - Returns: What the file cannot say and a user should know.
    private static func describe(
        _ files: SentenceFiles, in description: inout GGUFDescription
    ) throws -> [String] {
        guard files.projections.isEmpty else {
            throw ModelError(
                "--to_gguf: the vectors of this model pass through dense layers, which a GGUF file cannot hold. Export it as "
                    + "safetensors: leave out --to_gguf.")
        }
        guard let mode = files.pooling.modes.first, files.pooling.modes.count == 1 else {
            throw ModelError(
                "--to_gguf: a GGUF file can say one way of pooling, and this model has "
                    + "\(files.pooling.modes.map(\.rawValue).joined(separator: " + ")). Export it as safetensors: leave out "
                    + "--to_gguf.")
        }
        try description.add(pooling: mode.rawValue)
        var notices: [String] = []
        if let prompt = files.prompt {
            notices.append(
                "the file cannot say that texts begin with \(JSONValue.string(prompt).serialized()); write it before them"
            )
        }
        if !files.pooling.normalizes {
            notices.append(
                "the file cannot say that vectors keep their length: llama.cpp brings them to 1 unless it is asked otherwise"
            )
        }
        return notices
    }

    /// Looks at what stands around two texts that are scored together.
    ///
    /// - Returns: What a user should know.
    private static func describePairs(
        _ tokenizer: Tokenizer, written metadata: GGUFTokenizerMetadata
    ) throws -> [String] {
        let (ours, theirs) = try (tokenizer, Tokenizer(gguf: GGUFVocabulary(metadata)))
        guard ours.encode("a", pair: "b").ids == theirs.encode("a", pair: "b").ids else {
            throw ModelError(
                "--to_gguf: the tokenizer puts other tokens around two texts than a GGUF file can say, so that scores of pairs "
                    + "would be others. Export it as safetensors: leave out --to_gguf.")
        }
        return ours.encode("a", pair: "b").segments.allSatisfy { $0 == 0 }
            ? [] : ["llama.cpp gives both texts of a pair the first segment, so that its scores of pairs are others"]
    }

    private static func tokenizer(
        _ adapted: AdaptedModel, _ tokenizer: Tokenizer, size: Int
    ) throws -> GGUFTokenizerMetadata {
        if case .gguf(let model) = adapted.source.form { return try GGUFTokenizerMetadata(model.file) }
        func id(_ key: String) -> Int32? {
            let value = adapted.config[key]
            return (value?.intValue ?? value?.arrayValue?.first?.intValue).flatMap(Int32.init(exactly:))
        }
        return GGUFTokenizerMetadata(
            try GGUFVocabulary(
                tokenizer, size: size,
                pieces: FileManager.default.contents(atPath: "\(adapted.source.path)/tokenizer.model"),
                beginning: id("bos_token_id"), end: id("eos_token_id"),
                padding: id("pad_token_id")))
    }

    func write(into folder: AtomicDirectory) throws {
        let title = ModelName.short(adapted.source.name)
        try GGUFConversion(tensors, description, type: type, to: folder.path(for: name))
            .write(
                general: [
                    ("general.type", .string("model")), ("general.name", .string(title)),
                    ("general.size_label", .string(Self.sizeLabel(tensors.reduce(0) { $0 + $1.tensor.count }))),
                ], tokenizer: tokenizer.fields)
        let modelfile = OllamaModelfile(
            file: name, template: text.hasOwnTemplate ? text.template : nil, beginning: tokenizer.beginningText,
            ends: ends)
        try folder.write(Data(modelfile.text.utf8), as: "Modelfile")
    }

    /// `135M`, `1.5B`: as many digits as tell sizes apart, by the rules of GGUF's naming convention.
    static func sizeLabel(_ count: Int) -> String {
        let units: [(Double, String)] = [(1e12, "T"), (1e9, "B"), (1e6, "M")]
        let (unit, letter) = units.first { Double(count) > $0.0 } ?? (1e3, "K")
        let scaled = Double(count) / unit
        let digits = String(Int(scaled.rounded(.toNearestOrEven))).drop { $0 == "0" }.count
        return String(format: "%.\(max(0, 2 - digits))f", scaled) + letter
    }
}

extension GGUFTokenizerMetadata {
    init(_ vocabulary: GGUFVocabulary) {
        self.init(
            model: vocabulary.model, pre: vocabulary.preTokenizer, tokens: vocabulary.tokens,
            scores: vocabulary.scores, tokenTypes: vocabulary.tokenTypes.map(Int.init), merges: vocabulary.merges,
            bosID: vocabulary.beginningOfSequenceID.map(Int.init), eosID: vocabulary.endOfSequenceID.map(Int.init),
            unknownID: vocabulary.unknownID.map(Int.init), paddingID: vocabulary.paddingID.map(Int.init),
            addsBOS: vocabulary.addsBeginningOfSequence, addsEOS: vocabulary.addsEndOfSequence,
            addsSpacePrefix: vocabulary.addsPrefixSpace, chatTemplate: vocabulary.chatTemplate)
        (separatorID, maskID) = (vocabulary.separatorID.map(Int.init), vocabulary.maskID.map(Int.init))
        classificationID = vocabulary.classificationID.map(Int.init)
        (addsSeparator, removesExtraSpaces) = (vocabulary.addsSeparator, vocabulary.removesExtraSpaces)
        characterMap = vocabulary.characterMap.map { [UInt8]($0) }
    }

    /// The token that a reader of the file puts before every text.
    fileprivate var beginningText: String? {
        guard addsBOS == true, let bosID, tokens.indices.contains(bosID) else { return nil }
        return tokens[bosID]
    }
}
