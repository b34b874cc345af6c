internal import CTorch

/// A multi-dimensional array of libtorch, with its gradient history.
///
/// Tensors have identity and share storage, so this is a class; libtorch keeps state per thread, so it is not Sendable.
/// Every operation throws `TorchError`: a wrong shape, exhausted memory or a broken device never ends the process.
public final class Tensor {
    /// Read only by `withHandles`, which keeps the owner alive through the call.
    fileprivate let raw: ct_tensor

    /// Takes ownership of a handle; null is the error of the call that returned it.
    init(owning handle: ct_tensor?) throws {
        guard let handle else { throw TorchError.last() }
        raw = handle
    }

    deinit { ct_free(raw) }
}

// Swift may release an object right after its last use, which can be the read of `raw` and before the C call returns.
// These are therefore the only functions that read it, and each keeps its tensors alive until the call is over.

@inline(__always)
func withHandles<Result>(_ x: Tensor, _ body: (ct_tensor) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(x) { try body(x.raw) }
}

@inline(__always)
func withHandles<Result>(_ x: Tensor, _ y: Tensor, _ body: (ct_tensor, ct_tensor) throws -> Result) rethrows -> Result {
    try withExtendedLifetime((x, y)) { try body(x.raw, y.raw) }
}

@inline(__always)
func withHandles<Result>(
    _ x: Tensor, _ y: Tensor, _ z: Tensor, _ body: (ct_tensor, ct_tensor, ct_tensor) throws -> Result
) rethrows -> Result {
    try withExtendedLifetime((x, y, z)) { try body(x.raw, y.raw, z.raw) }
}

/// A null handle stands for an absent tensor.
@inline(__always)
func withHandle<Result>(ifPresent x: Tensor?, _ body: (ct_tensor?) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(x) { try body(x?.raw) }
}

func withHandles<Result>(
    _ tensors: [Tensor], _ body: (UnsafePointer<ct_tensor?>?, Int32) throws -> Result
) rethrows -> Result {
    try withExtendedLifetime(tensors) {
        let handles: [ct_tensor?] = tensors.map { $0.raw }
        return try handles.withUnsafeBufferPointer { try body($0.baseAddress, Int32(tensors.count)) }
    }
}

/// Turns the status of a call into an error.
@inline(__always)
func check(_ status: Int32) throws {
    if status != 0 { throw TorchError.last() }
}

extension Tensor {
    public var shape: [Int] {
        withHandles(self) { handle in
            let rank = Int(ct_rank(handle))
            return withUnsafeTemporaryAllocation(of: Int64.self, capacity: rank) { sizes in
                ct_shape(handle, sizes.baseAddress)
                return (0..<rank).map { Int(sizes[$0]) }
            }
        }
    }

    public var rank: Int { withHandles(self) { Int(ct_rank($0)) } }

    /// How many elements there are.
    public var count: Int { withHandles(self) { Int(ct_element_count($0)) } }

    public var dtype: DType {
        let number = withHandles(self) { ct_dtype($0) }
        guard let known = DType(scalarType: number) else {
            preconditionFailure("libtorch's element type number \(number) is made by no operation of Apus")
        }
        return known
    }

    public var device: Device {
        withHandles(self) { Device(type: ct_device_type($0), index: ct_device_index($0)) }
    }

    package var isContiguous: Bool { withHandles(self) { ct_is_contiguous($0) } }

    /// Bytes of the elements.
    public var byteCount: Int { count * dtype.size }
}

extension Tensor: CustomStringConvertible {
    public var description: String { "Tensor(\(shape), \(dtype), \(device))" }
}
