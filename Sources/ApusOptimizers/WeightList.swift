import ApusTorch

/// The weights of an optimizer that moves them one after the other, each with what is remembered of it.
struct WeightList {
    struct Entry {
        /// Its place in the list, from 0.
        let number: Int
        let weight: MasterWeight
        let decay: Double
        let rateFactor: Double
        /// What is remembered, by the first part of its name in the state.
        let memory: [String: Tensor]

        var values: Tensor { weight.values }

        /// - Precondition: The optimizer remembers something of that name.
        subscript(name: String) -> Tensor {
            guard let tensor = memory[name] else { preconditionFailure("nothing is remembered as \(name)") }
            return tensor
        }

        /// The number of this step of the weight, from 1; kept as `step`.
        func nextStep() throws -> Double {
            let count = try self["step"].item() + 1
            try self["step"].fill(count)
            return count
        }
    }

    let entries: [Entry]
    private let memory: StateMemory

    /// - Parameters:
    ///   - memory: Where what has the size of a weight lies.
    ///   - shapes: What is remembered of a weight of that shape, as zeros; `[]` is a scalar.
    init(
        _ groups: [ParameterGroup], memory: StateMemory = .plain, _ shapes: ([Int]) -> [String: [Int]]
    ) throws {
        self.memory = memory
        let parameters = groups.flatMap { group in group.parameters.map { (group, $0) } }
        entries = try parameters.enumerated().map { number, part in
            let (group, weight) = (part.0, try MasterWeight(part.1))
            let values = weight.values
            return Entry(
                number: number, weight: weight, decay: group.decay, rateFactor: group.rateFactor,
                memory: try shapes(values.shape).mapValues {
                    try memory.zeros($0, dtype: values.dtype, device: values.device)
                })
        }
    }

    /// Changes every weight that has a gradient; one that took no part in the loss is left as it is.
    ///
    /// - Parameter change: Gets the weight, its gradient in the type of its values, and its learning rate.
    func move(rate: Double, _ change: (Entry, Tensor, Double) throws -> Void) throws {
        try withoutGradients {
            for entry in entries {
                guard let gradient = try entry.weight.gradient() else { continue }
                try change(entry, gradient, rate * entry.rateFactor)
                try entry.weight.publish()
                memory.release(Array(entry.memory.values))
            }
        }
    }

    var state: [(name: String, tensor: Tensor)] {
        entries.flatMap { entry in
            entry.memory.keys.sorted().map { ("\($0).\(entry.weight.parameter.name)", entry[$0]) } + entry.weight.state
        }
    }
}

extension Tensor {
    /// `self ← β self + (1-β) value`.
    func average(_ value: Tensor, keeping beta: Double) throws {
        try multiply(by: beta)
        try add(value, scale: 1 - beta)
    }

    /// `self ← self + w (end - self)`.
    func moveTowards(_ end: Tensor, by weight: Double) throws { try add(end - self, scale: weight) }

    /// -1, 0 and 1.
    func signs() throws -> Tensor { try (-self).isLess(than: 0).to(dtype) - isLess(than: 0).to(dtype) }

    /// The root of the mean square.
    func rootMeanSquare() throws -> Double { try power(2).mean().item().squareRoot() }
}
