import ApusJSON
import Foundation
import Testing

@testable import ApusText

/// A tokenizer for tests: markers such as `<|im_end|>`, `</s>` or `[INST]` are one token each, other text is bytes.
@Sendable private func tokenize(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    var rest = Substring(text)
    let marker = /<\/?[|｜]?[a-z_▁]{1,20}[|｜]?>|\[\/?[A-Z_]{2,20}\]/
    while !rest.isEmpty {
        if let match = rest.prefixMatch(of: marker) {
            ids.append(match.0.utf8.reduce(1000) { ($0 &* 31 &+ Int32($1)) & 0xFFFFFF } + 256)
            rest = rest[match.range.upperBound...]
        } else {
            ids += rest.removeFirst().utf8.map { Int32($0) }
        }
    }
    return ids
}

struct ChatEncoderTests {
    private static let rounds = [
        Message(role: "user", content: "one"), Message(role: "assistant", content: "uno"),
        Message(role: "user", content: "two"), Message(role: "assistant", content: "dos"),
    ]
    private static let withSystem = [Message(role: "system", content: "SYS")] + rounds

    /// The trained texts of a conversation.
    private func trained(
        _ template: ChatTemplate, _ messages: [Message], tools: [JSONValue]? = nil,
        variables: [String: JSONValue] = [:], training: LossScale = .everyAnswer
    ) throws -> [String] {
        let encoder = ChatEncoder(template: template, tokenize: tokenize)
        let pieces = try encoder.pieces(messages, tools: tools, variables: variables, training: training)
        let text = try template.rendered(messages, tools: tools, addGenerationPrompt: false, variables: variables)
        #expect(pieces.map(\.text).joined() == text)
        let encoded = try encoder.encoded(messages, tools: tools, variables: variables, training: training)
        #expect(encoded.ids == pieces.flatMap { tokenize($0.text) })
        #expect(encoded.ids.count == encoded.isTrained.count)
        #expect(encoded.isTrained.first != true)
        return pieces.filter(\.isTrained).map(\.text)
    }

    private func real(_ name: String) throws -> ChatTemplate {
        let file = try #require(sharedFixtures("jinja/templates/\(name).jinja"))
        return try ChatTemplate(
            source: String(decoding: Data(contentsOf: file), as: UTF8.self), bosToken: "<s>", eosToken: "</s>")
    }

    // MARK: - Own templates

    @Test func chatMLTrainsAnswersAndTheirEnds() throws {
        let template = try ChatTemplate.chatML()
        #expect(try trained(template, Self.withSystem) == ["uno<|im_end|>\n", "dos<|im_end|>\n"])
        #expect(try trained(template, Self.rounds, training: .lastRound) == ["dos<|im_end|>\n"])
        #expect(try trained(template, Array(Self.rounds.dropLast())) == ["uno<|im_end|>\n"])
        let all = try trained(template, Self.rounds, training: .all)
        #expect(all == [try template.rendered(Self.rounds)])
    }

    @Test func lossOfAMessageWins() throws {
        let template = try ChatTemplate.chatML()
        var messages = Self.rounds
        messages[1].isTrained = false
        #expect(try trained(template, messages) == ["dos<|im_end|>\n"])
        messages[1].isTrained = true
        messages[3].isTrained = false
        #expect(try trained(template, messages, training: .lastRound) == ["uno<|im_end|>\n"])
        let all = try trained(template, messages, training: .all)
        #expect(all.last?.hasSuffix("<|im_start|>assistant\n") == true)
        messages[0].isTrained = true
        #expect(throws: ChatTrainingError.self) { try trained(template, messages) }
        messages[0].isTrained = false
        #expect(try trained(template, messages) == ["uno<|im_end|>\n"])
    }

    @Test func boundariesOfTextAreBoundariesOfTokens() throws {
        let encoder = ChatEncoder(template: try .chatML(), tokenize: tokenize)
        let encoded = try encoder.encoded(Self.rounds)
        let prompt = try encoder.generationPrompt(Array(Self.rounds.dropLast()))
        #expect(Array(encoded.ids.prefix(prompt.count)) == prompt)
        #expect(encoded.isTrained[prompt.count - 1] == false)
        #expect(encoded.isTrained[prompt.count...].allSatisfy { $0 })
        #expect(encoded.trainedCount == 2 * tokenize("uno<|im_end|>\n").count)
    }

