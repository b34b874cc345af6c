import ApusJSON
import ApusLanguageModel

/// How far a layer sees, by the names of `layer_types` in `config.json`.
enum LayerKind: String {
    case full = "full_attention"
    case sliding = "sliding_attention"

    /// The kind of each layer.
    ///
    /// - Parameters:
    ///   - differ: Whether layers that are not listed are of several kinds.
    ///   - kind: What a configuration without `layer_types` says of a layer.
    static func all(
        _ config: ModelConfig, layers: Int, differ: Bool = true, otherwise kind: (Int) -> LayerKind
    ) throws -> [LayerKind] {
        guard let types = config["layer_types"] else {
            if differ { config.unlistedKinds.append("layer_types") }
            return (0..<layers).map(kind)
        }
        let names = types.arrayValue?.compactMap(\.stringValue) ?? []
        guard names.count == layers else {
            throw ModelError("config.json: layer_types names \(names.count) layers, num_hidden_layers is \(layers)")
        }
        return try names.map { name in
            guard let kind = LayerKind(rawValue: name) else {
                throw ModelError(
                    "config.json: layer_types \"\(name)\" is not there yet; there are full_attention, sliding_attention"
                )
            }
            return kind
        }
    }
}

/// Which layers see how far, as Qwen says it.
struct SlidingWindows {
    /// The most keys that a token sees, for each layer; nil sets no limit.
    let windows: [Int?]

    /// - Parameter slides: Whether a layer has the window where windows are used and layers are not listed; the second
    ///   number is `max_window_layers`.
    init(_ config: ModelConfig, layers: Int, where slides: (_ layer: Int, _ limit: Int) -> Bool = { $0 >= $1 }) throws {
        let isUsed = try config.flag("use_sliding_window") ?? false
        let limit = try config.integer("max_window_layers") ?? 28
        // Null is no window; where none is used, the number means nothing.
        let isNull = config.has("sliding_window") && config["sliding_window"] == nil
        let window = isUsed && !isNull ? try config.optionalSize("sliding_window") ?? 4096 : nil
        let kinds = try LayerKind.all(config, layers: layers, differ: window != nil) {
            window != nil && slides($0, limit) ? .sliding : .full
        }
        guard window != nil || !kinds.contains(.sliding) else {
            throw ModelError(
                "config.json: layer_types has sliding_attention, but there is no window: set use_sliding_window and sliding_window"
            )
        }
        windows = kinds.map { $0 == .sliding ? window : nil }
    }
}
