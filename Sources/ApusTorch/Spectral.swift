internal import CTorch

extension Tensor {
    /// The standard deviation of all elements, with one less than their count below the sum of squares.
    package func standardDeviation() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_std($0) }) }
}

/// The real part of the inverse Fourier transform of a matrix [m, n], in float32 or float64.
package func inverseFourier(_ spectrum: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(spectrum) { ct_ifft2_real($0) })
}

/// `y[t, m, k] = Σₙ Σᵢ x[t, n, i] · w[m, n, (i - k) mod b]`, through Fourier transforms — x [T, n, b], w [m, n, b].
package func circularCorrelation(_ x: Tensor, _ w: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(x, w) { ct_circular_correlation($0, $1) })  // [T, m, b]
}

/// `x` [N, C, H, W] spread by `stride` and summed with filters [C, C', h, w]: the transpose of a convolution.
package func transposedConvolution(_ x: Tensor, _ filters: Tensor, stride: Int) throws -> Tensor {
    try Tensor(owning: withHandles(x, filters) { ct_conv_transpose2d($0, $1, Int64(stride)) })
}
