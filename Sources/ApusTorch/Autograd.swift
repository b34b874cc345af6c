internal import CTorch

extension Tensor {
    /// Whether operations on this tensor are recorded for `backward()`.
    public var requiresGradient: Bool { withHandles(self) { ct_requires_gradient($0) } }

    public func setRequiresGradient(_ value: Bool) throws {
        try check(withHandles(self) { ct_set_requires_gradient($0, value) })
    }

    /// What `backward()` has accumulated here, if anything.
    public var gradient: Tensor? { withHandles(self) { ct_gradient($0) }.flatMap { try? Tensor(owning: $0) } }

    /// Replaces what has been accumulated.
    ///
    /// - Throws: `TorchError` for a gradient of another shape, type or device.
    public func setGradient(_ gradient: Tensor) throws {
        try check(withHandles(self, gradient) { ct_set_gradient($0, $1) })
    }

    /// Forgets what has been accumulated.
    public func clearGradient() { withHandles(self) { ct_clear_gradient($0) } }

    /// Accumulates the gradient of this scalar into every tensor that requires one.
    public func backward() throws {
        try check(withHandles(self) { ct_backward($0, nil) })
    }

    /// The same with a given gradient of this tensor.
    public func backward(_ gradient: Tensor) throws {
        try check(withHandles(self, gradient) { ct_backward($0, $1) })
    }

    /// The same values without history.
    public func detached() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_detach($0) }) }
}

/// Runs `body` without recording operations.
///
/// Synchronous, since the mode belongs to the thread.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = ct_gradient_enabled()
    ct_set_gradient_enabled(false)
    defer { ct_set_gradient_enabled(before) }
    return try body()
}

/// Whether operations are being recorded on this thread.
package var isRecordingGradients: Bool { ct_gradient_enabled() }

private final class CheckpointBody {
    let body: ([Tensor]) throws -> Tensor
    var error: (any Error)?

    init(_ body: @escaping ([Tensor]) throws -> Tensor) { self.body = body }
}

/// `body(inputs)` without keeping what it computes; it runs again when its gradient is needed.
///
/// Time for memory: one more forward pass of the part. Chen et al. 2016, <https://arxiv.org/abs/1604.06174>.
/// `body` must give the same values each time it runs, and take everything that was computed before it and wants a
/// gradient from its inputs; parameters it may hold on its own.
package func checkpointed(_ inputs: [Tensor], _ body: @escaping ([Tensor]) throws -> Tensor) throws -> Tensor {
    let context = CheckpointBody(body)
    let opaque = Unmanaged.passRetained(context).toOpaque()
    let handle = withHandles(inputs) { handles, count in
        ct_checkpoint(
            handles, count, opaque,
            { context, handles, count in
                guard let context, let handles else { return nil }
                let part = Unmanaged<CheckpointBody>.fromOpaque(context).takeUnretainedValue()
                do {
                    let inputs = try (0..<Int(count)).map { try Tensor(owning: handles[$0]) }
                    let output = try part.body(inputs)
                    return withHandles(output) { ct_alias($0) }
                } catch {
                    part.error = error
                    return nil
                }
            },
            { context in
                if let context { Unmanaged<CheckpointBody>.fromOpaque(context).release() }
            })
    }
    if let error = context.error { throw error }
    return try Tensor(owning: handle)
}

/// The same of one input.
package func checkpointed(_ x: Tensor, _ body: @escaping (Tensor) throws -> Tensor) throws -> Tensor {
    try checkpointed([x]) { try body($0[0]) }
}

/// `x`, whose backward pass also gives a scalar the gradient 1, as if it had been added to the loss of the whole.
///
/// Inside a checkpointed part nothing else reaches the loss. The scalar is to be made of a gradient that is already there.
package func carrying(_ loss: Tensor, along x: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(x, loss) { ct_carry_loss($0, $1) })
}

/// Runs `body` with the composed form of every fused operation, for tests.
///
/// Synchronous, since the mode belongs to the thread.
package func withComposedForms<Result>(_ body: () throws -> Result) rethrows -> Result {
    try withForm(2, body)
}

/// Runs `body` with the kernels for CUDA on the processor, of the operations that have some, for tests.
///
/// Synchronous, since the mode belongs to the thread.
package func withDeviceKernels<Result>(_ body: () throws -> Result) rethrows -> Result {
    try withForm(1, body)
}

private func withForm<Result>(_ form: Int32, _ body: () throws -> Result) rethrows -> Result {
    let before = ct_form()
    ct_set_form(form)
    defer { ct_set_form(before) }
    return try body()
}

/// A scalar whose gradient with respect to `x` is known.
package func carrying(_ value: Tensor, gradient: Tensor, of x: Tensor) throws -> Tensor {
    // What a device cannot hold is rounded.
    let wide: DType = x.device == .mps ? .float32 : .float64
    let product = try (x.to(wide) * gradient.to(wide)).sum()
    return try product + (value.to(wide) - product.detached())
}
