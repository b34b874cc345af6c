package import ApusNN
package import ApusTorch

/// `(W + Δ) x + b`, where Δ [out, in] is made of a few trained numbers.
package class MatrixDelta: LinearAdapter {
    /// Δ, [out, in].
    func delta() throws -> Tensor {
        preconditionFailure("\(type(of: self)) does not say what it adds")
    }

    package override func callAsFunction(
        _ x: Tensor, on base: Linear, below: ((Tensor) throws -> Tensor)?, _ context: ForwardContext
    ) throws -> Tensor {
        let delta = try delta()
        return try summed(below?(x) ?? base.plain(x), linear(x.to(delta.dtype), delta))
    }

    /// Δ.
    package override func keptCount(on base: Linear) -> Int { base.inputs * base.outputs }

    package override func merged(into matrix: Tensor) throws -> Tensor {
        let wide = matrix.dtype.atLeastFloat32
        return try (matrix.to(wide) + delta().to(wide)).to(matrix.dtype)
    }
}

/// The sum of a layer's output and what an adapter adds to it, in the wider of their types and rounded once.
func summed(_ output: Tensor, _ added: Tensor) throws -> Tensor { try (output + added).to(output.dtype) }

/// A matrix [rows, columns] that is zero but for `values` at places that count along its rows.
func sparse(_ values: Tensor, at places: Tensor, _ rows: Int, _ columns: Int) throws -> Tensor {
    try Tensor.zeros([rows * columns], dtype: values.dtype, device: values.device)
        .scattered(0, places, values).reshaped([rows, columns])  // [rows, columns]
}

/// The first places of a random order of a matrix's elements, as PEFT draws them: the same for each layer of a size.
struct RandomPlaces {
    private var drawn: [[Int]: Tensor] = [:]

    /// `count` of `total` places, int64.
    mutating func places(_ count: Int, of total: Int, seed: UInt64) throws -> Tensor {
        if let known = drawn[[count, total]] { return known }
        let order = try Generator(seed: seed).permutation(of: total)
        let places = try order.narrowed(0, start: 0, length: count).cloned()
        drawn[[count, total]] = places
        return places
    }
}
