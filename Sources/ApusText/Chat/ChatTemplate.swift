package import ApusJSON

/// The Jinja template that turns a conversation into the text a model was trained on.
///
/// A template is parsed once and can render on several threads at the same time. It is data, not code: see
/// `JinjaLimits` for what it may use.
///
/// ```swift
/// let template = try ChatTemplate(source: source, bosToken: "<s>", eosToken: "</s>")
/// let prompt = try template.rendered([Message(role: "user", content: "Hello")], addGenerationPrompt: true)
/// ```
public struct ChatTemplate: Sendable {
    /// The template as it was given; of several, the one named "default".
    public let source: String
    private let templates: [String: JinjaTemplate]
    /// Variables that every rendering sees: the special tokens.
    let constants: [String: String]
    private let names: [String]
    let showsDate: Bool
    /// Whether the time of the day may be shown too.
    let showsTime: Bool
    var clock: TemplateClock

    /// - Parameters:
    ///   - source: The template, from `chat_template.jinja` or `tokenizer_config.json`.
    ///   - bosToken: What the template knows as `bos_token`; nil leaves it undefined.
    ///   - eosToken: What the template knows as `eos_token`.
    ///   - specialTokens: Further special tokens by their names in `tokenizer_config.json`, such as `pad_token`.
    ///   - clock: The date for templates that show one.
    /// - Throws: `JinjaError` when the source is not a template.
    public init(
        source: String, bosToken: String? = nil, eosToken: String? = nil, specialTokens: [String: String] = [:],
        limits: JinjaLimits = JinjaLimits(), clock: TemplateClock = .system
    ) throws {
        var constants = specialTokens
        constants["bos_token"] = bosToken ?? constants["bos_token"]
        constants["eos_token"] = eosToken ?? constants["eos_token"]
        try self.init(sources: ["default": source], specialTokens: constants, limits: limits, clock: clock)
    }

    /// Several templates of one model: "tool_use" renders conversations with tools, "default" all others.
    ///
    /// - Parameter sources: The templates by their names, as `Tokenizer.chatTemplates` gives them.
    /// - Throws: `JinjaError` when one of the two is not a template.
    package init(
        sources: [String: String], specialTokens: [String: String], limits: JinjaLimits = JinjaLimits(),
        clock: TemplateClock = .system
    ) throws {
        source = sources["default"] ?? ""
        self.clock = clock
        constants = specialTokens
        names = sources.keys.sorted()
        let dated = sources.values.filter { $0.contains("strftime_now") }
        showsDate = !dated.isEmpty
        showsTime = !dated.allSatisfy(TemplateClock.namesDaysAlone)
        templates = try sources.filter { $0.key == "default" || $0.key == "tool_use" }.mapValues {
            try JinjaTemplate(source: $0, limits: limits)
        }
    }

    private func template(hasTools: Bool) throws -> JinjaTemplate {
        if hasTools, let template = templates["tool_use"] { return template }
        guard let template = templates["default"] else {
            throw JinjaError(
                .raised,
                "the model has the chat templates \(names.joined(separator: ", ")) and none named default; give one "
                    + "as chat_template.jinja in its folder")
        }
        return template
    }

    /// The text of a conversation.
    ///
    /// - Parameter addGenerationPrompt: Ends with what precedes an assistant's answer, for the model to go on.
    /// - Throws: `JinjaError`; of kind `.raised` where the template itself refuses the conversation.
    public func rendered(_ messages: [Message], addGenerationPrompt: Bool = false) throws -> String {
        try rendered(messages, tools: nil, addGenerationPrompt: addGenerationPrompt, variables: [:])
    }

    /// The text of a conversation with tools and template variables, as `apply_chat_template` of transformers gives it.
    ///
    /// - Parameters:
    ///   - tools: JSON schemas of the tools; nil when there are none.
    ///   - variables: Further variables, such as `enable_thinking`; they go before the special tokens.
    package func rendered(
        _ messages: [Message], tools: [JSONValue]?, addGenerationPrompt: Bool, variables: [String: JSONValue]
    ) throws -> String {
        let context = try ChatContext(messages: messages, tools: tools, variables: variables)
        let bytes = try rendering(context, context.messages, addGenerationPrompt: addGenerationPrompt).bytes
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text for exactly these variables and the special tokens: a template on its own, without a conversation.
    package func rendered(variables: [String: JSONValue]) throws -> String {
        let values = try variables.mapValues { try JinjaValue($0) }
        let rendering = try template(hasTools: false).rendered(
            variables: { name in values[name] ?? constants[name].map { .text($0) } }, clock: clock)
        return String(decoding: rendering.bytes, as: UTF8.self)
    }

    func rendering(
        _ context: ChatContext, _ messages: [JinjaValue], addGenerationPrompt: Bool, clock: TemplateClock? = nil
    ) throws -> JinjaTemplate.Rendering {
        let list = JinjaValue.list(JinjaList(messages, depth: messages.reduce(0) { max($0, $1.depth) } + 1))
        let hasTools = if case .none = context.tools { false } else { true }
        return try template(hasTools: hasTools).rendered(
            variables: { name in
                switch name {
                case "messages": list
                case "tools": context.tools
                case "documents": context.variables[name] ?? JinjaValue.none
                case "add_generation_prompt": .bool(addGenerationPrompt)
                default: context.variables[name] ?? constants[name].map { .text($0) }
                }
            }, clock: clock ?? self.clock)
    }
}

/// A conversation as template values, converted once for several renderings.
struct ChatContext {
    var messages: [JinjaValue]
    var tools: JinjaValue
    let variables: [String: JinjaValue]
    /// What every rendering leaves out at its beginning.
    var hiddenHead: HiddenHead?

    init(messages: [Message], tools: [JSONValue]?, variables: [String: JSONValue]) throws {
        self.messages = try messages.map { try JinjaValue(.object($0.fields)) }
        self.tools = try tools.map { try JinjaValue(.array($0)) } ?? .none
        self.variables = try variables.mapValues { try JinjaValue($0) }
    }
}
