public import ApusTorch

// T tokens, D width, N experts, k experts of a token.

/// Which experts each token goes to and what each of them counts, [T, k] each.
public struct Routing {
    package let experts: Tensor
    package let weights: Tensor

    package init(experts: Tensor, weights: Tensor) { (self.experts, self.weights) = (experts, weights) }
}

/// What sends tokens to experts: a score of each of N experts, `x Wᵀ`, and a family's rule of choosing by them.
open class Router: Linear {
    package init(width: Int, experts: Int, initializer: Initializer) {
        super.init(width, experts, bias: false, initializer: initializer)
    }

    /// The scores [T, N] of x [T, D].
    open func scores(_ x: Tensor, _ context: ForwardContext) throws -> Tensor { try self(x, context) }

    /// The choice by scores [T, N].
    open func routing(_ scores: Tensor) throws -> Routing {
        preconditionFailure("\(type(of: self)) does not say how it chooses")
    }
}

/// What chooses by softmax and is trained to spread tokens over experts, where a run asks for that (`RouterBalance`).
package protocol BalancedRouter: Module {}

/// Softmax over all experts, of which the `count` likeliest are taken: Qwen's and Mixtral's.
package final class SoftmaxRouter: Router, BalancedRouter {
    /// What the chosen probabilities are made of.
    package enum Weights: Sendable {
        case asTheyAre
        /// Divided by their sum.
        case ofTheChosen
    }

    private let count: Int
    private let kind: Weights

    package init(width: Int, experts: Int, choosing count: Int, weights: Weights, initializer: Initializer) {
        self.count = count
        kind = weights
        super.init(width: width, experts: experts, initializer: initializer)
    }

    package override func routing(_ scores: Tensor) throws -> Routing {
        let wide: DType = scores.dtype.isShortFloat ? .float32 : scores.dtype
        let (weights, experts) = try softmax(scores.to(wide)).top(count)  // [T, k]
        switch kind {
        case .asTheyAre: return Routing(experts: experts, weights: weights)
        case .ofTheChosen: return Routing(experts: experts, weights: try weights / weights.sum(1, keepAxis: true))
        }
    }
}

/// A feed-forward part of which each token passes through a few of N: `Σ_k w_k · expert_k(x)`, and through what all
/// tokens share.
///
/// Tokens are sorted by expert, so that each is one product over the rows sent to it; none is padded and none dropped.
/// Shazeer et al. 2017, <https://arxiv.org/abs/1701.06538>; Fedus et al. 2021, <https://arxiv.org/abs/2101.03961>.
package final class MixtureOfExperts: Sublayer {
    @Child("gate") var router: Router
    @Child("experts") var experts: [Sublayer]
    @Child("shared_experts") var shared: Sublayer?

    /// Whether files of the model hold the matrices of all experts as one tensor.
    package let isOneTensor: Bool

    /// - Parameter sharedName: What the part of all tokens is called on disk.
    package init(
        _ router: Router, experts: [Sublayer], shared: Sublayer? = nil, sharedName: String = "shared_experts",
        isOneTensor: Bool = false
    ) {
        self.isOneTensor = isOneTensor
        super.init()
        self.router = router
        self.experts = experts
        _shared = Child(wrappedValue: shared, sharedName)
    }

    /// What `transformers` calls the tensors that hold the matrices of all experts of a layer.
    package static let stackedNames = ["gate_up_proj", "down_proj"]

    /// Of each expert the layers whose matrices lie one above the other in such a tensor; nil where it has no such parts.
    package func layers(stackedAs name: String) -> [[Linear]]? {
        let gated = experts.compactMap { $0 as? SwiGLU }
        guard gated.count == experts.count else { return nil }
        switch name {
        case "gate_up_proj": return gated.map { [$0.gate, $0.up] }
        case "down_proj": return gated.map { [$0.down] }
        default: return nil
        }
    }

    package override func callAsFunction(_ x: Tensor, _ context: ForwardContext) throws -> Tensor {
        let scores = try router.scores(x, context)
        let routing = try router.routing(scores)
        let order = try SlotsByExpert(routing.experts, count: experts.count)
        let mixed = try order.mixed(x, weights: routing.weights) { try experts[$0]($1, context) }  // [T, D]
        let all = try shared.map { try mixed + $0(x, context) } ?? mixed
        guard let balance = context.balance else { return all }
        return try balance.noting(router, scores: scores, counts: order.counts, output: all)
    }
}

/// The T · k pairs of a token and one of its experts, sorted by expert.
package struct SlotsByExpert {
    /// The token of each pair, [T·k].
    private let tokens: Tensor
    /// Where each pair lies, in the order of tokens, [T·k].
    private let places: Tensor
    /// The pairs of each expert.
    private let rows: [Range<Int>]

    /// - Parameter experts: [T, k].
    package init(_ experts: Tensor, count: Int) throws {
        let perToken = experts.shape[1]
        // The sizes of products are needed on the host, so that the sorting is done there too.
        let chosen = try experts.values(as: Int64.self)
        var counts = Array(repeating: 0, count: count)
        for expert in chosen { counts[Int(expert)] += 1 }
        var next = 0
        rows = counts.map { count in
            defer { next += count }
            return next..<(next + count)
        }
        var free = rows.map(\.lowerBound)
        var tokens = Array(repeating: Int64(0), count: chosen.count)
        var places = tokens
        for (slot, expert) in chosen.enumerated() {
            let place = free[Int(expert)]
            free[Int(expert)] += 1
            tokens[place] = Int64(slot / perToken)
            places[slot] = Int64(place)
        }
        self.tokens = try Tensor(tokens, device: experts.device)
        self.places = try Tensor(places, device: experts.device)
    }

    /// How many tokens each expert has.
    package var counts: [Int] { rows.map(\.count) }

    /// `Σ_k w_k · expert_k(x)` of x [T, D]: [T, D].
    ///
    /// - Parameters:
    ///   - weights: What each expert of a token counts, [T, k].
    ///   - output: What an expert, by its number, makes of its rows [t, D].
    package func mixed(
        _ x: Tensor, weights: Tensor, _ output: (_ expert: Int, _ rows: Tensor) throws -> Tensor
    ) throws -> Tensor {
        let sorted = try x.indexed(0, tokens)  // [T·k, D]
        var outputs: [Tensor] = []
        for (expert, rows) in rows.enumerated() where !rows.isEmpty || isRecordingGradients {
            // Without tokens it is run all the same in training: its gradient is zero, not absent.
            outputs.append(try output(expert, sorted.narrowed(0, start: rows.lowerBound, length: rows.count)))
        }
        let weights = try weights.to(x.dtype).unsqueezed(2)  // [T, k, 1]
        let slots = try concatenated(outputs).indexed(0, places)  // [T·k, D]
        return try (slots.reshaped([weights.shape[0], weights.shape[1], -1]) * weights).sum(1)
    }
}