    @Test func generationBlocksSayWhatIsTrained() throws {
        let source = """
            {% for m in messages %}{% if m.role == 'assistant' %}[A]{% generation %}{{ m.content }}</s>{% endgeneration %}\
            {% if m.tail is defined %}{% generation %}+{% endgeneration %}{% endif %}{% else %}[Q]{{ m.content }}{% endif %}\
            {% endfor %}
            """
        let template = try ChatTemplate(source: source)
        #expect(try trained(template, Self.rounds) == ["uno</s>", "dos</s>"])
        var messages = Self.rounds
        messages[1].isTrained = false
        #expect(try trained(template, messages) == ["dos</s>"])
        messages[1].fields["tail"] = .bool(true)
        #expect(try trained(template, messages) == ["dos</s>"])
    }

    @Test func zephyrAndLlama2LikeTemplates() throws {
        let zephyr = try ChatTemplate(
            source: """
                {% for m in messages %}
                {{ '<|' + m.role + '|>\\n' + m.content + eos_token }}
                {% if loop.last and add_generation_prompt %}
                {{ '<|assistant|>' }}
                {% endif %}
                {% endfor %}
                """, eosToken: "</s>")
        #expect(try trained(zephyr, Self.withSystem) == ["uno</s>\n", "dos</s>\n"])
        let llama2 = try ChatTemplate(
            source: """
                {% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}\
                {% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}
                """, bosToken: "<s>", eosToken: "</s>")
        #expect(try trained(llama2, Self.rounds) == [" uno </s>", " dos </s>"])
    }

    @Test func rewrittenHistoryIsAligned() throws {
        // Thoughts of earlier turns are dropped, and the system text stands in the last user turn.
        let source = """
            {%- for m in messages -%}
            {%- if m.role == 'user' -%}[INST]{% if m == (messages|selectattr('role', 'equalto', 'user')|list)[-1] %}SYS {% endif %}{{ m.content }}[/INST]
            {%- elif m.role == 'assistant' -%}
            {{ m.content if loop.last else m.content.split('</think>')[-1].strip() }}</s>
            {%- endif -%}
            {%- endfor -%}
            {%- if add_generation_prompt -%}<think>{%- endif -%}
            """
        var messages = Self.rounds
        messages[1].text = "<think>hm</think> uno"
        messages[3].text = "<think>so</think> dos"
        // The prompt holds "<think>", which the first answer lacks and the last one has.
        #expect(try trained(ChatTemplate(source: source), messages) == ["uno</s>", "so</think> dos</s>"])
    }

    @Test func whatCannotBeDelimitedIsRefused() throws {
        let shouting = try ChatTemplate(source: "{% for m in messages %}{{ m.content * messages|length }}{% endfor %}")
        let error = #expect(throws: ChatBoundaryError.self) { try trained(shouting, Self.rounds) }
        #expect(error?.description.contains("message 2") == true)
        let closed = try ChatTemplate(
            source: "{% if messages|length < 4 %}{{ raise_exception('short') }}{% endif %}{{ messages }}")
        #expect(throws: ChatBoundaryError.self) { try trained(closed, Self.rounds) }
        // Nothing to train needs no boundary.
        #expect(try trained(shouting, [Message(role: "user", content: "x")]).isEmpty)
    }

