package import ApusJSON
package import ApusNN

/// LLaMA-Pro, as ms-swift's `llamapro`: copies of layers between the layers, which add nothing at first and alone
/// are trained.
///
/// A copy is the layer that it follows, with zeros for the last projections of attention and of the feed-forward part. Wu
/// et al. 2024, <https://arxiv.org/abs/2401.02415>.
package struct LLaMAProConfiguration: AdapterMethod {
    package static let peftType = "LLAMAPRO"
    package static let tunerType = "llamapro"
    package static let modelPrefix = ""
    package static let hangsOnLayers = false
    package static let folder = "default/"

    static let countOption = AdapterOption(
        "llamapro_num_new_blocks", .integer(1...1024), default: 4,
        "Layers to be added; the layers of the model must divide by it.", decidesCount: true)
    static let groupsOption = AdapterOption(
        "llamapro_num_groups", .integer(1...1024),
        "Groups of layers, behind each of which a new one comes; as many as those.",
        decidesCount: true)
    package static let options = [countOption, groupsOption]

    private var count = 4
    private var groups = 4
    private var place = "--llamapro_num_new_blocks"
    private var modelType: String?
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        count = try settings.integer(Self.countOption)
        groups = settings[Self.groupsOption].intValue ?? count
        modelType = settings.modelType
        try check("--llamapro_num_groups")
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        try reader.refuse([("model_key_mapping", [])])
        place = "\(file): num_new_blocks"
        count = try reader.count("num_new_blocks")
        groups = try reader.count("num_groups", default: count)
        modelType = try reader.text("model_type")
        base = try reader.base()
        try check("\(file): num_groups")
    }

    private func check(_ place: String) throws {
        guard groups == count else {
            throw AdapterError(
                "\(place) is \(groups) and the new blocks are \(count): ms-swift puts one behind each group, so that there "
                    + "are as many as groups; give the same number, or leave one out")
        }
    }

    package var summary: String { "\(count) new layers" }

    package func layerPlan(layers: Int) throws -> LayerPlan? {
        guard layers % count == 0 else {
            throw AdapterError("\(place) is \(count), by which the \(layers) layers of the model do not divide")
        }
        let stride = layers / count
        var (sources, empty): ([Int], Set<Int>) = ([], [])
        for layer in 0..<layers {
            sources.append(layer)
            guard (layer + 1) % stride == 0 else { continue }
            empty.insert(sources.count)
            sources.append(layer)
        }
        return LayerPlan(sources: sources, empty: empty)
    }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] { [] }

    /// The paths of the new layers of a model that was made by the plan.
    package func ownModules(of model: Module) throws -> [String] {
        guard base.storedModules.isEmpty else {
            throw AdapterError(
                "--tuner_type llamapro: ms-swift's files of this method have no place for a head that is trained beside it; "
                    + "take lora or ia3 for --task_type seq_cls")
        }
        let layers = model.modules().filter { $0.module is TransformerLayer }.map(\.path)
        guard layers.count > count, layers.count % count == 0 else {
            throw AdapterError(
                "--tuner_type llamapro: a model of \(layers.count) layers was not made with \(count) new ones among them"
            )
        }
        let plan = try layerPlan(layers: layers.count - count)
        let paths = (plan?.empty ?? []).sorted().map { layers[$0] }
        let names = Set(model.parameters().map(\.name))
        for path in paths {
            for projection in ["self_attn.o_proj.weight", "mlp.down_proj.weight"]
            where !names.contains(Module.joined(path, projection)) {
                throw AdapterError(
                    "--tuner_type llamapro needs layers with self_attn.o_proj and mlp.down_proj, whose zeros let a new layer "
                        + "add nothing, and \(path) has none; take lora")
            }
        }
        return paths
    }

    package func json(_ parts: [AdapterPart]) -> JSONValue {
        [
            "base_model_name_or_path": base.baseModel.map(JSONValue.string) ?? .null, "model_key_mapping": nil,
            "model_type": modelType.map(JSONValue.string) ?? .null, "num_groups": .int(groups),
            "num_new_blocks": .int(count), "swift_type": .string(Self.peftType),
        ]
    }
}
