import Foundation

@testable import ApusQuantization
@testable import ApusTorch
@testable import ApusWeights

/// What bitsandbytes makes of matrices (Scripts/fixtures/make_quantized.py).
struct QuantizedFixture {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/quantized")

    let file: SafetensorsFile

    init(_ name: String) throws {
        file = try SafetensorsFile(path: Self.folder.appendingPathComponent("\(name).safetensors").path)
    }

    /// The tensor as it lies there, nil where there is none.
    func optional(_ name: String) throws -> Tensor? {
        guard file.tensorNames.contains(name) else { return nil }
        return try file.tensor(name, dtype: file.dtype(of: name), device: .cpu).tensor
    }

    func callAsFunction(_ name: String) throws -> Tensor {
        guard let tensor = try optional(name) else { throw Missing(name: name) }
        return tensor
    }

    struct Missing: Error { let name: String }

    /// The names of matrices, and of what was made of them: `wide.nf4.64.double`.
    var cases: [(matrix: String, type: FourBitType, block: Int, isDouble: Bool, key: String)] {
        file.tensorNames.compactMap { name in
            let parts = name.split(separator: ".").map(String.init)
            guard name.hasSuffix(".packed"), let type = FourBitType(rawValue: parts[1]), let block = Int(parts[2])
            else { return nil }
            return (parts[0], type, block, parts[3] == "double", String(name.dropLast(".packed".count)))
        }
    }
}

/// The largest difference of two tensors.
func difference(_ a: Tensor, _ b: Tensor) throws -> Double {
    try withoutGradients { try abs(a.to(.float64) - b.to(.float64)).max().item() }
}
