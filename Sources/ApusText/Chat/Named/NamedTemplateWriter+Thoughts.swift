import ApusJSON
import Foundation

/// What happens to the turns before they are laid out: what single templates do, marks of thoughts, the system text.
extension NamedTemplateWriter {
    func prepare(_ turns: inout NamedTemplateTurns) {
        switch template.variant {
        case .gpt:
            let prefix = gptPrefix
            if let system = turns.system {
                if !system.hasPrefix("<|start|>") {
                    turns.system = prefix + "<|start|>developer<|message|># Instructions\n\n\(system)<|end|>"
                }
            } else {
                turns.system = prefix
            }
            turns.mapAnswers { _, text in
                text.hasPrefix("<|channel|>") ? text : "<|channel|>final<|message|>" + text
            }
        case .ernie:
            turns.mapAnswers { _, text in
                if text.contains("<response>") { return text }
                guard text.contains("</think>") else { return "<response>\n\(text)\n</response>\n" }
                let answered = text.replacing("</think>", with: "</think>\n\n<response>\n") + "\n</response>"
                return answered.contains("<think>\n") ? answered : answered.replacing("<think>", with: "<think>\n")
            }
        case .gemma3:
            if let system = turns.system {
                turns.system = nil
                if case .question(let text)? = turns.turns.first { turns.turns[0] = .question(system + "\n\n" + text) }
            }
            turns.mapAnswers { _, text in text.trimmingCharacters(in: CharacterSet(charactersIn: "\n")) }
        case .seed: prepareSeed(&turns)
        case .qwen3Embedding:
            if let system = turns.system, case .question(let text)? = turns.turns.first {
                turns.system = nil
                turns.turns[0] = .question(system + " " + text)
            }
        default: break
        }
    }

    var gptPrefix: String {
        """
        <|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.
        Knowledge cutoff: 2024-06
        Current date: \(date("%Y-%m-%d"))

        Reasoning: medium

        # Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>
        """
    }

    func date(_ format: String) -> String { (try? clock.formatted(JinjaText(format)).string) ?? "" }

    func dated(_ text: String) -> String {
        guard text.contains("{{DATE ") else { return text }
        return ["%d %b %Y", "%Y-%m-%d"].reduce(text) { $0.replacing("{{DATE \($1)}}", with: date($1)) }
    }

    func addNonThinkingPrefix(_ turns: inout NamedTemplateTurns, _ training: LossScale?) {
        let mark = template.nonThinkingPrefix
        guard !mark.isEmpty else { return }
        if template.variant == .youtu {
            let last = turns.turns.lastIndex { if case .answer = $0 { true } else { false } }
            turns.mapAnswers { position, text in
                position == last && !text.contains("<think>") && !text.contains("</think>") ? mark + text : text
            }
            return
        }
        let isLastOnly = training == nil || training?.base == .lastRound
        let start = isLastOnly && template.preservesThinking != true ? turns.lastQuestion : -1
        let isAfterUserOnly = [.deepSeek31, .deepSeek4, .deepSeek4Flash].contains(template.variant)
        let all = turns.turns
        turns.mapAnswers { position, text in
            guard position >= start else { return text }
            if isAfterUserOnly {
                guard position > 0, case .question = all[position - 1] else { return text }
            }
            return text.hasPrefix("<think>") || text.hasPrefix(mark) ? text : mark + text
        }
    }

    func removeHistory(_ turns: inout NamedTemplateTurns, hasTools: Bool) {
        if [.deepSeek4, .deepSeek4Flash].contains(template.variant), hasTools { return }
        let last = turns.lastQuestion
        func stripped(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
        func behind(_ mark: String, _ text: String) -> String {
            text.range(of: mark, options: .backwards).map { String(text[$0.upperBound...]) } ?? text
        }
        let count = turns.turns.count
        let firstResults =
            turns.turns.firstIndex { turn in
                switch turn {
                case .results: true
                case .question(let text): text.hasPrefix("<tool_response>") && text.hasSuffix("</tool_response>")
                case .answer: false
                }
            } ?? count
        turns.mapAnswers { position, text in
            switch template.variant {
            case .youtu:
                guard position != count - 1, position < firstResults - 1 else { return text }
                return template.historyPrefix + stripped(behind("</think>", text))
            case .hunyuan:
                guard position < last else { return text }
                var answer = behind("<answer>", text)
                while answer.last?.isWhitespace == true { answer.removeLast() }
                if answer.hasSuffix("</answer>") { answer.removeLast("</answer>".count) }
                return template.historyPrefix + stripped(answer)
            default:
                return position < last ? template.historyPrefix + stripped(behind("</think>", text)) : text
            }
        }
    }

    /// - Throws: `ChatTrainingError` where a system text was given and the template has no place for one.
    func system(_ turns: inout NamedTemplateTurns, tools: [JSONValue]) throws -> String? {
        if turns.system != nil, !template.takesSystem {
            throw ChatTrainingError(
                description:
                    "the template \(template.name) has no place for a system text; leave it out, or take another "
                    + "--template")
        }
        var system = turns.system ?? template.defaultSystem.map(dated)
        if !tools.isEmpty, let agent {
            system = try agent.system(system, tools: tools)
            if agent.question != nil, case .question(let text)? = turns.turns.first {
                turns.turns[0] = .question(try agent.question(text, tools: tools))
            }
        }
        let effort = enablesThinking ? "high" : "no_think"
        switch template.variant {
        case .ling3:
            let mode = "detailed thinking \(enablesThinking ? "on" : "off")"
            guard let text = system, !text.isEmpty else { return mode }
            return text.contains("detailed thinking on") || text.contains("detailed thinking off")
                ? text : text + "\n" + mode
        case .spark: return system.map { $0.isEmpty || !tools.isEmpty ? $0 : "\n\n" + $0 }
        case .hunyuan3, .hunyuan3Preview:
            let mark = template.variant == .hunyuan3 ? ":opensource" : ""
            let mode = "<｜reasoning_mode\(mark)｜>reasoning_effort:\(effort)"
            if tools.isEmpty { return (system ?? "") + mode }
            let hint = "you should print </tool_calls\(mark)>"
            return system?.replacing(hint, with: hint + mode)
        case .glm52 where enablesThinking, .glm53:
            let effort = "Reasoning Effort: Max"
            return system.flatMap { $0.isEmpty ? nil : "\(effort)<|system|>\($0)" } ?? effort
        default: return system
        }
    }
}
