package import ApusJSON
package import ApusNN

/// LongLoRA, as ms-swift's `longlora`: LoRA, and while it is trained attention in groups (`GroupedAttention`).
///
/// Tables of words and norms are trained beside, as in the paper. What comes out is a LoRA adapter, whose file says so, and
/// which is used with the attention that the model has. Chen et al. 2023, <https://arxiv.org/abs/2309.12307>.
package struct LongLoRAConfiguration: AdapterMethod {
    package static let peftType = "LONGLORA"
    package static let tunerType = "longlora"
    package static let narrowsAttention = true

    static let shareOption = AdapterOption(
        "group_size_ratio", .number(0.001..<1), default: 0.25,
        "Share of a sequence whose tokens see each other while training.")
    static let besideOption = AdapterOption(
        "embedder_and_normalizer", .boolean, default: true, "Train tables of words and norms beside.",
        decidesCount: true)
    package static let options = LoRAConfiguration.options + [shareOption, besideOption]

    private var lora: LoRAConfiguration
    private let share: Double
    private let trainsBeside: Bool

    package init(_ settings: AdapterSettings) throws {
        lora = try LoRAConfiguration(settings)
        share = try settings.number(Self.shareOption)
        trainsBeside = try settings.flag(Self.besideOption)
    }

    package init(json: JSONValue, file: String) throws {
        throw AdapterError(
            "\(file): ms-swift's own files of LongLoRA are not read; trained with --tuner_backend peft, as its command line "
                + "does, they say LORA")
    }

    package var base: AdapterBase {
        get { lora.base }
        set { lora.base = newValue }
    }

    package var summary: String { lora.summary + ", attention in groups of \(share) of a sequence" }
    package var notice: String? { lora.notice }
    package mutating func train(_ settings: AdapterSettings) throws { try lora.train(settings) }
    package func rateFactor(of name: String, shape: [Int], rate: Double) -> Double {
        lora.rateFactor(of: name, shape: shape, rate: rate)
    }

    package mutating func prepare(on model: Module) throws {
        guard let host = model.modules().lazy.compactMap({ $0.module as? any LayerHost }).first, host.isCausal,
            !host.hasEncoder
        else {
            throw AdapterError(
                "--tuner_type longlora groups the tokens of models that continue text, and this one has an encoder; take "
                    + "lora")
        }
        host.attentionGroups = share
        if trainsBeside {
            let names = model.modules().filter { $0.module is Embedding || $0.module is Norm }.compactMap {
                $0.path.split(separator: ".").last.map(String.init)
            }
            lora.base.modulesToSave += Set(names).subtracting(lora.base.modulesToSave).sorted()
        }
        try lora.prepare(on: model)
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        try lora.parts(on: model, named: name, heads: heads)
    }

    package func layerPlan(layers: Int) throws -> LayerPlan? { try lora.layerPlan(layers: layers) }
    package func draw(_ parts: [AdapterPart]) throws { try lora.draw(parts) }
    package var changesBase: Bool { lora.changesBase }
    package func prepareBase(_ parts: [AdapterPart]) throws { try lora.prepareBase(parts) }
    package func start(_ parts: [AdapterPart], seed: UInt64, encode: ((String) throws -> [Int32])?) throws {
        try lora.start(parts, seed: seed, encode: encode)
    }

    package var startsFromData: Bool { lora.startsFromData }
    package var isShapedByData: Bool { lora.isShapedByData }
    package func start(
        _ parts: [AdapterPart], from passes: StartPasses, seed: UInt64
    ) throws -> (method: any AdapterMethod, parts: [AdapterPart])? {
        try lora.start(parts, from: passes, seed: seed)
    }

    package mutating func participants(_ parts: [AdapterPart], totalSteps: Int) throws -> [any StepParticipant] {
        try lora.participants(parts, totalSteps: totalSteps)
    }

    package func fileNotice(_ parts: [AdapterPart]) -> String? { lora.fileNotice(parts) }
    package func json(_ parts: [AdapterPart]) -> JSONValue { lora.json(parts) }
}
