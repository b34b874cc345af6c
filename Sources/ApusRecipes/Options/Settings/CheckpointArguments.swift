import ApusFiles
import ApusJSON
import Foundation

/// What `load_args` takes from the `args.json` of a checkpoint.
///
/// The rules are those of ms-swift 4.6.0 (`base_args.py`, `load_args_from_ckpt`).
enum CheckpointArguments {
    /// Taken whatever the command line says.
    private static let always: Set<String> = [
        "tuner_type", "task_type", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant",
    ]

    /// Taken where the command line leaves them open.
    private static let whereOpen: Set<String> = [
        "model", "model_type", "torch_dtype", "system", "truncation_strategy", "use_chat_template", "response_prefix",
        "num_labels", "problem_type", "pair_format", "prompt_format", "template", "template_backend", "agent_template",
        "enable_thinking", "preserve_thinking", "add_non_thinking_prefix", "quant_method", "quant_bits",
        "bnb_4bit_compute_dtype",
    ]

    /// What an export says of the weights that it writes, not of those that the checkpoint was trained on: merging is
    /// done on weights in full, as ms-swift does it.
    private static let ofWrittenWeights: Set<String> = Set(QuantizationOptions.fields.map(\.name))

    /// What 3.x calls keys of the above.
    private static let ofVersion3 = ["train_type": "tuner_type", "tools_prompt": "agent_template"]

    /// Keys of ms-swift that change what the model computes and that Apus does not have.
    private static let missed = [
        "new_special_tokens", "rope_scaling",
    ]

    private static let largestFile = 16 << 20

    /// Fills in arguments from the first folder of the command line that holds an `args.json`.
    static func load(into line: inout ArgumentLine, notices: inout [String]) throws {
        let loads = line["load_args"] ?? OptionTable.table(for: line.command)["load_args"]?.defaultValue
        guard loads == .boolean(true), let path = file(for: line) else { return }
        let old = try read(path)
        let table = OptionTable.table(for: line.command)
        let dataNames = line["load_data_args"] == .boolean(true) ? Self.dataNames : []

        for (key, json) in old where !json.isNull {
            let name = ofVersion3[key] ?? key
            guard name == key || !isSet(old[name]) else { continue }
            guard let option = table[name], line.command != .export || !ofWrittenWeights.contains(name) else {
                continue
            }
            let isForced = always.contains(name) || dataNames.contains(name)
            let fillsGap = whereOpen.contains(name) && isOpen(name, in: line)
            guard isForced || fillsGap else { continue }
            // Before 4.0 this key named a model, not a family.
            if name == "model_type", !isVersion4(old["swift_version"]?.stringValue) { continue }
            if name == "model", let text = json.stringValue, isNamedByAdapter(text, near: path) { continue }
            if let value = try value(of: option, from: json, path: path) {
                line.set(name, value, origin: .checkpoint)
            }
        }
        for name in missed where table[name] == nil && isSet(old[name]) {
            notices.append("\(path): \(name) is \(old[name]?.serialized() ?? ""), which Apus passes over.")
        }
    }

    /// The value that an option has in an `args.json`; nil for `null`.
    ///
    /// - Parameter path: The file, for messages; nil where there is none.
    static func value(
        of option: CommandOption, from json: JSONValue, path: String? = "args.json"
    ) throws -> OptionValue? {
        let words: [String]
        switch json {
        case .null: return nil
        case .array(let values): words = values.map(word)
        default: words = [word(json)]
        }
        // An empty list or mapping is how ms-swift writes that nothing was given.
        if words.isEmpty || json == .object([:]) { return option.kind.isList ? emptyList(option.kind) : nil }
        // What was a path or held escapes is resolved in the file already.
        if option.kind.isText, let text = json.stringValue { return .text(text) }
        do {
            let translated = Rename.translate(words, of: option.name)
            return try OptionReader(option: option, spelling: option.name).value(of: translated)
        } catch {
            throw SettingsError("\(path.map { "\($0): " } ?? "")\(error)")
        }
    }

    /// Whether a model was named by a path that does not hold from here, and the adapter beside the file says which it is.
    private static func isNamedByAdapter(_ model: String, near path: String) -> Bool {
        guard !model.contains("::"), !FileManager.default.fileExists(atPath: model) else { return false }
        let file = FilePath.join(FilePath.parent(of: path), "adapter_config.json")
        let config = FileManager.default.contents(atPath: file).flatMap { try? JSONValue(parsing: $0) }
        return config?["base_model_name_or_path"]?.stringValue != nil
    }

    private static func emptyList(_ kind: OptionKind) -> OptionValue {
        switch kind {
        case .integers: .integers([])
        case .numbers: .numbers([])
        default: .list([])
        }
    }

    private static func word(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text
        case .int(let integer): String(integer)
        case .double(let number): readable(number)
        case .bool(let boolean): String(boolean)
        case .null: "None"
        case .number, .array, .object: value.serialized()
        }
    }

    private static var dataNames: Set<String> {
        Set(MSSwiftFields.all.first { $0.argumentClass == "DataArguments" }?.names ?? [])
    }

    private static func isOpen(_ name: String, in line: ArgumentLine) -> Bool {
        switch line[name] {
        case nil, .list([])?: true
        default: false
        }
    }

    private static func isSet(_ json: JSONValue?) -> Bool {
        switch json {
        case nil, .null?, .array([])?: false
        default: true
        }
    }

    private static func isVersion4(_ version: String?) -> Bool {
        version?.split(separator: ".").first.flatMap { Int($0) }.map { $0 >= 4 } ?? false
    }

    private static func file(for line: ArgumentLine) -> String? {
        var folders: [String] = []
        if case .list(let adapters)? = line["adapters"] { folders += adapters }
        if case .text(let model)? = line["model"] { folders.append(model) }
        if case .text(let checkpoint)? = line["resume_from_checkpoint"] { folders.append(checkpoint) }
        return folders.map { "\($0)/args.json" }.first { FileManager.default.fileExists(atPath: $0) }
    }

    private static func read(_ path: String) throws -> JSONObject {
        let advice = "--load_args false passes it over"
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            guard data.count <= largestFile,
                let object = try JSONValue(parsing: data, duplicateKeys: .keepLast).objectValue
            else { throw SettingsError("not a JSON object of at most 16 MiB") }
            return object
        } catch {
            throw SettingsError("\(path): the settings of the checkpoint cannot be read: \(error). \(advice).")
        }
    }
}
