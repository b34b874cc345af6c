import ApusTorch

/// Singular vectors that a gradient is projected on, kept in few bits, and found anew the less often the less they turn.
///
/// Numbers are cut into groups, row after row, and each becomes one of 2ᵇ equal steps from the smallest to the largest of its
/// group. When the vectors found anew are like those before, at a cosine of at least `threshold` in the mean of the last
/// times, the gap to the next time is multiplied by `growth`. Zhang et al. 2024, <https://arxiv.org/abs/2407.08296>,
/// section 3.3.
package struct LazyProjection: Sendable, Equatable {
    /// Bits of a number of the vectors; nil keeps them whole.
    package var bits: Int?
    /// Numbers that share a smallest and a largest.
    package var group = 256
    package var threshold = 0.4
    package var growth = 2
    /// How many of the last likenesses count.
    package var memory = 5

    package init() {}
}

/// A matrix in 2ᵇ equal steps by groups.
struct StepCoded {
    private let bytes: Tensor  // uint8, one a number
    private let scales: Tensor  // [groups, 1]
    private let smallest: Tensor  // [groups, 1]
    private let shape: [Int]

    init(zeros shape: [Int], group: Int, dtype: DType, device: Device) throws {
        let count = shape.reduce(1, *)
        let size = count % group == 0 ? group : count
        self.shape = shape
        bytes = try Tensor.zeros([count / size, size], dtype: .uint8, device: device)
        scales = try Tensor.zeros([count / size, 1], dtype: dtype, device: device)
        smallest = try Tensor.zeros([count / size, 1], dtype: dtype, device: device)
    }

    /// Takes up other values.
    func take(_ values: Tensor, bits: Int) throws {
        let rows = try values.contiguous().reshaped(bytes.shape)
        let low = try -((-rows).max(1, keepAxis: true))
        let high = try rows.max(1, keepAxis: true)
        let span = try high - low
        // A group of equal numbers has no steps.
        let isFlat = try span.isEqual(to: Tensor.zeros(span.shape, dtype: span.dtype, device: span.device)).to(
            span.dtype)
        let step = try (span + isFlat) / Double((1 << bits) - 1)
        try bytes.copy(from: ((rows - low) / step + 0.5).to(.uint8))
        try scales.copy(from: step)
        try smallest.copy(from: low)
    }

    func values() throws -> Tensor { try (bytes.to(scales.dtype) * scales + smallest).reshaped(shape) }

    func state(_ name: String) -> [(name: String, tensor: Tensor)] {
        [("\(name).codes", bytes), ("\(name).scales", scales), ("\(name).smallest", smallest)]
    }
}
