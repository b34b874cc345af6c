import ApusFiles

/// Turns words into arguments, collecting every problem so that a pasted command is answered once.
struct ArgumentLineReader {
    let table: OptionTable
    /// What `~` stands for.
    let home: String
    private(set) var notices: [String] = []
    var arguments: [String: ArgumentLine.Argument] = [:]
    /// Values that are put behind those of an option of several.
    var additions: [(option: String, value: String, origin: ArgumentLine.Origin)] = []
    /// Values of a list option under another name than its own, which may yet be given.
    private var appended: [(old: String, option: String, words: [String], origin: ArgumentLine.Origin)] = []
    /// Values that hold where nothing else was given for their option.
    private var fallbacks: [(option: String, words: [String], origin: ArgumentLine.Origin)] = []
    /// Kinds of LoRA that were named as if they were methods, and what they stand for where it was not given.
    private var kindsOfLoRA: [(given: String, parts: [(name: String, word: String)], origin: ArgumentLine.Origin)] = []
    /// What to say where no model is given but under a name that is not known.
    private var unknownModel: String?
    /// Numbers of rows, which are put behind the name of the only data set.
    private var rowCounts: [(option: String, count: String, spelling: String)] = []
    private var problems: [String] = []
    /// Problems that `--ignore_args_error true` turns into warnings.
    private var unknown: [String] = []

    init(table: OptionTable, home: String) {
        self.table = table
        self.home = home
    }

    /// Reads the words of a command line: options, each followed by its values.
    mutating func read(_ words: ArraySlice<String>) {
        var rest = words
        if let faults = PastedText.faults(in: words) {
            problems += faults
            // What follows a word that is none would only be misread.
            return
        }
        while let word = rest.popFirst() {
            guard Self.isOption(word) else {
                if takeQuestion(word) || takeID(word) { continue }
                unknown.append(
                    "\"\(word)\": stands alone; a value follows its option. Write the option before it, as in --model \(word)."
                )
                continue
            }
            var values = Array(rest.prefix { !Self.isOption($0) })
            rest = rest.dropFirst(values.count)
            values = takingQuestion(from: values, of: word, isAtEnd: rest.isEmpty)
            values = takingIDs(from: values, of: word)
            guard word.hasPrefix("--"), word != "--" else {
                let name = String(word.drop { $0 == "-" })
                unknown.append(
                    name.isEmpty ? "\(word): stands alone." : "\(word): options begin with two dashes. Write --\(name)."
                )
                continue
            }
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let explicit = parts.count > 1 ? [String(parts[1])] : []
            read(name: String(parts[0]), words: explicit + values, origin: .commandLine)
        }
    }

    /// Whether a word names an option: it begins with a dash and is neither a number nor a text with spaces.
    private static func isOption(_ word: String) -> Bool {
        guard word.hasPrefix("-"), word.count > 1 else { return false }
        if let second = word.dropFirst().first, second.isNumber || second == ".", Double(word) != nil { return false }
        return !word.prefix { $0 != "=" }.contains(where: \.isWhitespace)
    }

    /// Reads one option under whatever name it was given.
    mutating func read(name spelling: String, words: [String], origin: ArgumentLine.Origin) {
        let name = String(spelling.map { $0 == "-" ? "_" : $0 })
        switch resolve(name) {
        case .option(let option):
            set(option, Rename.translate(words, of: option.name), spelling: "--\(spelling)", origin: origin)
        case .negation(let option):
            if let word = words.first {
                problems.append("--\(spelling): takes no value and got \"\(word)\". Try --\(option.name) false.")
            } else {
                arguments[option.name] = .init(value: .boolean(false), origin: origin)
                if case .noEffect(let reason) = option.status {
                    notices.append("--\(spelling) has no effect: \(reason).")
                }
            }
        case .notYet(let field, let isNegated):
            let mention = name == field ? "--\(spelling)" : "--\(spelling) (--\(field))"
            refuse(field, words: isNegated ? ["false"] : Rename.translate(words, of: field), mention: mention)
        case .rename(let rename):
            apply(rename, words: words, origin: origin)
        case .ambiguous(let names):
            problems.append(
                "--\(spelling): may mean \(names.map { "--\($0)" }.joined(separator: ", ")). Write the name in full.")
        case .unknown:
            unknown.append(unknownName(name, spelling: spelling))
        }
    }

