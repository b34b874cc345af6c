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
        guard let model = adapted.form.model as? CausalLanguageModel else {
            throw ModelError(
                "--to_gguf: GGUF files are written of models that continue text, and this one "
                    + "\(adapted.task.task.activity). Export it as safetensors: leave out --to_gguf.")
        }
        (self.adapted, self.type, self.name) = (adapted, type, name)
        text = try TextParts(adapted.source, of: model)
        tensors = model.parameters().compactMap { name, slot in slot.tensor.map { (name, $0) } }
        let sizes = model.sizes
        description = try GGUFDescription(
            adapted.config,
            sizes: GGUFDescription.Sizes(
                vocabulary: sizes.vocabulary, width: sizes.width, feedForward: sizes.hidden, layers: sizes.layers,
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                context: model.trunk.maximumLength), type: type, path: name)
        let defaults = try GenerationDefaults(
            adapted.source, config: adapted.config, tokenizer: text.tokenizer, vocabularySize: sizes.vocabulary)
        var tokenizer = try Self.tokenizer(adapted, text.tokenizer, size: sizes.vocabulary)
        let ends = defaults.endTokens.map(Int.init).filter { tokenizer.tokens.indices.contains($0) }.sorted()
        let others = ends.filter { $0 != tokenizer.eosID && $0 != tokenizer.eotID }
        if tokenizer.eotID == nil { tokenizer.eotID = others.first }
        self.tokenizer = tokenizer
        self.ends = ends.map { tokenizer.tokens[$0] } + defaults.stopStrings
        notices =
            description.notices
            + others.filter { $0 != tokenizer.eotID }.map {
                "the file names two ends of answers; \(tokenizer.tokens[$0]) is left out, which llama.cpp may know by its name"
            }
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
    }

    /// The token that a reader of the file puts before every text.
    fileprivate var beginningText: String? {
        guard addsBOS == true, let bosID, tokens.indices.contains(bosID) else { return nil }
        return tokens[bosID]
    }
}
