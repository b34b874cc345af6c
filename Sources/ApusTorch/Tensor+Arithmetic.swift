internal import CTorch

extension Tensor {
    public static func + (a: Tensor, b: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, b) { ct_add($0, $1) })
    }
    public static func - (a: Tensor, b: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, b) { ct_sub($0, $1) })
    }
    public static func * (a: Tensor, b: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, b) { ct_mul($0, $1) })
    }
    public static func / (a: Tensor, b: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(a, b) { ct_div($0, $1) })
    }
    public static func + (a: Tensor, b: Double) throws -> Tensor {
        try Tensor(owning: withHandles(a) { ct_add_scalar($0, b) })
    }
    public static func - (a: Tensor, b: Double) throws -> Tensor { try a + (-b) }
    public static func * (a: Tensor, b: Double) throws -> Tensor {
        try Tensor(owning: withHandles(a) { ct_mul_scalar($0, b) })
    }
    public static func / (a: Tensor, b: Double) throws -> Tensor { try a * (1 / b) }
    public static prefix func - (a: Tensor) throws -> Tensor { try Tensor(owning: withHandles(a) { ct_neg($0) }) }

    public func power(_ exponent: Double) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_pow_scalar($0, exponent) })
    }

    /// Adds `scale · other` to this tensor's own storage.
    public func add(_ other: Tensor, scale: Double = 1) throws {
        try check(withHandles(self, other) { ct_add_in_place($0, $1, scale) })
    }

    /// Multiplies this tensor's own storage.
    public func multiply(by value: Double) throws {
        try check(withHandles(self) { ct_mul_in_place($0, value) })
    }

    /// Overwrites this tensor's own storage with the values of another, converting them.
    public func copy(from source: Tensor) throws {
        try check(withHandles(self, source) { ct_copy_in_place($0, $1) })
    }

    public func fill(_ value: Double) throws {
        try check(withHandles(self) { ct_fill_in_place($0, value) })
    }
}

/// The matrix product over the last two axes.
public func matmul(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(a, b) { ct_matmul($0, $1) })
}

public func exp(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_exp($0) }) }
public func log(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_log($0) }) }
public func sqrt(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_sqrt($0) }) }
public func abs(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_abs($0) }) }
public func tanh(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_tanh($0) }) }
public func sigmoid(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_sigmoid($0) }) }
public func silu(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_silu($0) }) }
/// `ln(1 + exp(x))`.
package func softplus(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_softplus($0) }) }
public func relu(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_relu($0) }) }
public func sin(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_sin($0) }) }
public func cos(_ x: Tensor) throws -> Tensor { try Tensor(owning: withHandles(x) { ct_cos($0) }) }

extension Tensor {
    public func isLess(than other: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, other) { ct_lt($0, $1) })
    }
    public func isLess(than value: Double) throws -> Tensor {
        try Tensor(owning: withHandles(self) { ct_lt_scalar($0, value) })
    }
    public func isGreater(than other: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, other) { ct_gt($0, $1) })
    }
    public func isEqual(to other: Tensor) throws -> Tensor {
        try Tensor(owning: withHandles(self, other) { ct_eq($0, $1) })
    }

    /// Where the values are neither infinite nor NaN.
    public func isFinite() throws -> Tensor { try Tensor(owning: withHandles(self) { ct_isfinite($0) }) }

    /// This tensor with `value` wherever `mask` is true.
    public func masked(by mask: Tensor, with value: Double) throws -> Tensor {
        try Tensor(owning: withHandles(self, mask) { ct_masked_fill($0, $1, value) })
    }
}

/// `a` where the condition holds, else `b`.
public func select(_ condition: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
    try Tensor(owning: withHandles(condition, a, b) { ct_where($0, $1, $2) })
}
