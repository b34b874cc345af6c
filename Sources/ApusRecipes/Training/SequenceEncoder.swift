import ApusDatasets
import ApusLanguageModel
import ApusText

extension TextModel {
    /// Whether a text that is judged stands between special tokens, and two texts are two segments.
    var isEncoder: Bool { !trunk.isCausal || trunk.hasEncoder && !continuesText }

    /// The tokens of a sequence at most: what was asked for, within what the model allows.
    ///
    /// - Parameter places: What a prompt that is not on the model yet will take.
    func limit(_ asked: Int?, leaving places: Int = 0) -> Int { min(asked ?? .max, max(1, maximumLength - places)) }
}

extension SequenceEncoder {
    /// The encoder that the settings ask for.
    ///
    /// - Parameters:
    ///   - files: Those of a sentence encoder, which sees the bare text, whatever template its tokenizer brings.
    ///   - usesPrompt: Whether texts get the prompt that the files name.
    ///   - places: What a prompt that is not on the model yet will take.
    init(
        _ settings: EncodingSettings, text: TextParts, model: any TextModel, files: SentenceFiles? = nil,
        usesPrompt: Bool = false, leaving places: Int = 0
    ) {
        let usesTemplate = settings.useChatTemplate && files?.areGiven != true
        self.init(
            tokenizer: text.tokenizer, chat: usesTemplate ? text.encoder : nil, isEncoder: model.isEncoder,
            limit: model.limit(settings.maxLength ?? files?.maximumLength, leaving: places),
            strategy: settings.truncationStrategy, system: settings.system,
            pairFormat: settings.pairFormat, lowercases: files?.lowercases ?? false,
            prompt: usesPrompt ? files?.prompt : nil,
            variables: settings.templateVariables)
    }

    /// A sequence within the limit.
    ///
    /// - Throws: `ModelError` for one without tokens, and for a longer one that `--truncation_strategy` does not cut.
    func fitted(_ sequence: EncodedSequence) throws -> EncodedSequence {
        let count = sequence.ids.count
        guard count > 0 else { throw ModelError("the text is empty; there is nothing to judge") }
        guard count > limit else { return sequence }
        func cut(_ part: (ArraySlice<Int32>) -> ArraySlice<Int32>) -> EncodedSequence {
            EncodedSequence(
                ids: Array(part(sequence.ids[...])), segments: sequence.segments.map { Array(part($0[...])) },
                cut: sequence.cut + count - limit)
        }
        switch strategy {
        case .left: return cut { $0.suffix(limit) }
        case .right: return cut { $0.prefix(limit) }
        case .delete, .split:
            throw ModelError(
                "a text has \(count) tokens, the limit is \(limit). Raise --max_length where the model allows more, or "
                    + "cut with --truncation_strategy right.")
        }
    }
}
