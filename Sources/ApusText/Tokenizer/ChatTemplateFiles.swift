import ApusJSON
import Foundation

/// The chat templates of a folder, by their names.
struct ChatTemplateFiles {
    let folder: URL

    /// Files come before the key of `tokenizer_config.json`, and all of them take its place.
    ///
    /// `chat_template.jinja` is "default", `additional_chat_templates/NAME.jinja` is NAME. A text in the configuration is
    /// "default", a list or an object names its templates. Where there is none of these, `chat_template.json` is read,
    /// which older processors wrote.
    ///
    /// - Parameter given: The key of the configuration.
    func read(_ given: JSONValue?, _ source: String) throws -> [String: String] {
        var templates: [String: String] = [:]
        let additional = folder.appendingPathComponent("additional_chat_templates")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: additional.path)) ?? []
        for name in names.sorted() where name.hasSuffix(".jinja") {
            templates[String(name.dropLast(".jinja".count))] =
                try FolderFile.textIfThere(additional.appendingPathComponent(name))
        }
        if let text = try FolderFile.textIfThere(folder.appendingPathComponent("chat_template.jinja")) {
            templates["default"] = text
        }
        if !templates.isEmpty { return templates }
        if let given, !given.isNull { return try named(given, source) }
        let older = folder.appendingPathComponent("chat_template.json")
        guard let value = try TokenizerConfiguration.object(older)?["chat_template"], !value.isNull else { return [:] }
        return try named(value, older.path)
    }

    private func named(_ value: JSONValue, _ source: String) throws -> [String: String] {
        if let text = value.stringValue { return ["default": text] }
        var templates: [String: String] = [:]
        for entry in value.arrayValue ?? [] {
            guard let name = entry["name"]?.stringValue, let text = entry["template"]?.stringValue else {
                throw TokenizerError(source, "an entry of \"chat_template\" has no \"name\" or no \"template\"")
            }
            templates[name] = text
        }
        for (name, text) in value.objectValue ?? [:] {
            guard let text = text.stringValue else {
                throw TokenizerError(source, "\"chat_template\" has no text as \(name.debugDescription)")
            }
            templates[name] = text
        }
        guard value.arrayValue != nil || value.objectValue != nil else {
            throw TokenizerError(source, "\"chat_template\" must be a text, a list or an object")
        }
        return templates
    }
}
