package import ApusDatasets
package import ApusText

/// Who writes the text of a conversation.
package enum TemplateBackend: String, Sendable, CaseIterable {
    /// The template of a name, where one is given.
    case swift
    /// The Jinja template in the model's folder.
    case jinja
}

/// How rows become tokens, and which of them are learned: what ms-swift calls the template.
package struct EncodingSettings: Sendable {
    /// The system prompt of rows that bring none; nil takes the template's.
    package var system: String?
    /// The most tokens of one sample or prompt; nil takes the model's limit.
    package var maxLength: Int?
    private var givenTruncationStrategy: TruncationStrategy?
    /// What happens to a longer one where the method of a run has a way of its own.
    var usualTruncation: TruncationStrategy?
    /// Whether to use the chat template, or the bare text.
    package var useChatTemplate = true
    /// One of ms-swift's templates, by its name; nil takes the model's own.
    package var template: String?
    /// Whether a named template writes the text, or the model's own.
    package var templateBackend = TemplateBackend.swift
    /// How a named template writes tools; nil takes its own way.
    package var agentTemplate: String?
    /// Whether a model that can think is to; nil takes the template's default.
    package var enableThinking: Bool?
    /// Whether thoughts of earlier answers stay; nil takes the template's default.
    package var preserveThinking: Bool?
    /// Whether a named template marks answers without thoughts.
    package var addNonThinkingPrefix = true
    /// How a decoder sees two texts: `{text1}` and `{text2}` stand for them.
    package var pairFormat = PairFormat.standard
    /// The share of tokens that masked language modelling hides.
    package var mlmProbability = 0.15
    /// Which tokens train.
    package var lossScale = LossScale.everyAnswer
    /// Whether empty thoughts train too, where the template writes them and `lossScale` says nothing of them.
    package var disableIgnoreEmptyThink = false
    /// Whether every token that trains counts once, whatever `lossScale` says; nil and false leave it to that.
    package var isBinaryLossScale: Bool?
    /// The most tokens of an answer that a model learns to write to a text; nil cuts none.
    package var maxTargetLength: Int?

    package init() {}

    /// What happens to a longer sample or prompt; by default it is left out.
    package var truncationStrategy: TruncationStrategy {
        get { givenTruncationStrategy ?? usualTruncation ?? .delete }
        set { givenTruncationStrategy = newValue }
    }
}

extension EncodingSettings: SettingsPart {
    /// The options of tasks that write conversations.
    static let templateOptions: Set<String> = [
        "template", "template_backend", "agent_template", "enable_thinking", "preserve_thinking",
        "add_non_thinking_prefix",
    ]

    package static let fields: [SettingsField<EncodingSettings>] = [
        SettingsField("system", \.system),
        SettingsField("max_length", \.maxLength),
        SettingsField("truncation_strategy", \.truncationStrategy),
        SettingsField("use_chat_template", \.useChatTemplate),
        SettingsField("pair_format", \.pairFormat),
        SettingsField("mlm_probability", \.mlmProbability, affectsNumbers: true),
        SettingsField("loss_scale", \.lossScale),
        SettingsField("max_target_length", \.maxTargetLength),
        SettingsField("template", \.template),
        SettingsField("template_backend", \.templateBackend),
        SettingsField("agent_template", \.agentTemplate),
        SettingsField("enable_thinking", \.enableThinking),
        SettingsField("preserve_thinking", \.preserveThinking),
        SettingsField("add_non_thinking_prefix", \.addNonThinkingPrefix),
        SettingsField("is_binary_loss_scale", \.isBinaryLossScale),
        SettingsField("disable_ignore_empty_think", \.disableIgnoreEmptyThink),
    ]

    /// Whether the tokens that train are whole answers, but for an empty thought before them.
    var tellsAnswers: Bool { lossScale.base != .all && lossScale.modifiers.allSatisfy { $0 == .ignoreEmptyThink } }

    /// `lossScale` with a template: as in ms-swift, empty thoughts of a model that thinks on request do not train.
    func lossScale(with encoder: ChatEncoder) -> LossScale {
        disableIgnoreEmptyThink || !encoder.thinksOnRequest ? lossScale : lossScale.leavingEmptyThoughtsOut
    }

    /// - Throws: `SettingsError` where samples cannot be split.
    func checkSplitting(_ task: TaskType) throws {
        guard truncationStrategy == .split else { return }
        guard task.task.options.contains("loss_scale"), !useChatTemplate else {
            throw SettingsError(
                "--truncation_strategy split makes samples of parts of a text, which have no question. It is for text that "
                    + "is learned whole: --task_type causal_lm --use_chat_template false --loss_scale all. Else give "
                    + "delete, left or right.")
        }
    }

    /// - Throws: `SettingsError` for a format of pairs in which a text has no place.
    func check() throws {
        guard pairFormat.contains("{text1}"), pairFormat.contains("{text2}") else {
            throw SettingsError(
                "--pair_format: got \"\(pairFormat)\", wanted a text with {text1} and {text2} in it, such as "
                    + "\"{text1}\\n{text2}\".")
        }
    }
}
