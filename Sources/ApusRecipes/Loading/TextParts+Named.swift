import ApusJSON
import ApusText

extension TextParts {
    /// ms-swift's words for texts that are encoded without turns, or as the model's own template has it.
    private static let own: Set<String> = [
        "dummy", "bge_reranker", "bert", "qwen3_emb", "qwen3_reranker", "gemma_emb", "modern_bert", "qwen3_5",
        "qwen3_mixed",
    ]
    /// Words of ms-swift that Apus has no template for, with the reason.
    private static let refused = [
        "generic_decision": "it is for decision models", "qwen2_5_math_prm": "it is for models that judge steps",
    ]

    /// Whether the model's own template looks at a variable.
    private func isRead(_ variable: String) -> Bool {
        tokenizer.chatTemplates.values.contains { $0.contains(variable) }
    }

    /// Takes the template that the settings name.
    mutating func choose(_ settings: EncodingSettings) throws {
        guard settings.useChatTemplate else { return }
        guard settings.templateBackend == .swift, let name = settings.template, !Self.own.contains(name) else {
            if let name = settings.template {
                notices.append("--template \(name): the chat template in the model's folder is used")
            }
            if let agent = settings.agentTemplate {
                throw SettingsError(
                    "--agent_template \(agent): the template in the model's folder writes tools in its own way. Give a "
                        + "--template by name with it, or leave it out.")
            }
            if !settings.addNonThinkingPrefix {
                notices.append(
                    "--add_non_thinking_prefix is without effect: the template in the model's folder decides")
            }
            for name in settings.templateVariables.keys.sorted() where !isRead(name) {
                notices.append("--\(name) is without effect: the chat template does not read it")
            }
            return
        }
        if let reason = Self.refused[name] {
            throw SettingsError(
                "--template \(name): not supported, because \(reason). Leave it out for the template in the model's folder."
            )
        }
        guard let template = NamedTemplate.named(name) else {
            let near = NearestNames.find(name, among: NamedTemplate.names).first
            throw SettingsError(
                "--template \(name): no text template has this name\(near.map { " (did you mean \($0)?)" } ?? ""). There are "
                    + "\(NamedTemplate.names.joined(separator: ", ")). Leave it out for the one in the model's folder.")
        }
        let options = NamedTemplateOptions(
            agent: settings.agentTemplate, enablesThinking: settings.enableThinking,
            preservesThinking: settings.preserveThinking, addsNonThinkingPrefix: settings.addNonThinkingPrefix)
        do {
            let tokenizer = tokenizer
            try use(
                ChatEncoder(named: template, options: options, tokens: NamedTemplateTokens(tokenizer)) {
                    tokenizer.encode($0, addSpecialTokens: false)
                })
        } catch let error as ChatTrainingError {
            throw SettingsError(error.description + ".")
        }
    }
}

extension EncodingSettings {
    /// What a Jinja template is told beside the conversation.
    var templateVariables: [String: JSONValue] {
        var variables: [String: JSONValue] = [:]
        if let enableThinking { variables["enable_thinking"] = .bool(enableThinking) }
        if let preserveThinking { variables["preserve_thinking"] = .bool(preserveThinking) }
        return variables
    }
}
