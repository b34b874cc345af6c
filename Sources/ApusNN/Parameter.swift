public import ApusTorch

/// The place of one tensor of a model: its name on disk, its shape, and, once loaded, its values.
public final class ParameterSlot {
    public let name: String
    /// The declared shape; an undeclared slot is an absent optional parameter.
    package private(set) var shape: [Int]?
    package private(set) var initializer: Initializer = .zeros
    package private(set) var isTrainable = false
    /// Whether it belongs to the model's file but is never trained, and no parameter in its count.
    package private(set) var isBuffer = false
    /// The type that it is kept in whatever the model computes in.
    package private(set) var ownType: DType?
    package private(set) var tensor: Tensor?
    /// Whether the memory belongs to a mapped file; such weights are copied before they are trained.
    private var isBorrowed = false

    init(_ name: String) { self.name = name }

    package var isDeclared: Bool { shape != nil }

    /// Elements, whether loaded or not.
    ///
    /// Beyond any tensor there is, the number stays, so that sums over a model that a file only claims do not overflow.
    package var count: Int {
        shape?.reduce(1) { count, size in
            let (product, isTooLarge) = count.multipliedReportingOverflow(by: size)
            return isTooLarge ? 1 << 38 : min(product, 1 << 38)
        } ?? 0
    }

    /// Says that the parameter exists.
    public func declare(_ shape: [Int], _ initializer: Initializer = .zeros) {
        self.shape = shape
        self.initializer = initializer
    }

    /// Says that there are values which training leaves alone.
    ///
    /// - Parameter type: What they are kept in whatever the model computes in.
    package func declareBuffer(_ shape: [Int], _ initializer: Initializer = .zeros, kept type: DType? = nil) {
        declare(shape, initializer)
        isBuffer = true
        ownType = type
    }

    /// Puts the values in place.
    ///
    /// - Parameter isBorrowed: Whether the memory is a file's and must not be written to.
    /// - Throws: `TorchError` when the shape is not the declared one.
    package func fill(_ tensor: Tensor, isBorrowed: Bool = false) throws {
        guard tensor.shape == shape else {
            throw TorchError(
                kind: .invalidOperation, message: "\(name): got the shape \(tensor.shape), declared is \(shape ?? [])")
        }
        // What is not trained may still be written to, by a run that goes on.
        self.tensor = isBuffer && isBorrowed ? try tensor.cloned() : tensor
        self.isBorrowed = isBorrowed && !isBuffer
        try applyTrainable()
    }

    /// Lets the values go that something else holds now; the shape stays, and with it the count.
    package func release() {
        tensor = nil
        isBorrowed = false
    }

    /// Allocates and initialises the values.
    package func materialize(dtype: DType, device: Device, generator: Generator) throws {
        guard let shape else { return }
        try fill(initializer.made(shape, generator: generator).to(ownType ?? dtype).to(device))
    }

    package func setTrainable(_ isTrainable: Bool) throws {
        self.isTrainable = isTrainable && !isBuffer
        try applyTrainable()
    }

    private func applyTrainable() throws {
        guard let current = tensor, current.requiresGradient != isTrainable else { return }
        if isTrainable && isBorrowed {
            tensor = try current.cloned()
            isBorrowed = false
        }
        try tensor?.setRequiresGradient(isTrainable)
    }
}

/// What a `@Parameter` property can hold: a tensor, or a tensor that may be absent.
public protocol ParameterValue {
    static func value(in slot: ParameterSlot) -> Self
}

extension Tensor: ParameterValue {
    public static func value(in slot: ParameterSlot) -> Self {
        guard let tensor = slot.tensor, let value = tensor as? Self else {
            preconditionFailure("the parameter \(slot.name) is read before its weights are loaded")
        }
        return value
    }
}

extension Optional: ParameterValue where Wrapped == Tensor {
    public static func value(in slot: ParameterSlot) -> Tensor? {
        slot.isDeclared ? Tensor.value(in: slot) : nil
    }
}

protocol ParameterWrapper {
    var slot: ParameterSlot { get }
}

/// A parameter of a module, with its name on disk: `@Parameter("weight") var weight: Tensor`.
@propertyWrapper
public struct Parameter<Value: ParameterValue>: ParameterWrapper {
    let slot: ParameterSlot

    public init(_ name: String) { slot = ParameterSlot(name) }

    public var wrappedValue: Value { Value.value(in: slot) }

    public var projectedValue: ParameterSlot { slot }
}
