package import ApusJSON
package import ApusNN

/// Trainable tokens, as PEFT's `TrainableTokensConfig` describes them.
package struct TrainableTokensConfiguration: AdapterMethod {
    package static let peftType = "TRAINABLE_TOKENS"
    package static let tunerType = "trainable_tokens"
    package static let isCompact = true

    static let indicesOption = AdapterOption(
        "token_indices", .list, "Ids of the tokens whose vectors are trained.", decidesCount: true)
    package static let options = [indicesOption]

    private let ids: [Int]
    /// Nil for the table of the input.
    private var selection: LayerSelection?
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        guard case .input(let ids) = try TokenTargets(settings[Self.indicesOption], place: "--token_indices") else {
            throw AdapterError("--token_indices: name the ids of the tokens to train")
        }
        self.ids = ids
        if settings.targets != .allLinear, settings.targets != .automatic {
            selection = LayerSelection(settings.targets)
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        let targets = try TokenTargets(json["token_indices"] ?? .null, place: "\(file): token_indices")
        guard case .input(let ids) = targets else {
            throw reader.refusal("\"token_indices\" must be a list of ids of tokens, it names none")
        }
        self.ids = ids
        startsAsBase = try reader.flag("init_weights", default: true)
        if let targets = try reader.modules("target_modules") {
            guard targets != .allLinear else {
                throw reader.refusal(
                    "\"target_modules\" is \"all-linear\", and tokens are rows of tables; name the table, such as embed_tokens"
                )
            }
            var chosen = LayerSelection(targets)
            chosen.allowsAbsent = true
            selection = chosen
        }
        base = try reader.base()
    }

    package var summary: String { "\(ids.count) tokens" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        guard base.storedModules.isEmpty else {
            throw AdapterError(
                "--tuner_type trainable_tokens: PEFT's files of this method have no place for a head that is trained beside "
                    + "it; take lora with --trainable_token_indices")
        }
        let chosen =
            try selection?.hosts(on: model, leaving: base.storedModules, heads: heads)
            ?? TokenTargets.input(ids).hosts(on: model, option: Self.indicesOption.name).map { ($0.path, $0.module) }
        return try TokenParts(name: name, infix: "", storesTies: true, isRandom: !startsAsBase)
            .parts(on: model, chosen.map { ($0.path, $0.module, ids) })
    }

    package func draw(_ parts: [AdapterPart]) throws { try TokenParts.draw(parts) }

    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        if startsAsBase { try TokenParts.start(parts) }
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var file = base.json(
            Self.peftType,
            [
                "init_weights": .bool(startsAsBase),
                "target_modules": selection?.targets.json ?? parts.first.map { .string($0.path) } ?? .null,
                "token_indices": TokenTargets.input(ids).json,
            ]
        ).objectValue
        file?["modules_to_save"] = nil
        return file.map(JSONValue.object) ?? .null
    }
}
