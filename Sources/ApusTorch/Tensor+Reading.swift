internal import CTorch

extension Tensor {
    /// The one element, as a double.
    ///
    /// Waits for the device.
    ///
    /// - Throws: `TorchError` when there is not exactly one element.
    public func item() throws -> Double {
        var value = 0.0
        try check(withHandles(self) { ct_item($0, &value) })
        return value
    }

    /// All elements in row-major order, converted to `Element`.
    ///
    /// Waits for the device and copies.
    public func values<Element: TensorElement>(as type: Element.Type = Element.self) throws -> [Element] {
        let total = count
        return try [Element](unsafeUninitializedCapacity: total) { buffer, initialized in
            try check(withHandles(self) { ct_read($0, Element.dtype.scalarType, buffer.baseAddress) })
            initialized = total
        }
    }

    /// Whether both hold the same values in the same shape.
    public func equals(_ other: Tensor) throws -> Bool {
        let answer = withHandles(self, other) { ct_equal($0, $1) }
        if answer < 0 { throw TorchError.last() }
        return answer == 1
    }

    /// The bytes of a contiguous tensor on the CPU.
    package func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        guard device == .cpu else { return try to(.cpu).withUnsafeBytes(body) }
        guard isContiguous else { return try contiguous().withUnsafeBytes(body) }
        return try withHandles(self) { handle in
            try body(UnsafeRawBufferPointer(start: ct_data(handle), count: byteCount))
        }
    }

    /// The bytes of a contiguous tensor on the CPU, to be written to.
    package func withUnsafeMutableBytes<Result>(
        _ body: (UnsafeMutableRawBufferPointer) throws -> Result
    ) throws -> Result {
        guard device == .cpu, isContiguous else {
            throw TorchError(kind: .invalidOperation, message: "only a contiguous tensor on the CPU can be written to")
        }
        return try withHandles(self) { handle in
            try body(UnsafeMutableRawBufferPointer(start: ct_data(handle), count: byteCount))
        }
    }
}
