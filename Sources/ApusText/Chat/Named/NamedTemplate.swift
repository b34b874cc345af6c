import ApusJSON

/// A chat template as ms-swift defines them: pieces of text around questions and answers, known by a name.
package struct NamedTemplate: Sendable {
    /// A piece of a template.
    enum Part: Sendable, Equatable {
        /// Text, in which `{{QUERY}}`, `{{SYSTEM}}`, `{{ROUND0}}` and `{{ROUND1}}` stand for what is said.
        case text(String)
        /// The token that begins a sequence.
        case beginning
        /// The token that ends it.
        case end
        case ids([Int32])

        var text: String? {
            if case .text(let text) = self { text } else { nil }
        }
    }

    /// What a template does beyond its pieces.
    enum Variant: String, Sendable {
        case glm4 = "GLM4"
        case glm45 = "GLM4_5"
        case glm52 = "GLM5_2"
        case glm53 = "GLM5_3"
        case deepSeek31 = "DeepseekV3_1"
        case deepSeek4 = "DeepseekV4"
        case deepSeek4Flash = "DeepseekV4Flash"
        case gemma3 = "Gemma3"
        case gpt = "Gpt"
        case hunyuan = "Hunyuan"
        case hunyuan3Preview = "HyV3Preview"
        case hunyuan3 = "HyV3"
        case ling3 = "Ling3"
        case youtu = "YoutuLLM"
        case ernie = "ErnieThinking"
        case spark = "Spark2_5"
        case xing = "Xing4_0"
        case seed = "Seed"
        case qwen3Embedding = "Qwen3Emb"
    }

    package let name: String
    /// How a conversation without a system text begins.
    let prefix: [Part]
    /// How one with a system text begins; nil where there can be none.
    let systemPrefix: [Part]?
    let prompt: [Part]
    /// The last prompt of a template whose system text stands there.
    let systemPrompt: [Part]?
    /// What stands between rounds; nil where only the last is written.
    let separator: [Part]?
    let suffix: [Part]
    let defaultSystem: String?
    /// Whether a sequence begins and ends as the tokenizer has it.
    let addsTokens: Bool
    let stopWords: [String]
    let agent: String?
    let isThinking: Bool
    let thinkingPrefix: String
    let nonThinkingPrefix: String
    let historyPrefix: String
    /// Whether thoughts of earlier answers stay, where the template decides that.
    let preservesThinking: Bool?
    let variant: Variant?

    private init(_ json: JSONValue) {
        func text(_ key: String) -> String { json[key]?.stringValue ?? "" }
        func parts(_ key: String) -> [Part]? {
            json[key]?.arrayValue?.map { part in
                if let text = part.stringValue { return .text(text) }
                switch part[0]?.stringValue {
                case "bos_token_id": return .beginning
                case "eos_token_id": return .end
                default: return .ids((part.arrayValue ?? []).compactMap { $0.intValue.flatMap(Int32.init(exactly:)) })
                }
            }
        }
        name = text("name")
        prefix = parts("prefix") ?? []
        systemPrefix = parts("system_prefix")
        prompt = parts("prompt") ?? []
        systemPrompt = parts("system_prompt")
        separator = parts("chat_sep")
        suffix = parts("suffix") ?? []
        defaultSystem = json["system"]?.stringValue
        addsTokens = json["bos"]?.boolValue ?? false
        stopWords = (json["stop"]?.arrayValue ?? []).compactMap(\.stringValue)
        agent = json["agent"]?.stringValue
        isThinking = json["thinks"]?.boolValue ?? false
        thinkingPrefix = text("thinking")
        nonThinkingPrefix = text("non_thinking")
        historyPrefix = text("history")
        preservesThinking = json["preserves"]?.boolValue
        variant = json["variant"]?.stringValue.flatMap(Variant.init)
    }

    private static let all: [String: NamedTemplate] = {
        let lines = table.split(separator: "\n")
        let templates = lines.compactMap { try? NamedTemplate(JSONValue(parsing: String($0))) }
        return Dictionary(templates.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }()

    /// The names of all, in order.
    package static var names: [String] { all.keys.sorted() }

    /// The names of all ways to write tools, in order.
    package static var agentNames: [String] { AgentTemplate.named.keys.sorted() }

    /// The template of a name, or nil.
    package static func named(_ name: String) -> NamedTemplate? { all[name] }

    /// Bare texts: what ms-swift calls the generation template.
    ///
    /// - Parameter ends: Whether the tokenizer has a token that ends a sequence.
    static func bareTexts(ends: Bool) -> NamedTemplate {
        NamedTemplate([
            "name": "generation", "prompt": ["{{QUERY}}"], "suffix": ends ? [["eos_token_id"]] : [], "bos": true,
        ])
    }

    /// Whether the model thinks where it is asked to, and else begins with a mark of no thoughts.
    var thinksOnRequest: Bool { isThinking && !nonThinkingPrefix.isEmpty }

    /// Whether a system text can be written.
    var takesSystem: Bool { systemPrefix != nil || systemPrompt != nil }
}

/// What a user decides about a named template.
package struct NamedTemplateOptions: Sendable, Equatable {
    /// How tools are written; nil leaves it to the template (`--agent_template`).
    package var agent: String?
    /// Whether an answer is to begin with thoughts (`--enable_thinking`).
    package var enablesThinking: Bool?
    /// Whether thoughts of earlier answers stay (`--preserve_thinking`).
    package var preservesThinking: Bool?
    /// Whether answers without thoughts are learned behind the mark of none (`--add_non_thinking_prefix`).
    package var addsNonThinkingPrefix: Bool

    package init(
        agent: String? = nil, enablesThinking: Bool? = nil, preservesThinking: Bool? = nil,
        addsNonThinkingPrefix: Bool = true
    ) {
        self.agent = agent
        self.enablesThinking = enablesThinking
        self.preservesThinking = preservesThinking
        self.addsNonThinkingPrefix = addsNonThinkingPrefix
    }
}
