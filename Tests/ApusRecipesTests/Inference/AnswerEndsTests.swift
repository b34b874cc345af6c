import Testing

@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusRecipes
@testable import ApusText

/// Where answers end, and what is shown of them until then.
struct AnswerEndsTests {
    static let endOfText: Int32 = 256
    static let endOfTurn: Int32 = 258

    static func ends(
        template: String?, words: [String] = [], files: [String: String] = [:], usesTemplate: Bool = true
    ) throws -> (AnswerEnds, LanguageModel) {
        let folder = try TinyModelFolder.chat(template: template, files: files)
        let language = try LanguageModel(folder.path)
        return (try language.answerEnds(language.generation(), words: words, usesTemplate: usesTemplate), language)
    }

    /// A base model: its own end is `<|endoftext|>`, the template's is `<|im_end|>`.
    @Test func theTemplatesSuffixIsAnEnd() throws {
        let (ends, _) = try Self.ends(template: TinyModelFolder.chatML)
        #expect(ends.tokens == [Self.endOfText, Self.endOfTurn])
        #expect(ends.stops.isEmpty && ends.sequences.isEmpty)
        // Without a template ChatML is the fallback, in training too.
        #expect(try Self.ends(template: nil).0.tokens == [Self.endOfText, Self.endOfTurn])
        #expect(try Self.ends(template: TinyModelFolder.chatML, usesTemplate: false).0.tokens == [Self.endOfText])
    }

    @Test(
        arguments: [
            // A text of several tokens.
            ("{% for m in messages %}[{{ m.role }}]{{ m.content }}[/{{ m.role }}]\n{% endfor %}", ["[/assistant]"]),
            // Marked as generated.
            (
                "{% for m in messages %}{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}</a>"
                    + "{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}", ["</a>"]
            ),
            // Nothing but a line break, which answers hold.
            (
                "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                    + "{% if add_generation_prompt %}assistant: {% endif %}", []
            ),
        ])
    func textsAreStops(template: String, stops: [String]) throws {
        let (ends, _) = try Self.ends(template: template)
        #expect(ends.tokens == [Self.endOfText])
        #expect(Set(ends.stops.map(\.text)) == Set(stops))
        #expect(ends.stops.allSatisfy { !$0.isKept })
    }

