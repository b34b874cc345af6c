extension ChatTemplate {
    /// The ChatML format, for models that come without a template.
    ///
    /// Each turn is `<|im_start|>role`, a line break, the content, `<|im_end|>` and a line break. The tokenizer
    /// must know both markers as special tokens, or the model has to learn them as text.
    public static let chatMLSource = """
        {%- for message in messages -%}
        {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
        {{- '<|im_start|>assistant\\n' -}}
        {%- endif -%}
        """

    /// The template of `chatMLSource`.
    public static func chatML(bosToken: String? = nil, eosToken: String? = nil) throws -> ChatTemplate {
        try ChatTemplate(source: chatMLSource, bosToken: bosToken, eosToken: eosToken)
    }
}
