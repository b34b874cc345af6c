package import ApusJSON
package import ApusNN
package import ApusTorch

/// `l ⊙ y` of keys and values, `W (l ⊙ x) + b` in the feed-forward part: one trained factor for each channel.
///
/// Liu et al. 2022, <https://arxiv.org/abs/2205.05638>.
package final class IA3: LinearAdapter {
    @Parameter("ia3_l") var factors: Tensor  // [out, 1], or [1, in]

    private let scalesInput: Bool

    package init(name: String, for base: Linear, scalesInput: Bool) {
        self.scalesInput = scalesInput
        super.init(name: name)
        $factors.declare(scalesInput ? [1, base.inputs] : [base.outputs, 1], .ones)
    }

    package override var summary: String { "IA3(\(scalesInput ? "input" : "output"))" }

    /// What is scaled, in float32.
    package override func keptCountOfToken(on base: Linear) -> Int { 2 * (scalesInput ? base.inputs : base.outputs) }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        func scaled(_ x: Tensor) throws -> Tensor {
            try (x.to(factors.dtype) * factors.reshaped([1, -1])).to(x.dtype)
        }
        let below = below ?? base.plain
        return try scalesInput ? below(scaled(x)) : scaled(below(x))
    }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) * factors.to(wide)).to(matrix.dtype)
    }

    package override func merged(intoBias bias: Tensor) throws -> Tensor {
        let wide = bias.dtype.atLeastFloat32
        return try scalesInput ? bias : (bias.to(wide) * factors.to(wide).reshaped([-1])).to(bias.dtype)
    }
}

/// IA³, as PEFT's `IA3Config` describes it.
package struct IA3Configuration: AdapterMethod {
    package static let peftType = "IA3"
    package static let tunerType = "ia3"

    static let feedForwardOption = AdapterOption(
        "feedforward_modules", .list,
        "Of the layers, those whose inputs are scaled: ends of names; by default those of the feed-forward part.")
    package static let options = [feedForwardOption]

    package var selection = LayerSelection()
    /// Of the chosen layers, those whose inputs are scaled and not their outputs.
    package var feedForward: TargetModules
    /// Ones, with which the adapted model begins as the base model.
    private var startsAsBase = true
    package var base = AdapterBase()

    package init(_ settings: AdapterSettings) throws {
        selection = LayerSelection(try settings.targets.resolved(DefaultTargets.ia3, settings.modelType))
        if let names = settings[Self.feedForwardOption].arrayValue, !names.isEmpty {
            feedForward = .names(names.compactMap(\.stringValue))
        } else if settings.targets == .automatic {
            feedForward = try TargetModules.automatic.resolved(DefaultTargets.ia3FeedForward, settings.modelType)
        } else {
            // ms-swift's choice, and what the feed-forward parts of BERT, DistilBERT, ALBERT and T5 are called.
            feedForward = .pattern(
                #".*\.mlp\..*|.*\.intermediate\.dense|.*(?<!attention)\.output\.dense"#
                    + #"|.*\.ffn(\..*|_output)?|.*\.DenseReluDense\..*"#)
        }
    }

    package init(json: JSONValue, file: String) throws {
        let reader = ConfigurationReader(json: json, file: file)
        selection = try LayerSelection(reader)
        feedForward = try reader.modules("feedforward_modules") ?? .names([])
        startsAsBase = try reader.flag("init_ia3_weights", default: true)
        base = try reader.base()
    }

    package var summary: String { "One factor a channel" }

    package func parts(on model: Module, named name: String, heads: [String]) throws -> [AdapterPart] {
        let hosts = try selection.hosts(on: model, leaving: base.storedModules, heads: heads)
        if case .names(let names) = feedForward, !selection.allowsAbsent,
            let lost = names.first(where: { name in !hosts.contains { $0.path.hasSuffix(name) } })
        {
            throw AdapterError(
                "--feedforward_modules: none of the chosen layers ends in \"\(lost)\"; they must be among --target_modules"
            )
        }
        return try hosts.map { path, module in
            guard let linear = module as? Linear else {
                throw AdapterError("IA3 scales linear layers, and \(path) is a table of words; leave it out")
            }
            let adapter = IA3(name: name, for: linear, scalesInput: scalesInput(path))
            linear.adapters.append(adapter)
            return AdapterPart(path: path, host: linear, adapter: adapter)
        }
    }

    /// PEFT compares ends of names here, dots or not.
    private func scalesInput(_ path: String) -> Bool {
        if case .names(let names) = feedForward { return names.contains(where: path.hasSuffix) }
        return feedForward.contains(path)
    }

    /// PEFT wants the names of feed-forward layers among those of all, letter by letter; where they are not, both are paths.
    package func json(_ parts: [AdapterPart]) -> JSONValue {
        var (targets, feedForward) = (selection.json(parts.map(\.path)), feedForward.json)
        if let all = targets.arrayValue, let some = feedForward.arrayValue, !some.allSatisfy(all.contains),
            !parts.isEmpty
        {
            targets = LayerSelection.whole(parts.map(\.path))
            feedForward = LayerSelection.whole(parts.map(\.path).filter(scalesInput))
        }
        return base.json(
            Self.peftType,
            [
                "exclude_modules": selection.excluded?.json ?? .null,
                "fan_in_fan_out": .bool(parts.contains { ($0.host as? Linear)?.layout == .inputsFirst }),
                "feedforward_modules": feedForward, "init_ia3_weights": .bool(startsAsBase),
                "target_modules": targets,
            ])
    }
}
