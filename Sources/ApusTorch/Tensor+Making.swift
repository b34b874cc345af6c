internal import CTorch

/// An element type that arrays of Swift share with tensors.
public protocol TensorElement: BitwiseCopyable, Sendable {
    static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int: TensorElement { public static var dtype: DType { .int64 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }

extension Tensor {
    /// A copy of the values; `shape` is one-dimensional unless given.
    ///
    /// - Throws: `TorchError` when the shape does not hold as many elements as there are values.
    public convenience init<Element: TensorElement>(
        _ values: [Element], shape: [Int]? = nil, device: Device = .cpu
    ) throws {
        let shape = shape ?? [values.count]
        guard shape.allSatisfy({ $0 >= 0 }), shape.reduce(1, *) == values.count else {
            throw TorchError(kind: .invalidOperation, message: "\(values.count) values do not fill the shape \(shape)")
        }
        let sizes = shape.map(Int64.init)
        let host = try values.withUnsafeBytes {
            try Tensor(owning: ct_copy_from($0.baseAddress, sizes, Int32(sizes.count), Element.dtype.scalarType))
        }
        if device == .cpu {
            try self.init(sharing: host)
        } else {
            try self.init(
                owning: withHandles(host) { ct_to_device($0, device.type, device.index) })
        }
    }

    private convenience init(sharing other: Tensor) throws {
        try self.init(owning: withHandles(other) { ct_alias($0) })
    }

    public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try full(shape, 0, dtype: dtype, device: device)
    }

    public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try full(shape, 1, dtype: dtype, device: device)
    }

    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        let sizes = shape.map(Int64.init)
        return try Tensor(
            owning: ct_full(sizes, Int32(sizes.count), value, dtype.scalarType, device.type, device.index))
    }

    /// Ones on the diagonal of [size, size], zeros elsewhere.
    package static func identity(_ size: Int, dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        let counts = try arange(0..<size, device: device)
        return try counts.unsqueezed(1).isEqual(to: counts.unsqueezed(0)).to(dtype)
    }

    /// Memory whose contents are not set.
    package static func empty(_ shape: [Int], dtype: DType, device: Device = .cpu) throws -> Tensor {
        let sizes = shape.map(Int64.init)
        return try Tensor(owning: ct_empty(sizes, Int32(sizes.count), dtype.scalarType, device.type, device.index))
    }

    public static func arange(_ range: Range<Int>, dtype: DType = .int64, device: Device = .cpu) throws -> Tensor {
        try Tensor(
            owning: ct_arange(
                Int64(range.lowerBound), Int64(range.upperBound), dtype.scalarType, device.type, device.index))
    }

    /// A tensor over memory that `owner` keeps alive, such as a mapped file.
    ///
    /// Never written to.
    package static func borrowing(
        _ bytes: UnsafeRawPointer, shape: [Int], dtype: DType, owner: AnyObject
    ) throws -> Tensor {
        let sizes = shape.map(Int64.init)
        let retained = Unmanaged.passRetained(owner)
        let handle = ct_borrow(bytes, sizes, Int32(sizes.count), dtype.scalarType, retained.toOpaque()) {
            if let owner = $0 { Unmanaged<AnyObject>.fromOpaque(owner).release() }
        }
        if handle == nil { retained.release() }
        return try Tensor(owning: handle)
    }
}