    /// Conversations with the labels that another trainer (axolotl) gave them.
    ///
    /// Its tokenizer is not at hand, so the number of trained runs is compared, and what stands before each and at its
    /// end.
    @Test(
        .enabled(if: sharedFixtures("data/axolotl-sft-label-vectors") != nil, "no shared/fixtures beside the checkout"))
    func axolotlLabelsAgree() throws {
        func read(_ name: String) throws -> JSONValue {
            let file = try #require(sharedFixtures("data/axolotl-sft-label-vectors/\(name).json"))
            return try JSONValue(parsing: Data(contentsOf: file))
        }
        let turns = try #require(try read("conversation")["conversations"]?.arrayValue)
        let messages = turns.map {
            Message(
                role: $0["from"]?.stringValue == "gpt" ? "assistant" : "user", content: $0["value"]?.stringValue ?? "")
        }
        let vicuna = try ChatTemplate(
            source: """
                {{ bos_token }}{% for m in messages %}{% if m.role == 'user' %} USER: {{ m.content }} ASSISTANT:{% else %} \
                {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}
                """, bosToken: "<s>", eosToken: "</s>")
        let llama2 = try ChatTemplate(
            source: """
                {% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]{% else %} \
                {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}
                """, bosToken: "<s>", eosToken: "</s>")
        // The ids of "ASSISTANT:" and of " [/INST]" in the tokenizer of Llama.
        let cases: [(String, ChatTemplate, [Int], String)] = [
            ("conversation.tokenized", vicuna, [319, 1799, 9047, 13566, 29901], " ASSISTANT:"),
            ("conversation.tokenized_llama2chat", llama2, [518, 29914, 25580, 29962], " [/INST]"),
        ]
        for (name, template, prompt, promptText) in cases {
            let vector = try read(name)
            let ids = try #require(vector["input_ids"]?.arrayValue).compactMap(\.intValue)
            let labels = try #require(vector["labels"]?.arrayValue).compactMap(\.intValue)
            let starts = labels.indices.filter { labels[$0] != -100 && ($0 == 0 || labels[$0 - 1] == -100) }
            let pieces = try ChatEncoder(template: template, tokenize: tokenize).pieces(messages)
            #expect(pieces.filter(\.isTrained).count == starts.count)
            for start in starts { #expect(Array(ids[(start - prompt.count)..<start]) == prompt) }
            for (piece, next) in zip(pieces, pieces.dropFirst()) where next.isTrained {
                #expect(piece.text.hasSuffix(promptText))
                #expect(next.text.hasSuffix("</s>"))
            }
            for start in starts.dropLast() {
                let end = try #require(labels[start...].firstIndex(of: -100))
                #expect(ids[end - 1] == 2)
            }
        }
    }

    // MARK: - Templates of real models; skipped where they do not lie beside the checkout

    static let hasTemplates = sharedFixtures("jinja/templates") != nil

    @Test(.enabled(if: hasTemplates)) func realTemplates() throws {
        let qwen = try real("Qwen-Qwen2.5-7B-Instruct")
        #expect(try trained(qwen, Self.rounds) == ["uno<|im_end|>\n", "dos<|im_end|>\n"])
        #expect(try trained(qwen, Self.withSystem) == ["uno<|im_end|>\n", "dos<|im_end|>\n"])
        let llama = try real("meta-llama-Llama-3.2-3B-Instruct")
        #expect(try trained(llama, Self.withSystem) == ["uno<|eot_id|>", "dos<|eot_id|>"])
        let nemo = try real("mistralai-Mistral-Nemo-Instruct-2407")
        #expect(try trained(nemo, Self.withSystem) == ["uno</s>", "dos</s>"])
        let gemma = try real("google-gemma-2-2b-it")
        #expect(try trained(gemma, Self.rounds) == ["uno<end_of_turn>\n", "dos<end_of_turn>\n"])
        // Phi ends a conversation with a token of its own, which only the last answer has.
        let phi = try real("microsoft-Phi-3.5-mini-instruct")
        #expect(try trained(phi, Self.withSystem) == ["uno<|end|>\n", "dos<|end|>\n</s>"])
        let deepSeek = try real("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B")
        #expect(try trained(deepSeek, Self.withSystem) == ["uno<｜end▁of▁sentence｜>", "dos<｜end▁of▁sentence｜>"])
    }

    /// Every template that renders the conversation must give spans that hold the answers, or refuse by name.
    @Test(.enabled(if: hasTemplates)) func everyRealTemplateGivesSpans() throws {
        let folder = try #require(sharedFixtures("jinja/templates"))
        var refused: [String] = []
        var counted = 0
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasSuffix(".jinja") {
            let name = String(file.dropLast(6))
            let template = try real(name)
            for messages in [Self.rounds, Self.withSystem] {
                guard (try? template.rendered(messages)) != nil else { continue }
                counted += 1
                do {
                    let texts = try trained(template, messages)
                    #expect(texts.count == 2, "\(name): \(texts)")
                    #expect(
                        texts.first?.contains("uno") == true && texts.last?.contains("dos") == true, "\(name): \(texts)"
                    )
                    #expect(texts.allSatisfy { !$0.contains("one") && !$0.contains("two") }, "\(name): \(texts)")
                } catch let error as ChatBoundaryError { refused.append("\(name): \(error)") }
            }
        }
        print(refused.joined(separator: "\n"))
        #expect(counted > 60)
        #expect(refused.count <= 2, "\(refused)")
    }
}