    @Test func everyEndOfTheFilesAndTheWords() throws {
        let (ends, _) = try Self.ends(
            template: "{% for m in messages %}{{ m.content }}{% endfor %}",
            words: ["###", "<|im_start|>", "a<|im_end|>", ""],
            files: ["generation_config.json": #"{"eos_token_id": [65, 66]}"#])
        #expect(ends.tokens == [Self.endOfText, 257, 65, 66])
        #expect(ends.stops == [.init(text: "###", isKept: true)])
        #expect(ends.sequences == [[97, Self.endOfTurn]])
    }

    // MARK: - Text

    /// Pieces as they are shown, and the whole.
    func shown(_ text: String, _ ends: AnswerEnds, _ language: LanguageModel) -> (pieces: [String], text: String) {
        var answer = AnswerText(language.tokenizer, ends: ends)
        var pieces: [String] = []
        for id in language.tokenizer.encode(text, addSpecialTokens: false) where !answer.isStopped {
            pieces.append(answer.append(id))
        }
        pieces.append(answer.finish())
        return (pieces, answer.text)
    }

    @Test func aSuffixIsNeverShown() throws {
        let (ends, language) = try Self.ends(
            template: "{% for m in messages %}[{{ m.role }}]{{ m.content }}[/{{ m.role }}]\n{% endfor %}")
        let stopped = shown("one [/assis [/assistant]\n[user]", ends, language)
        #expect(stopped.text == "one [/assis ")
        #expect(stopped.pieces.joined() == stopped.text)
        // What only began like the suffix comes when that is certain, or at the end.
        let whole = shown("two [/assist", ends, language)
        #expect(whole.text == "two [/assist")
        #expect(whole.pieces.joined() == whole.text)
        #expect(whole.pieces.dropLast().joined() == "two ")
    }

    @Test func aStopWordIsKept() throws {
        let (ends, language) = try Self.ends(template: nil, words: ["世界", "stop"])
        let stopped = shown("你好世界!", ends, language)
        #expect(stopped.text == "你好世界")
        #expect(stopped.pieces.joined() == stopped.text)
        #expect(shown("stostop it", ends, language).text == "stostop")
        #expect(shown("nothing", ends, language).text == "nothing")
    }

    @Test func aStopWordWithASpecialTokenIsFound() throws {
        let (ends, language) = try Self.ends(
            template: "{% for m in messages %}{{ m.content }}{% endfor %}", words: ["a<|im_end|>"])
        #expect(shown("bb<|im_end|>a<|im_end|>c", ends, language).text == "bb<|im_end|>a<|im_end|>")
    }

    /// Special tokens that end nothing are part of the answer, as in ms-swift; padding is not.
    @Test func specialTokensAreText() throws {
        let (ends, language) = try Self.ends(template: TinyModelFolder.chatML)
        #expect(shown("<|im_start|>call\n{}<|endoftext|>!", ends, language).text == "<|im_start|>call\n{}!")
        var text = AnswerText(language.tokenizer, ends: ends, skipsSpecialTokens: true)
        for id in language.tokenizer.encode("a<|im_start|>b", addSpecialTokens: false) { text.append(id) }
        _ = text.finish()
        #expect(text.text == "ab")
    }

    /// Of answers that are measured while training, and of the wanted ones, whose end is learned.
    @Test func answersThatAreMeasured() throws {
        let (ends, language) = try Self.ends(template: TinyModelFolder.chatML)
        func text(_ wanted: String, skipping: Bool) -> String {
            let evaluation = AnswerEvaluation(
                generator: TokenGenerator(language.model, sampling: Sampling(), endTokens: ends.tokens),
                tokenizer: language.tokenizer, limit: 4, ends: ends, skipsSpecialTokens: skipping)
            return evaluation.text(language.tokenizer.encode(wanted, addSpecialTokens: false))
        }
        #expect(text("<|im_start|>call<|im_end|>\n", skipping: false) == "<|im_start|>call")
        #expect(text("<|im_start|>call<|im_end|>\n", skipping: true) == "call")
        #expect(text("<|im_start|>call", skipping: false) == "<|im_start|>call")
    }

    /// Where the tokenizer asks for it, spaces before punctuation are no part of what is compared.
    @Test func spacesOfAnswersThatAreMeasured() throws {
        let configuration = """
            {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
             "clean_up_tokenization_spaces": true,
             "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true}
            """
        let (ends, language) = try Self.ends(template: nil, files: ["tokenizer_config.json": configuration])
        let evaluation = AnswerEvaluation(
            generator: TokenGenerator(language.model, sampling: Sampling(), endTokens: ends.tokens),
            tokenizer: language.tokenizer, limit: 4, ends: ends, skipsSpecialTokens: false)
        let ids = language.tokenizer.encode("yes , <|endoftext|>it is n't .<|im_end|>", addSpecialTokens: false)
        #expect(evaluation.text(ids) == "yes, it isn't.")
    }

    /// What the prompt began the answer with comes first, and ends nothing.
    @Test func aPrefixIsPartOfTheText() throws {
        let (ends, language) = try Self.ends(template: nil, words: ["stop"])
        var text = AnswerText(language.tokenizer, ends: ends, prefix: "stop: sto")
        var pieces = language.tokenizer.encode("p it stop it", addSpecialTokens: false).map { text.append($0) }
        pieces.append(text.finish())
        #expect(text.text == "stop: stop it stop" && pieces.joined() == text.text)
        #expect(pieces[0] == "stop: stop")
        var empty = AnswerText(language.tokenizer, ends: ends, prefix: "<think>\n")
        #expect(empty.finish() == "<think>\n" && empty.text == "<think>\n")
    }
}
