package import ApusTorch

// T tokens, N experts, k experts of a token.

/// How evenly the routers of a pass spread tokens over experts, and the loss that makes them.
///
/// `N · Σ_e c_e p_e`, where c_e is how many of the k choices of a token fall on expert e and p_e the probability that it
/// gets, both as means over all tokens of all layers. Fedus et al. 2021, <https://arxiv.org/abs/2101.03961>, equations 4 to
/// 6.
package final class RouterBalance {
    private struct Part {
        /// Choices of each expert, [N].
        let choices: Tensor
        /// Probabilities of each, summed over tokens, [N].
        let probabilities: Tensor
        let tokens: Int
    }

    /// By router: a checkpointed layer runs twice.
    private var parts: [ObjectIdentifier: Part] = [:]
    private var order: [ObjectIdentifier] = []

    package init() {}

    /// Notes what a router says and chooses.
    ///
    /// A layer that is checkpointed keeps nothing of its first run. What the loss asks of its probabilities is known when
    /// it runs again, since the backward pass comes to the loss first; then the probabilities get it along with the output.
    ///
    /// - Parameters:
    ///   - router: Whose choice it is.
    ///   - scores: Of each token for each expert, [T, N].
    ///   - counts: How many choices fell on each expert, N.
    ///   - output: What the experts give.
    /// - Returns: The output to go on with.
    package func noting(_ router: Module, scores: Tensor, counts: [Int], output: Tensor) throws -> Tensor {
        let wide: DType = scores.dtype.isShortFloat ? .float32 : scores.dtype
        let sum = try softmax(scores.to(wide)).sum(0)  // [N]
        let key = ObjectIdentifier(router)
        if let first = parts[key] {
            guard let gradient = first.probabilities.gradient, sum.requiresGradient else { return output }
            return try carrying((sum * gradient).sum(), along: output)
        }
        let probabilities = isRecordingGradients ? sum : try sum.detached()
        if !isRecordingGradients { try probabilities.setRequiresGradient(true) }
        let choices = try Tensor(counts.map(Float.init), device: scores.device).to(wide)
        parts[key] = Part(choices: choices, probabilities: probabilities, tokens: scores.shape[0])
        order.append(key)
        return output
    }

    /// The loss of the pass; nil where no router has chosen.
    package func loss() throws -> Tensor? {
        let parts = order.compactMap { self.parts[$0] }
        guard let first = parts.first else { return nil }
        let tokens = Double(max(1, parts.reduce(0) { $0 + $1.tokens }))
        let choices = try parts.dropFirst().reduce(first.choices) { try $0 + $1.choices }
        let probabilities = try parts.dropFirst().reduce(first.probabilities) { try $0 + $1.probabilities }
        return try ((choices / tokens) * (probabilities / tokens)).sum() * Double(first.choices.count)
    }
}
