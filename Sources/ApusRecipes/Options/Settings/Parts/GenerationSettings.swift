import ApusGeneration
import ApusJSON
import ApusText

/// How an answer is made; nil takes what the model's files say.
package struct GenerationSettings: Sendable {
    /// A text that every answer starts with.
    package var responsePrefix: String?
    /// The most tokens of one answer; nil goes on until the context is full.
    package var maxNewTokens: Int?
    /// 0 always takes the likeliest token.
    package var temperature: Double?
    /// Draw among this many likeliest tokens; -1 draws among all.
    package var topK: Int?
    /// Draw among the likeliest tokens that together have this probability.
    package var topP: Double?
    /// Draw among the tokens that have at least this share of the likeliest one's probability.
    package var minP: Double?
    /// Draw among the tokens whose information is nearest to the entropy, up to this probability.
    package var typicalP: Double?
    /// Above 1 makes tokens that were used less likely.
    package var repetitionPenalty: Double?
    /// No run of this many tokens comes twice; 0 allows all.
    package var noRepeatNgramSize: Int?
    /// How many beginnings a beam search follows; 1 goes token by token.
    package var numBeams = 1
    /// The power of the length by which a beam search divides; above 0 favours long answers.
    package var lengthPenalty: Double?
    /// When a beam search ends: `true`, `false` or `never`.
    package var earlyStopping: String?
    /// Answers to each row.
    package var numReturnSequences = 1
    /// Whether results hold the logarithm of each token's probability.
    package var logprobs = false
    /// How many of the likeliest tokens those results name at each place.
    package var topLogprobs: Int?
    /// A regular expression that answers match as a whole.
    package var structuredOutputsRegex: String?
    /// A JSON schema of the values that answers are.
    package var structuredOutputsJSON: String?
    /// Texts of which an answer is one.
    package var structuredOutputsChoice: [String] = []
    /// Texts that end an answer.
    package var stopWords: [String] = []

    package init() {}
}

extension GenerationSettings: SettingsPart {
    package static let fields: [SettingsField<GenerationSettings>] = [
        SettingsField("response_prefix", \.responsePrefix),
        SettingsField("max_new_tokens", \.maxNewTokens),
        SettingsField("temperature", \.temperature),
        SettingsField("top_k", \.topK),
        SettingsField("top_p", \.topP),
        SettingsField("min_p", \.minP),
        SettingsField("typical_p", \.typicalP),
        SettingsField("repetition_penalty", \.repetitionPenalty),
        SettingsField("no_repeat_ngram_size", \.noRepeatNgramSize),
        SettingsField("num_beams", \.numBeams),
        SettingsField("length_penalty", \.lengthPenalty),
        SettingsField("early_stopping", \.earlyStopping),
        SettingsField("num_return_sequences", \.numReturnSequences),
        SettingsField("logprobs", \.logprobs),
        SettingsField("top_logprobs", \.topLogprobs),
        SettingsField("structured_outputs_regex", \.structuredOutputsRegex),
        SettingsField("structured_outputs_json", \.structuredOutputsJSON),
        SettingsField("structured_outputs_choice", \.structuredOutputsChoice),
        SettingsField("stop_words", \.stopWords),
    ]
}

extension GenerationSettings {
    /// What tasks have a use for that answer with texts.
    static let options = Set(fields.map(\.name)).subtracting(["response_prefix"]).union(["metric", "compare"])

    /// What answers are held to; nil leaves them free.
    ///
    /// - Throws: `SettingsError` for one that cannot be followed.
    func grammar() throws -> ByteGrammar? {
        let makers: [(option: String, make: () throws -> ByteGrammar?)] = [
            ("structured_outputs_regex", { try structuredOutputsRegex.map { try ByteGrammar(regex: $0) } }),
            (
                "structured_outputs_json",
                { try structuredOutputsJSON.map { try ByteGrammar(jsonSchema: JSONValue(parsing: $0)) } }
            ),
            (
                "structured_outputs_choice",
                { structuredOutputsChoice.isEmpty ? nil : try ByteGrammar(choices: structuredOutputsChoice) }
            ),
        ]
        let found = try makers.compactMap { option, make in
            do {
                return try make().map { (option, $0) }
            } catch {
                throw SettingsError("--\(option): \(error).")
            }
        }
        guard found.count < 2 else {
            throw SettingsError(
                "--\(found[0].0) and --\(found[1].0): an answer is held to one of them; leave the other out.")
        }
        return found.first?.1
    }

    func check() throws {
        let isHeld = try grammar() != nil
        if numBeams > 1 {
            if let temperature, temperature > 0 {
                throw SettingsError(
                    "--num_beams \(numBeams) and --temperature \(temperature): a beam search draws nothing. Leave one out."
                )
            }
            if logprobs || isHeld {
                throw SettingsError(
                    "--num_beams \(numBeams) does not go with \(logprobs ? "--logprobs" : "--structured_outputs_…"), which "
                        + "follow one answer. Leave one out.")
            }
            guard numReturnSequences <= numBeams else {
                throw SettingsError(
                    "--num_return_sequences \(numReturnSequences): a search with --num_beams \(numBeams) finds no more than that."
                )
            }
        }
        if topLogprobs != nil, !logprobs { throw SettingsError("--top_logprobs: give --logprobs true with it.") }
    }
}
