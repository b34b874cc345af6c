import ApusDatasets
import ApusHub
import ApusJSON
import ApusLanguageModel
import ApusText
import Foundation

/// What a model sees: text as token ids and back.
package struct TokenizeTool {
    private let tokenizer: Tokenizer
    private let addsSpecialTokens: Bool

    /// The folder may hold a tokenizer only.
    package init(_ settings: TokenizeSettings, surroundings: Surroundings = Surroundings()) throws {
        tokenizer = try TextParts.tokenizer(
            of: ModelSource(settings.model, surroundings: surroundings.reaching(settings.hub), need: .texts))
        addsSpecialTokens = settings.addSpecialTokens
    }

    /// The ids as one JSON list.
    package func encoded(_ text: String) -> String {
        "[" + tokenizer.encode(text, addSpecialTokens: addsSpecialTokens).map(String.init).joined(separator: ", ") + "]"
    }

    /// The text of a JSON list of ids.
    ///
    /// - Throws: `ModelError` when the line is not such a list.
    package func decoded(_ line: String) throws -> String {
        guard let values = try? JSONValue(parsing: line).arrayValue else {
            throw ModelError(
                "--decode true: a line is not a JSON list of ids: \(line.prefix(80)). Give lists as [1, 2, 3].")
        }
        let ids = try values.map { value in
            guard let id = value.intValue.flatMap(Int32.init(exactly:)), tokenizer.token(of: id) != nil else {
                throw ModelError(
                    "\(value.serialized()) is not the id of a token; give ids from 0 to \(tokenizer.vocabularySize - 1)"
                )
            }
            return id
        }
        return tokenizer.decode(ids)
    }
}

/// What a model sees of a conversation: the rendered prompt, with the trained parts marked if asked.
package struct TemplateTool {
    private let settings: TemplateSettings
    private let text: TextParts
    /// What a run would learn.
    private let training: LossScale

    package init(_ settings: TemplateSettings, surroundings: Surroundings = Surroundings()) throws {
        self.settings = settings
        var encoding = EncodingSettings()
        (encoding.template, encoding.templateBackend) = (settings.template, settings.templateBackend)
        encoding.agentTemplate = settings.agentTemplate
        text = try TextParts(
            ModelSource(settings.model, surroundings: surroundings.reaching(settings.hub), need: .texts), encoding)
        training = encoding.lossScale(with: text.encoder)
    }

    /// - Parameter usesColor: Whether trained parts are coloured instead of bracketed.
    package func rendered(usesColor: Bool) throws -> String {
        guard let given = settings.messages else {
            throw ModelError("--messages: not given. Give a JSON file with a list of messages.")
        }
        let json = try parsed(given, "messages")
        guard var row = json.objectValue ?? json.arrayValue.map({ ["messages": .array($0)] }) else {
            throw ModelError(
                "--messages: got \(given.prefix(40)), wanted a list as [{\"role\": \"user\", \"content\": \"Hi\"}], or an "
                    + "object with such a list under \"messages\"")
        }
        if let tools = settings.tools { row["tools"] = try parsed(tools, "tools") }
        var conversation = try conversation(row)
        if let system = settings.system, conversation.messages.first?.role != "system" {
            conversation.messages.insert(Message(role: "system", content: system), at: 0)
        }
        guard settings.showLabels else {
            return try text.encoder.prompt(
                conversation.messages, tools: conversation.tools, variables: conversation.variables,
                addGenerationPrompt: settings.addGenerationPrompt)
        }
        return try text.encoder.pieces(
            conversation.messages, tools: conversation.tools, variables: conversation.variables, training: training
        ).map { piece in
            guard piece.isTrained else { return piece.text }
            let mark = piece.weight == 1 ? "" : "×\(piece.weight)"
            return usesColor ? "\u{1B}[32m\(piece.text)\u{1B}[0m\(mark)" : "«\(piece.text)»\(mark)"
        }.joined()
    }

    /// The row as training reads it: any of the formats of data sets.
    private func conversation(_ row: JSONObject) throws -> Conversation {
        var options = ConversationRecognizer.Options()
        options.requiresAnswer = false
        do {
            return try ConversationRecognizer(options).recognize(.object(row)).conversation
        } catch let rejection as RowRejection {
            throw ModelError("--messages: \(rejection)")
        }
    }

    private func parsed(_ text: String, _ option: String) throws -> JSONValue {
        do {
            return try JSONValue(parsing: text)
        } catch {
            throw ModelError("--\(option): \(error)")
        }
    }
}
