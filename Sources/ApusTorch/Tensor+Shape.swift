internal import CTorch

extension Tensor {
    /// The same elements in another shape; one size may be -1.
    ///
    /// Copies only when it must.
    public func reshaped(_ shape: [Int]) throws -> Tensor {
        let sizes = shape.map(Int64.init)
        return try Tensor(owning: withHandles(self) { ct_reshape($0, sizes, Int32(sizes.count)) })
    }

    public func transposed(_ a: Int, _ b: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_transpose($0, Int64(a), Int64(b)) })
    }

    public func permuted(_ axes: [Int]) throws -> Tensor {
        let axes = axes.map(Int64.init)
        return try Tensor(owning: withHandles(self) { ct_permute($0, axes, Int32(axes.count)) })
    }

    /// A view of `length` positions of an axis.
    public func narrowed(_ axis: Int, start: Int, length: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_narrow($0, Int64(axis), Int64(start), Int64(length)) })
    }

    /// A view of one position of an axis, without that axis.
    public func selected(_ axis: Int, _ index: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_select($0, Int64(axis), Int64(index)) })
    }

    public func unsqueezed(_ axis: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_unsqueeze($0, Int64(axis)) })
    }

    public func squeezed(_ axis: Int) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_squeeze($0, Int64(axis)) })
    }

    /// A view that repeats axes of size 1; -1 keeps an axis.
    public func expanded(_ shape: [Int]) throws -> Tensor {
        let sizes = shape.map(Int64.init)
        return try Tensor(owning: withHandles(self) { ct_expand($0, sizes, Int32(sizes.count)) })
    }

    public func contiguous() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_contiguous($0) }) }

    /// A copy with its own storage.
    public func cloned() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_clone($0) }) }

    public func to(_ dtype: DType) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_to_dtype($0, dtype.scalarType) })
    }

    public func to(_ device: Device) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_to_device($0, device.type, device.index) })
    }

    /// The rows (positions of `axis`) that `index` names.
    public func indexed(_ axis: Int, _ index: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, index) { ct_index_select($0, Int64(axis), $1) })
    }

    public func gathered(_ axis: Int, _ index: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, index) { ct_gather($0, Int64(axis), $1) })
    }

    /// Overwrites the rows that `index` (int64) names, each at most once, with those of `source`, in this tensor's own
    /// storage.
    package func copyRows(_ index: Tensor, from source: Tensor) throws {
        try check(withHandles(self, index, source) { ct_index_copy_in_place($0, $1, $2) })
    }

    /// A copy with `source` written to the positions that `index` names.
    public func scattered(_ axis: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, index, source) { ct_scatter($0, Int64(axis), $1, $2) })
    }
}

public func concatenated(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    try Tensor(owning: withHandles(tensors) { ct_cat($0, $1, Int64(axis)) })
}

public func stacked(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    try Tensor(owning: withHandles(tensors) { ct_stack($0, $1, Int64(axis)) })
}
