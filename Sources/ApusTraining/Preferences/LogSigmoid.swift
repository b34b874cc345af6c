import Foundation

/// `1 / (1 + e⁻ˣ)`, without overflow.
func logistic(_ x: Double) -> Double {
    if x >= 0 { return 1 / (1 + exp(-x)) }
    let power = exp(x)
    return power / (1 + power)
}

/// The derivative of `logistic`.
func logisticSlope(_ x: Double) -> Double { logistic(x) * logistic(-x) }

/// `ln(1 / (1 + e⁻ˣ))`, without overflow.
func logLogistic(_ x: Double) -> Double { x >= 0 ? -log1p(exp(-x)) : x - log1p(exp(x)) }

/// `ln(1 - eˣ)` of x < 0.
func log1mexp(_ x: Double) -> Double { x > -M_LN2 ? log(-expm1(x)) : log1p(-exp(x)) }
