internal import CTorch

extension Tensor {
    public func sum() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_sum($0) }) }

    public func sum(_ axis: Int, keepAxis: Bool = false) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_sum_axis($0, Int64(axis), keepAxis) })
    }

    public func mean() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_mean($0) }) }

    public func mean(_ axis: Int, keepAxis: Bool = false) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_mean_axis($0, Int64(axis), keepAxis) })
    }

    public func max() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_max($0) }) }

    public func max(_ axis: Int, keepAxis: Bool = false) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_amax($0, Int64(axis), keepAxis) })
    }

    public func argmax(_ axis: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_argmax($0, Int64(axis)) })
    }

    public func cumulativeSum(_ axis: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_cumsum($0, Int64(axis)) })
    }

    public func sorted(_ axis: Int = -1, descending: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        var values: ct_tensor?
        var indices: ct_tensor?
        try check(withHandles(self) { ct_sort($0, Int64(axis), descending, &values, &indices) })
        return (try Tensor(owning: values), try Tensor(owning: indices))
    }

    /// The `k` largest of the last axis, largest first.
    public func top(_ k: Int) throws -> (values: Tensor, indices: Tensor) {
        var values: ct_tensor?
        var indices: ct_tensor?
        try check(withHandles(self) { ct_topk($0, Int64(k), &values, &indices) })
        return (try Tensor(owning: values), try Tensor(owning: indices))
    }
}

public func softmax(_ x: Tensor, axis: Int = -1) throws -> Tensor {
    try Tensor(owning: withHandles(x) { ct_softmax($0, Int64(axis)) })
}

public func logSoftmax(_ x: Tensor, axis: Int = -1) throws -> Tensor {
    try Tensor(owning: withHandles(x) { ct_log_softmax($0, Int64(axis)) })
}

// MARK: - Decompositions

extension Tensor {
    /// `U diag(S) Vᵀ` of a matrix [m, n], k = min(m, n): U [m, k], S [k] largest first, Vᵀ [k, n].
    package func singularValueDecomposition() throws -> (u: Tensor, s: Tensor, v: Tensor) {
        var s: ct_tensor?
        var v: ct_tensor?
        let u = withHandles(self) { ct_svd($0, &s, &v) }
        return (try Tensor(owning: u), try Tensor(owning: s), try Tensor(owning: v))
    }

    /// `Q R` of a matrix [m, n], k = min(m, n): Q [m, k] with orthonormal columns, R [k, n] upper triangular.
    package func qrDecomposition() throws -> (q: Tensor, r: Tensor) {
        var r: ct_tensor?
        let q = withHandles(self) { ct_qr($0, &r) }
        return (try Tensor(owning: q), try Tensor(owning: r))
    }

    /// `B A⁻¹` of this matrix B and a square A, or of batches of both.
    package func divided(byMatrix a: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, self) { ct_solve($0, $1, false) })
    }

    /// `(I + L)⁻¹ B` of this B [..., n, m], where L is what lies below the diagonal of a [..., n, n]; the rest of it is not
    /// looked at.
    package func divided(byUnitLower a: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, self) { ct_solve_unit_lower($0, $1) })
    }
}
