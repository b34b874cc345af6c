import ApusTorchTesting
import Foundation
import Testing

@testable import ApusTorch

/// Every fused operation in every type on every device that is there: its kernel and its composed form, values and
/// gradients, against each other, against the formula, and against finite differences.
///
/// CUDA is there where APUS_TEST_CUDA is set: it is then opened when the process starts (`Tests/CDeviceStart`), as after the
/// backward pass of any other test it could not be.
struct FormTests {
    /// What rounding alone may do, relative to the largest value.
    static let tolerances: [(DType, Double)] = [
        (.float64, 1e-12), (.float32, 5e-6), (.bfloat16, 3e-2), (.float16, 4e-3),
    ]

    static let devices: [Device] =
        ProcessInfo.processInfo.environment["APUS_TEST_CUDA"]?.isEmpty == false ? [.cpu, .cuda(0)] : [.cpu]

    static func distance(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
        try withoutGradients {
            let plain = try theirs.to(.cpu).to(.float64)
            return try abs(ours.to(.cpu).to(.float64) - plain).max().item() / Swift.max(1, abs(plain).max().item())
        }
    }

    @Test(arguments: FusedOperation.all.map(\.name), tolerances)
    func kernelAndComposedFormAgree(name: String, tolerance: (dtype: DType, bound: Double)) throws {
        let operation = try #require(FusedOperation.all.first { $0.name == name })
        let dtype = tolerance.dtype
        let composed = try withComposedForms { try operation.results(dtype, .cpu, operation.fused) }
        for device in Self.devices {
            for (ours, theirs) in zip(try operation.results(dtype, device, operation.fused), composed) {
                #expect(ours.shape == theirs.shape && ours.dtype == theirs.dtype)
                #expect(try Self.distance(ours, theirs) <= tolerance.bound, "on \(device)")
            }
        }
    }

    @Test(arguments: FusedOperation.all.filter { $0.formula != nil }.map(\.name))
    func bothFormsFollowTheFormula(name: String) throws {
        let operation = try #require(FusedOperation.all.first { $0.name == name })
        let written = try #require(operation.formula)
        for (dtype, bound) in [(DType.float64, 1e-10), (.float32, 2e-5)] {
            let formula = try operation.results(dtype, .cpu, written)
            let kernel = try operation.results(dtype, .cpu, operation.fused)
            let composed = try withComposedForms { try operation.results(dtype, .cpu, operation.fused) }
            for (index, wanted) in formula.enumerated() {
                #expect(try Self.distance(kernel[index], wanted) <= bound, "kernel in \(dtype), result \(index)")
                #expect(
                    try Self.distance(composed[index], wanted) <= bound, "composed form in \(dtype), result \(index)")
            }
        }
    }

    /// Central differences in float64, of a few elements of each input.
    @Test(arguments: FusedOperation.all.map(\.name)) func gradientsAreThoseOfFiniteDifferences(name: String) throws {
        let operation = try #require(FusedOperation.all.first { $0.name == name })
        let gradients = try operation.results(.float64, .cpu, operation.fused).dropFirst()
        let inputs = try operation.inputs(.float64, .cpu)
        for (number, gradient) in gradients.enumerated() {
            let (values, analytic): ([Double], [Double]) = (try inputs[number].values(), try gradient.values())
            for index in stride(from: 0, to: values.count, by: max(1, values.count / 5)) {
                func value(_ step: Double) throws -> Double {
                    var moved = values
                    moved[index] += step
                    var changed = inputs
                    changed[number] = try Tensor(moved, shape: inputs[number].shape)
                    return try withoutGradients {
                        let y = try operation.fused(changed)
                        let direction = try Tensor.empty(y.shape, dtype: .float32)
                        try direction.fillNormal(generator: Generator(seed: 99))
                        return try (y * direction.to(y.dtype)).sum().item()
                    }
                }
                let numeric = try (value(1e-6) - value(-1e-6)) / 2e-6
                #expect(
                    Swift.abs(numeric - analytic[index]) <= 1e-5 + 1e-3 * Swift.abs(numeric),
                    "input \(number), element \(index)")
            }
        }
    }

    @Test(arguments: DType.allCases.filter(\.isFloatingPoint)) func everyFormDropsTheSameElements(dtype: DType) throws {
        for (count, chance, key) in [(1, 0.5, 0), (1000, 0.1, 42), (40_000, 0.999, .max), (5, 0, 7)]
            as [(Int, Double, UInt64)]
        {
            let x = try Tensor.empty([count], dtype: .float32)
            try x.fillNormal(generator: Generator(seed: 3))
            let short = try x.to(dtype)
            let kernel = try dropout(short, probability: chance, key: key)
            #expect(try withComposedForms { try dropout(short, probability: chance, key: key) }.equals(kernel))
            #expect(try withDeviceKernels { try dropout(short, probability: chance, key: key) }.equals(kernel))
        }
    }
}