    /// The arguments, once all words were read.
    ///
    /// - Throws: `UsageError` with every problem.
    mutating func finished() throws -> [String: ArgumentLine.Argument] {
        for (given, parts, origin) in kindsOfLoRA {
            let taken = parts.filter { table[$0.name]?.status == .supported && arguments[$0.name] == nil }
            let now = (["--tuner_type lora"] + taken.map { "--\($0.name) \($0.word)" }).joined(separator: " ")
            notices.append("\(given) is \(now).")
            for (name, word) in taken { read(name: name, words: [word], origin: origin) }
        }
        for (_, option, words, origin) in appended {
            let given = arguments.removeValue(forKey: option)
            read(name: option, words: words, origin: origin)
            guard case .list(let list)? = given?.value, case .list(let own)? = arguments[option]?.value else {
                continue
            }
            arguments[option] = .init(value: .list(list + own), origin: origin)
        }
        for (option, words, origin) in fallbacks where arguments[option] == nil {
            read(name: option, words: words, origin: origin)
        }
        if let unknownModel, ["model", "adapters", "resume_from_checkpoint"].allSatisfy({ arguments[$0] == nil }) {
            problems.append(unknownModel)
        }
        for (option, count, spelling) in rowCounts { putCount(count, of: spelling, behind: option) }
        for (option, value, origin) in additions {
            var list: [String] = []
            if case .list(let given) = arguments[option]?.value { list = given }
            arguments[option] = .init(value: .list(list + [value]), origin: origin)
        }
        if arguments["ignore_args_error"]?.value == .boolean(true) {
            notices += unknown.map { "ignored: \($0)" }
        } else {
            problems += unknown
        }
        guard problems.isEmpty else { throw UsageError(paragraphs: problems) }
        return arguments
    }

    // MARK: Names

    enum Resolution {
        case option(CommandOption)
        /// `--no_name` of a boolean that may be true where it is not given.
        case negation(CommandOption)
        /// A field of ms-swift, or its `--no_name`.
        case notYet(String, isNegated: Bool)
        case rename(Rename)
        case ambiguous([String])
        case unknown
    }

    func resolve(_ name: String) -> Resolution {
        if let exact = resolveExactly(name) { return exact }
        if let rename = Rename.all[name], rename.name.map(table.allNames.contains) ?? true { return .rename(rename) }
        return resolvePrefix(name)
    }

    private func resolveExactly(_ name: String) -> Resolution? {
        if let option = table[name] { return .option(option) }
        if table.fieldNames.contains(name) { return .notYet(name, isNegated: false) }
        guard name.hasPrefix("no_") else { return nil }
        let positive = String(name.dropFirst(3))
        if let option = table[positive] {
            let isIdle = option.status != .supported && option.kind == .boolean
            return isIdle || option.mayBeTrueUnasked ? .negation(option) : nil
        }
        return table.fieldNames.contains(positive) ? .notYet(positive, isNegated: true) : nil
    }

    /// An abbreviation means what it means in ms-swift; names that only Apus has come second.
    private func resolvePrefix(_ prefix: String) -> Resolution {
        guard prefix.count > 1 else { return .unknown }
        let negations = table.options.filter(\.mayBeTrueUnasked).map { "no_\($0.name)" }
        let candidates = (table.fieldNames + negations).filter { $0.hasPrefix(prefix) }.sorted()
        let names = candidates.isEmpty ? table.allNames.filter { $0.hasPrefix(prefix) }.sorted() : candidates
        switch names.count {
        case 0: return .unknown
        case 1: return resolveExactly(names[0]) ?? .unknown
        default: return .ambiguous(names)
        }
    }

