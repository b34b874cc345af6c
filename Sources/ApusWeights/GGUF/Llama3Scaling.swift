import ApusJSON
import Foundation

/// The RoPE scaling of Llama 3.1 and later, found again in the divisors that a GGUF file stores instead of it.
///
/// The converter writes one divisor per rotated pair to `rope_freqs.weight`: 1 for short wavelengths, `factor` for long
/// ones, and a smooth passage between. All published models share the other three parameters.
struct Llama3Scaling {
    let factor: Double

    private static let lowFrequencyFactor = 1.0
    private static let highFrequencyFactor = 4.0
    private static let originalContext = 8192

    /// `nil` when the file stores no divisors, or only ones.
    ///
    /// - Throws: `WeightsError` when the divisors are not those of Llama 3.
    init?(_ file: GGUFFile, theta: Double, headDim: Int) throws {
        let name = "rope_freqs.weight"
        guard file[name] != nil else { return nil }
        let divisors = try file.dequantized(name).map(Double.init)
        factor = divisors.max() ?? 1
        if divisors.allSatisfy({ $0 == 1 }) { return nil }
        let factor = factor
        let isLlama3 =
            divisors.count == headDim / 2
            && divisors.enumerated().allSatisfy { pair, divisor in
                let wavelength = 2 * Double.pi * pow(theta, Double(2 * pair) / Double(headDim))
                return abs(divisor / Self.divisor(wavelength: wavelength, factor: factor) - 1) < 1e-4
            }
        guard isLlama3 else {
            throw WeightsError(
                file.path, item: name, "these RoPE frequencies are not those of Llama 3",
                advice: "use the model's safetensors files")
        }
    }

    private static func divisor(wavelength: Double, factor: Double) -> Double {
        let turns = Double(originalContext) / wavelength
        if turns > highFrequencyFactor { return 1 }
        if turns < lowFrequencyFactor { return factor }
        let smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
        return 1 / ((1 - smooth) / factor + smooth)
    }

    var json: JSONValue {
        [
            "rope_type": "llama3",
            "factor": .double(factor),
            "low_freq_factor": .double(Self.lowFrequencyFactor),
            "high_freq_factor": .double(Self.highFrequencyFactor),
            "original_max_position_embeddings": .int(Self.originalContext),
        ]
    }
}
