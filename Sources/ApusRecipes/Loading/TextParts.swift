import ApusLanguageModel
import ApusText
import ApusWeights
import Foundation

/// The tokenizer and the chat template of a model.
///
/// The folder may hold nothing else.
struct TextParts {
    let tokenizer: Tokenizer
    private(set) var template: ChatTemplate
    /// Whether the template is the model's own, not the fallback.
    let hasOwnTemplate: Bool
    /// What a user should know about the files, a sentence each.
    var notices: [String] { tokenizer.notices }

    init(_ source: ModelSource) throws {
        tokenizer = try Self.tokenizer(of: source)
        hasOwnTemplate = !tokenizer.chatTemplates.isEmpty
        template = try ChatTemplate(
            sources: hasOwnTemplate ? tokenizer.chatTemplates : ["default": ChatTemplate.chatMLSource],
            specialTokens: tokenizer.namedTokens)
    }

    /// The tokenizer alone.
    static func tokenizer(of source: ModelSource) throws -> Tokenizer {
        switch source.form {
        case .folder: try Tokenizer.load(folder: URL(fileURLWithPath: source.path))
        case .gguf(let model): try Tokenizer(gguf: GGUFVocabulary(GGUFTokenizerMetadata(model.file)))
        }
    }

    /// The parts that belong to a model.
    init(_ source: ModelSource, of model: any TextModel) throws {
        try self.init(source)
        try checkFits(model, of: source)
    }

    /// Refuses a tokenizer with ids that the model has no row for.
    func checkFits(_ model: any TextModel, of source: ModelSource) throws {
        guard tokenizer.vocabularySize > model.vocabularySize else { return }
        throw ModelError(
            "the tokenizer of \(source.path) has \(tokenizer.vocabularySize) tokens, the model \(model.vocabularySize); "
                + "they do not belong together. Take both from the same model.")
    }

    /// The same parts with the date of a run, for templates that show one.
    func with(_ clock: TemplateClock) -> TextParts {
        var copy = self
        copy.template = template.with(clock)
        return copy
    }

    /// Text to ids with the special tokens that stand in it, and none added.
    var encoder: ChatEncoder {
        let tokenizer = tokenizer
        return ChatEncoder(template: template) { tokenizer.encode($0, addSpecialTokens: false) }
    }
}

extension GGUFVocabulary {
    init(_ metadata: GGUFTokenizerMetadata) {
        func id(_ value: Int?) -> Int32? { value.flatMap(Int32.init(exactly:)) }
        self.init(
            model: metadata.model, preTokenizer: metadata.pre, tokens: metadata.tokens,
            tokenTypes: metadata.tokenTypes.map { Int32(clamping: $0) }, merges: metadata.merges,
            scores: metadata.scores, beginningOfSequenceID: id(metadata.bosID), endOfSequenceID: id(metadata.eosID),
            unknownID: id(metadata.unknownID), paddingID: id(metadata.paddingID),
            addsBeginningOfSequence: metadata.addsBOS, addsEndOfSequence: metadata.addsEOS,
            addsPrefixSpace: metadata.addsSpacePrefix, chatTemplate: metadata.chatTemplate)
    }
}
