import ApusLanguageModel
import ApusText
import ApusWeights
import Foundation

/// The tokenizer and the chat template of a model.
///
/// The folder may hold nothing else.
struct TextParts {
    private(set) var tokenizer: Tokenizer
    let template: ChatTemplate
    /// Text to ids with the special tokens that stand in it, and none added.
    private(set) var encoder: ChatEncoder
    /// Whether the model brings a template.
    let hasOwnTemplate: Bool
    /// Whether one was chosen by its name.
    private(set) var isNamed = false
    /// What texts show of the date, to the second where they may show that; nil where they show none.
    private(set) var date: String?
    /// What a user should know about the files and the choice, a sentence each.
    var notices: [String]
    /// Whether conversations are written as ChatML because nothing says how.
    var fallsBack: Bool { !hasOwnTemplate && !isNamed }

    init(_ source: ModelSource) throws {
        tokenizer = try Self.tokenizer(of: source)
        hasOwnTemplate = !tokenizer.chatTemplates.isEmpty
        let template: ChatTemplate
        do {
            template = try ChatTemplate(
                sources: hasOwnTemplate ? tokenizer.chatTemplates : ["default": ChatTemplate.chatMLSource],
                specialTokens: tokenizer.namedTokens)
        } catch let error as JinjaError {
            throw ModelError(
                "\(source.path): \(error). Correct the chat template in the model's folder (chat_template.jinja or "
                    + "tokenizer_config.json), or choose one by its name with --template.")
        }
        self.template = template
        encoder = ChatEncoder(template: template) { [tokenizer] in tokenizer.encode($0, addSpecialTokens: false) }
        notices = tokenizer.notices
    }

    /// The same parts with the template that a user chose.
    ///
    /// - Throws: `SettingsError` for a name that is not known, or for options that need one.
    init(_ source: ModelSource, of model: (any TextModel)? = nil, _ settings: EncodingSettings) throws {
        try self.init(source)
        if let model { try checkFits(model, of: source) }
        if let name = settings.template, model?.isEncoder == true {
            notices.append("--template \(name) is without effect: an encoder reads texts between tokens of its own")
        } else {
            try choose(settings)
        }
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

    /// Refuses a tokenizer with more tokens than the model has rows for.
    ///
    /// Those that were added to a vocabulary do not count: `transformers` loads such models, as long as no text has one.
    mutating func checkFits(_ model: any TextModel, of source: ModelSource) throws {
        let rows = model.vocabularySize
        let (own, added) = tokenizer.ids(beyond: rows)
        let count = tokenizer.vocabularySize - added.count
        guard count <= rows else {
            throw ModelError(
                "the tokenizer of \(source.path) has \(count) tokens\(added.isEmpty ? "" : " without added ones"), the model "
                    + "\(rows); they do not belong together. Take both from the same model.")
        }
        let rowless = own + added
        guard !rowless.isEmpty else { return }
        tokenizer = tokenizer.within(rows: rows)
        let names = rowless.prefix(8).map(tokenizer.named).joined(separator: ", ") + (rowless.count > 8 ? " …" : "")
        notices.append(
            "the model has \(rows) rows for tokens, and none for \(names): texts that hold such a token cannot be used")
    }

    /// Writes with an encoder of the user's choice.
    mutating func use(_ chosen: ChatEncoder) {
        (encoder, isNamed) = (chosen, true)
    }

    /// The same parts with the date of a run, for templates that show one.
    func with(_ clock: TemplateClock) -> TextParts {
        var copy = self
        copy.encoder = encoder.with(clock)
        copy.date = encoder.showsDate ? encoder.showsTime ? clock.face : String(clock.face.prefix(10)) : nil
        return copy
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
        (separatorID, classificationID, maskID) = (
            id(metadata.separatorID), id(metadata.classificationID), id(metadata.maskID)
        )
        (addsSeparator, removesExtraSpaces) = (metadata.addsSeparator, metadata.removesExtraSpaces)
        characterMap = metadata.characterMap.map { Data($0) }
    }
}
