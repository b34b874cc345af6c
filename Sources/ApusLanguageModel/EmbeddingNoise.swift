import ApusNN
import ApusTorch

extension Tensor {
    /// The vectors of words [T, D] with noise on them: `x + α / √(L D) · u`, u uniform on [-1, 1), L the tokens of a
    /// vector's sequence (NEFTune).
    ///
    /// Jain et al. 2023, <https://arxiv.org/abs/2310.05914>. `transformers` takes the length of the longest sequence of a
    /// batch for L, as its batches are padded to that.
    ///
    /// - Parameters:
    ///   - bounds: Offsets of the sequences, one more than there are.
    ///   - key: Names the draw.
    func noised(by alpha: Double, bounds: [Int32], key: UInt64) throws -> Tensor {
        let noise = try Tensor.zeros(shape, device: device)  // [T, D]
        try noise.fillUniform(-1, 1, generator: Generator(seed: key))
        let sizes = zip(bounds, bounds.dropFirst()).flatMap { start, end -> [Float] in
            let size = alpha / (Double(end - start) * Double(shape[1])).squareRoot()
            return Array(repeating: Float(size), count: Int(end - start))
        }
        return try self + (noise * Tensor(sizes, device: device).unsqueezed(1)).to(dtype)
    }
}
