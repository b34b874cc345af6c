import ApusText

/// The description from which `ollama create` makes a model of a GGUF file.
struct OllamaModelfile {
    let text: String

    /// - Parameters:
    ///   - file: The GGUF file beside it.
    ///   - template: The model's own chat template; nil where it has none.
    ///   - beginning: What readers of the file put before every text, which the template must then leave out.
    ///   - ends: Texts that end an answer.
    init(file: String, template: ChatTemplate?, beginning: String?, ends: [String]) {
        var lines = ["FROM ./\(file)"]
        var stops: [String] = []
        if let template {
            if let turns = OllamaTurns(template, beginning: beginning) {
                lines.append("TEMPLATE \"\"\"\(turns.template)\"\"\"")
                if let system = turns.standardSystem { lines.append("SYSTEM \"\"\"\(system)\"\"\"") }
                stops.append(turns.stop)
            } else {
                lines.append(
                    "# The model's chat template cannot be said in a TEMPLATE; Ollama takes the one in the GGUF file where it "
                        + "knows it.")
            }
        }
        stops += ends
        var seen: Set<String> = []
        for stop in stops where !stop.isEmpty && seen.insert(stop).inserted {
            if let quoted = Self.quoted(stop) { lines.append("PARAMETER stop \(quoted)") }
        }
        text = lines.joined(separator: "\n") + "\n"
    }

    private static func quoted(_ text: String) -> String? {
        guard !text.contains("\"") else { return text.contains("\"\"\"") ? nil : "\"\"\"\(text)\"\"\"" }
        return text.contains(where: \.isNewline) ? "\"\"\"\(text)\"\"\"" : "\"\(text)\""
    }
}

/// What a chat template puts around the texts of a conversation, where that is the same for every turn.
///
/// Ollama fills a template once for each pair of a prompt and its response; for the last pair it stops before the response
/// (https://github.com/ollama/ollama/blob/main/docs/template.md). The pieces are found by rendering conversations of texts
/// that occur nowhere else, and count only if the filled template then is what the chat template writes.
struct OllamaTurns {
    /// Before and behind a system text: before all turns, or inside the first prompt's.
    private var system: (before: String, after: String)?
    private var isInsidePrompt = false
    private var beforePrompt = ""
    /// Up to where a model begins to answer.
    private var afterPrompt = ""
    /// What a chat template puts before an answer that is there, and a model writes itself, mostly a space.
    private var beforeResponse = ""
    private var afterResponse = ""
    /// What the chat template says to the model where a conversation has no system text.
    private(set) var standardSystem: String?

    private static let texts = (system: "⟦s⟧", prompt: "⟦p⟧", response: "⟦r⟧", next: "⟦n⟧")

    /// - Returns: nil where Ollama's templates cannot say what the chat template does.
    init?(_ template: ChatTemplate, beginning: String?) {
        let texts = Self.texts
        func rendered(_ turns: [(String, String)], asks: Bool = true) -> String? {
            let messages = turns.map { Message(role: $0.0, content: $0.1) }
            guard let text = try? template.rendered(messages, addGenerationPrompt: asks) else { return nil }
            guard let beginning, text.hasPrefix(beginning) else { return text }
            return String(text.dropFirst(beginning.count))
        }
        let (prompt, response) = (("user", texts.prompt), ("assistant", texts.response))
        let two = [prompt, response, ("user", texts.next)]
        guard let plain = rendered([prompt]), let answered = rendered([prompt, response], asks: false),
            let longer = rendered(two),
            let end = answered.between(texts.response, nil), let middle = longer.between(texts.response, texts.next),
            let toAnswer = plain.between(texts.prompt, nil), middle.hasPrefix(end),
            let toResponse = answered.between(texts.prompt, texts.response), toResponse.hasPrefix(toAnswer)
        else { return nil }
        afterResponse = end
        beforeResponse = String(toResponse.dropFirst(toAnswer.count))
        afterPrompt = toAnswer
        beforePrompt = String(middle.dropFirst(end.count))
        if let whole = rendered([("system", texts.system), prompt]), let before = whole.between(nil, texts.system),
            let between = whole.between(texts.system, texts.prompt)
        {
            if between.hasSuffix(beforePrompt), !beforePrompt.isEmpty {
                system = (before, String(between.dropLast(beforePrompt.count)))
            } else if before.hasPrefix(beforePrompt) {
                system = (String(before.dropFirst(beforePrompt.count)), between)
                isInsidePrompt = true
            }
        }
        let opening = plain.between(nil, texts.prompt) ?? ""
        if opening != beforePrompt {
            guard let system, !isInsidePrompt, opening.hasPrefix(system.before),
                opening.hasSuffix(system.after + beforePrompt)
            else { return nil }
            standardSystem = String(
                opening.dropFirst(system.before.count).dropLast(system.after.count + beforePrompt.count))
        }
        // The pieces must give what the template writes.
        var cases = [[prompt], two]
        if system != nil { cases += cases.map { [("system", texts.system)] + $0 } }
        for turns in cases where filled(turns) != rendered(turns) { return nil }
        let pieces = [
            system?.before, system?.after, beforePrompt, afterPrompt, beforeResponse, afterResponse, standardSystem,
        ].compactMap(\.self)
        guard !pieces.contains(where: { $0.contains("{{") || $0.contains("\"\"\"") }), !stop.isEmpty else { return nil }
    }

    /// What Ollama makes of a conversation that ends with a question.
    private func filled(_ turns: [(role: String, text: String)]) -> String {
        var text = ""
        var system = standardSystem
        for turn in turns {
            switch turn.role {
            case "system": system = turn.text
            case "user":
                let said = system.flatMap { said in self.system.map { $0.before + said + $0.after } } ?? ""
                text += isInsidePrompt ? beforePrompt + said + turn.text : said + beforePrompt + turn.text
                text += afterPrompt
                system = nil
            default: text += beforeResponse + turn.text + afterResponse
            }
        }
        return text
    }

    /// The text that ends a response.
    var stop: String {
        let text = afterResponse.drop { $0.isWhitespace }
        // What follows the first mark belongs to the next turn.
        let end = text.firstRange(of: ">")?.upperBound ?? text.firstIndex { $0.isWhitespace } ?? text.endIndex
        return String(text[..<end])
    }

    /// In the language of Go's templates.
    var template: String {
        let said = system.map { "{{ if .System }}\($0.before){{ .System }}\($0.after){{ end }}" } ?? ""
        let asked = isInsidePrompt ? beforePrompt + said : beforePrompt
        let response =
            beforeResponse.isEmpty ? "{{ .Response }}" : "{{ if .Response }}\(beforeResponse){{ .Response }}{{ end }}"
        return (isInsidePrompt ? "" : said) + "{{ if .Prompt }}\(asked){{ .Prompt }}\(afterPrompt){{ end }}"
            + response + afterResponse
    }
}

extension String {
    /// The text between two others, or from the start or to the end; nil where they are missing.
    fileprivate func between(_ first: String?, _ second: String?) -> String? {
        var start = startIndex
        if let first {
            guard let range = firstRange(of: first) else { return nil }
            start = range.upperBound
        }
        guard let second else { return String(self[start...]) }
        guard let range = self[start...].firstRange(of: second) else { return nil }
        return String(self[start..<range.lowerBound])
    }
}
