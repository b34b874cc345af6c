import ApusText
import Testing

@testable import ApusRecipes

/// Chat templates in the language of Ollama's.
struct OllamaTests {
    private static let chatML = """
        {% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
        """

    private static func turns(_ source: String, beginning: String? = nil) throws -> OllamaTurns? {
        OllamaTurns(
            try ChatTemplate(source: source, bosToken: "<s>", eosToken: "</s>"), beginning: beginning)
    }

    @Test func chatMLIsSaid() throws {
        let turns = try #require(try Self.turns(Self.chatML))
        #expect(
            turns.template == """
                {{ if .System }}<|im_start|>system
                {{ .System }}<|im_end|>
                {{ end }}{{ if .Prompt }}<|im_start|>user
                {{ .Prompt }}<|im_end|>
                <|im_start|>assistant
                {{ end }}{{ .Response }}<|im_end|>

                """)
        #expect(turns.stop == "<|im_end|>")
        #expect(turns.standardSystem == nil)
    }

    @Test func aStandardSystemTextIsFound() throws {
        let source =
            "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are Bird.<|im_end|>\\n' }}{% endif %}"
            + Self.chatML
        let turns = try #require(try Self.turns(source))
        #expect(turns.standardSystem == "You are Bird.")
        #expect(turns.template == (try #require(try Self.turns(Self.chatML))).template)
        let file = OllamaModelfile(
            file: "a.gguf", template: try ChatTemplate(source: source), beginning: nil,
            ends: ["<|im_end|>", "User:", "a\"b"])
        #expect(file.text.hasPrefix("FROM ./a.gguf\nTEMPLATE \"\"\"{{ if .System }}"))
        #expect(
            file.text.hasSuffix(
                "SYSTEM \"\"\"You are Bird.\"\"\"\nPARAMETER stop \"<|im_end|>\"\nPARAMETER stop \"User:\"\n"
                    + "PARAMETER stop \"\"\"a\"b\"\"\"\n"))
    }

    @Test func llama3IsSaidWithoutItsFirstToken() throws {
        let source = """
            {{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + \
            m['content'] + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}\
            {{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
            """
        let turns = try #require(try Self.turns(source, beginning: "<s>"))
        #expect(turns.template.hasPrefix("{{ if .System }}<|start_header_id|>system<|end_header_id|>\n\n{{ .System }}"))
        #expect(turns.stop == "<|eot_id|>")
        // Where no reader adds the token, each turn would begin with it.
        #expect(try Self.turns(source) == nil)
    }

    @Test func systemTextsInsideThePromptAreSaid() throws {
        let source = """
            {{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set s = messages[0]['content'] + '\\n\\n' %}\
            {% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}{% for m in messages %}\
            {% if m['role'] == 'user' %}{{ '[INST] ' + (s if loop.first else '') + m['content'] + ' [/INST]' }}\
            {% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}
            """
        let turns = try #require(try Self.turns(source, beginning: "<s>"))
        #expect(
            turns.template.contains("{{ if .Prompt }}[INST] {{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}"))
        // The space before an answer is the chat template's, which asks without it.
        #expect(
            turns.template.hasSuffix("{{ .Prompt }} [/INST]{{ end }}{{ if .Response }} {{ .Response }}{{ end }}</s>"))
        #expect(turns.stop == "</s>")
    }

    /// What no template of Ollama says: a turn that depends on its number, a template that refuses, none at all.
    @Test func othersAreLeftToTheFile() throws {
        for source in [
            "{% for m in messages %}{{ loop.index ~ m['role'] + m['content'] + '<|end|>' }}{% endfor %}",
            "{{ raise_exception('no') }}", "{{ messages }}",
            "{% for m in messages %}{{ '{{' + m['role'] + m['content'] + '<|end|>' }}{% endfor %}",
        ] { #expect(try Self.turns(source) == nil, "\(source)") }
        let file = OllamaModelfile(
            file: "a.gguf", template: try ChatTemplate(source: "{{ messages }}"), beginning: nil, ends: [])
        #expect(file.text.contains("# The model's chat template"))
        let bare = OllamaModelfile(file: "a.gguf", template: nil, beginning: nil, ends: ["</s>", "</s>"])
        #expect(bare.text == "FROM ./a.gguf\nPARAMETER stop \"</s>\"\n")
    }
}