    private func unknownName(_ name: String, spelling: String) -> String {
        let commands = Command.allCases.filter { OptionTable.table(for: $0).allNames.contains(name) }.map(\.rawValue)
        guard commands.isEmpty else {
            return "--\(spelling): \(table.command.rawValue) has no such option; it belongs to "
                + "\(commands.joined(separator: ", "))."
        }
        let near = NearestNames.find(name, among: table.allNames).map { "--\($0)" }
        let advice =
            near.isEmpty
            ? "`apus \(table.command.rawValue) --help` lists the options."
            : "Did you mean \(near.joined(separator: " or "))?"
        return "--\(spelling): \(table.command.rawValue) has no such option. \(advice)"
    }

    // MARK: Values

    private mutating func set(
        _ option: CommandOption, _ words: [String], spelling: String, origin: ArgumentLine.Origin
    ) {
        let reader = OptionReader(option: option, spelling: spelling)
        var words = words
        do {
            words = try OptionPaths.expanded(words, of: option, spelling: spelling, home: home)
        } catch {
            problems.append("\(error)")
            return
        }
        words = words.map { word in
            guard let (other, reason) = NotYetOptions.substitute(word, of: option.name) else { return word }
            notices.append("\(spelling) \(word): read as \(other), because \(reason).")
            return other
        }
        // In ms-swift 2.x the flag named a model, such as qwen2-7b-instruct.
        if option.name == "model_type", let word = words.first, isOlderModel(word, option) {
            let model = OlderNames.model(word)
            notices.append(
                model.map { "\(spelling) \(word) names a model, which --model does now; without it, \($0)." }
                    ?? "\(spelling) \(word) is passed over: it names a model, which --model does now.")
            if let model {
                fallbacks.append(("model", [model], origin))
            } else {
                unknownModel =
                    "\(spelling) \(word): is no family of models; in ms-swift 2.x it named a model. Give the "
                    + "model's folder or id: --model …"
            }
            return
        }
        // Other programs name kinds of LoRA as if they were methods.
        if option.name == "tuner_type", words.count == 1, let parts = Rename.kindsOfLoRA[words[0].lowercased()] {
            arguments["tuner_type"] = .init(value: .text("lora"), origin: origin)
            kindsOfLoRA.append(("\(spelling) \(words[0])", parts.map { ($0.name, $0.word) }, origin))
            return
        }
        // In 1.x the flag was a share of the weights.
        if option.name == "freeze_parameters", words.count == 1, Double(words[0]) != nil {
            notices.append("\(spelling) \(words[0]) is now --freeze_parameters_ratio \(words[0]).")
            read(name: "freeze_parameters_ratio", words: words, origin: origin)
            return
        }
        if ["dataset", "val_dataset"].contains(option.name) {
            words = words.map { word in
                guard let id = OlderNames.dataset(word) else { return word }
                notices.append("\(spelling) \(word): is called \(id) now.")
                return id
            }
        }
        if let stray = reader.stray(among: words) {
            unknown.append(stray)
            words.removeSubrange(1...)
        }
        if words.contains(where: PastedText.isGlued(to: table)) {
            problems.append("\(spelling): \(PastedText.glued(words, in: table))")
            return
        }
        do {
            // A configuration file may say `adapters: []`; on a command line a list without words is a slip.
            let isUnset = option.status != .supported && ["None", "none", "null"].contains(words.first)
            let isEmptyList = (option.kind.isList && words.isEmpty && origin == .configFile) || isUnset
            let value = isEmptyList ? nil : try reader.value(of: words)
            if origin == .commandLine, arguments[option.name]?.origin == origin {
                notices.append("--\(option.name) is given more than once; the last counts.")
            }
            arguments[option.name] = value.map { .init(value: $0, origin: origin) }
            if case .noEffect(let reason) = option.status {
                notices.append("\(spelling) has no effect: \(reason).")
            }
        } catch {
            problems.append("\(error)")
        }
    }

