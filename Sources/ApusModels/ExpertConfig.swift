import ApusJSON
import ApusLanguageModel
import ApusNN

/// What configurations of models with experts have in common.
struct ExpertConfig {
    let count: Int
    let chosen: Int
    /// The feed-forward width of one expert.
    let hidden: Int
    /// What the loss that spreads tokens over experts counts; nil where it is left out.
    let lossWeight: Double?

    /// - Parameters:
    ///   - countKeys: The spellings of how many experts there are.
    ///   - hiddenKey: The key of the width of one.
    ///   - defaults: What missing keys mean; nil is an error.
    init(
        _ config: ModelConfig, countKeys: [String] = ["num_experts", "num_local_experts"],
        hiddenKey: String = "moe_intermediate_size", defaults: (count: Int?, chosen: Int?, hidden: Int?)
    ) throws {
        func size(_ keys: [String], _ value: Int?) throws -> Int {
            for key in keys { if let found = try config.optionalSize(key) { return found } }
            guard let value else { throw ModelError("config.json has no \"\(keys[0])\"") }
            return value
        }
        count = try size(countKeys, defaults.count)
        chosen = try size(["num_experts_per_tok"], defaults.chosen)
        hidden = try size([hiddenKey], defaults.hidden)
        // Experts are objects, made before a file can show that it does not hold as many.
        guard count <= 4096 else {
            throw ModelError("config.json: \"\(countKeys[0])\" is \(count); it must be at most 4096")
        }
        guard chosen <= count else {
            throw ModelError("config.json: num_experts_per_tok (\(chosen)) exceeds the number of experts (\(count))")
        }
        let weight = try config.number("router_aux_loss_coef") ?? 0.001
        lossWeight = try config.flag("output_router_logits") ?? false ? weight : nil
    }

    /// The experts of a layer, by the names of their matrices.
    func experts(_ fields: DecoderConfig, names: GatedNames = .projections) -> [SwiGLU] {
        (0..<count).map { _ in
            SwiGLU(width: fields.sizes.width, hidden: hidden, initializer: fields.initializer, names: names)
        }
    }
}

/// Which layers of Qwen's models have experts.
struct SparseLayers {
    private let step: Int
    private let dense: Set<Int>

    init(_ config: ModelConfig) throws {
        step = try config.optionalSize("decoder_sparse_step") ?? 1
        dense = Set((config["mlp_only_layers"]?.arrayValue ?? []).compactMap(\.intValue))
    }

    func contains(_ layer: Int) -> Bool { !dense.contains(layer) && (layer + 1) % step == 0 }
}