    private func isOlderModel(_ word: String, _ option: CommandOption) -> Bool {
        if OlderNames.model(word) != nil { return true }
        guard case .choice(let families, _) = option.kind else { return false }
        return word.contains("-") && !families.contains(word)
    }

    /// Puts a number of rows behind the only data set that was given.
    private mutating func putCount(_ count: String, of spelling: String, behind option: String) {
        guard let rows = Int(count), rows >= -1, rows != 0 else {
            problems.append("--\(spelling): got \"\(count)\", wanted a number of rows, or -1 for all.")
            return
        }
        guard rows > 0 else { return }
        guard case .list(let names)? = arguments[option]?.value, names.count == 1, !names[0].contains("#") else {
            problems.append(
                "--\(spelling) \(rows): the number of rows stands behind each data set now: --\(option) "
                    + "data.jsonl#\(rows).")
            return
        }
        arguments[option] = .init(
            value: .list(["\(names[0])#\(rows)"]), origin: arguments[option]?.origin ?? .commandLine)
    }

    private mutating func refuse(_ field: String, words: [String], mention: String) {
        let value = words.isEmpty ? "true" : words.joined(separator: " ").lowercased()
        // What is not set asks for nothing.
        if ["none", "null"].contains(value) { return }
        if NotYetOptions.valuesAlreadyTrue[field]?.contains(value) == true { return }
        if let reason = NotYetOptions.reason(field, words.map({ HomeFolder.expand($0, home: home) })) {
            notices.append("\(mention)\(words.first.map { " \($0)" } ?? "") has no effect: \(reason).")
            return
        }
        let advice = NotYetOptions.advice(field, table.command).map { " \($0)" } ?? ""
        problems.append("\(mention): ms-swift has it, Apus does not yet.\(advice)")
    }

    private mutating func apply(_ rename: Rename, words: [String], origin: ArgumentLine.Origin) {
        switch rename.meaning {
        case .option(let name, let translate):
            notices.append("--\(rename.old) is now --\(name).")
            guard let words = translate(words) else {
                arguments[name] = nil
                return
            }
            read(name: name, words: words, origin: origin)
        case .options(let name, let translate):
            let options = translate(words)
            let now = options.map { "--\($0.name) \($0.words.joined(separator: " "))" }.joined(separator: " ")
            let given = (["--\(rename.old)"] + words).joined(separator: " ")
            notices.append(options.isEmpty ? "\(given) has no effect: it is so anyway." : "\(given) is now \(now).")
            for (name, words) in options { read(name: name, words: words, origin: origin) }
            if rename.old == "quantization_bit", name == "quant_bits", ["4", "8"].contains(words.first) {
                fallbacks.append(("quant_method", ["bnb"], origin))
            }
        case .rows(let name):
            notices.append("--\(rename.old) is now a part of --\(name).")
            rowCounts.append((name, words.first ?? "", rename.old))
        case .checkpointFolder:
            let words = words.map { HomeFolder.expand($0, home: home) }
            let name = Rename.optionOfCheckpoint(words)
            notices.append("--\(rename.old) is now --\(name).")
            read(name: name, words: words, origin: origin)
        case .appended(let name):
            notices.append("--\(rename.old) is now a part of --\(name).")
            // On a command line a list without words is a slip.
            if words.isEmpty, origin == .commandLine {
                read(name: name, words: words, origin: origin)
            } else {
                // Of one name the last counts, as everywhere.
                appended.removeAll { $0.old == rename.old }
                appended.append((rename.old, name, words, origin))
            }
        case .addition(let name, let value):
            notices.append("--\(rename.old) is now a part of --\(name).")
            if let value = value(words) { additions.append((name, value, origin)) }
        case .dropped(let reason):
            notices.append("--\(rename.old) has no effect: \(reason).")
        case .refused(let advice):
            problems.append("--\(rename.old): newer versions of ms-swift have no such option. \(advice)")
        }
    }
}
