import ApusJSON
import Foundation

/// The RoPE scaling of Llama 3.1 and later, which a GGUF file stores as divisors of the frequencies.
///
/// The converter writes one divisor per rotated pair to `rope_freqs.weight`: 1 for short wavelengths, `factor` for long
/// ones, and a smooth passage between.
struct Llama3Scaling {
    let factor: Double
    let lowFrequencyFactor: Double
    let highFrequencyFactor: Double
    let originalContext: Int

    init(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int) {
        self.factor = factor
        self.lowFrequencyFactor = lowFrequencyFactor
        self.highFrequencyFactor = highFrequencyFactor
        self.originalContext = originalContext
    }

    /// Finds the scaling again in the divisors of a file: all published models share its other three parameters.
    ///
    /// `nil` when the file stores no divisors, or only ones.
    ///
    /// - Throws: `WeightsError` when the divisors are not those of Llama 3.
    init?(_ file: GGUFFile, theta: Double, headDim: Int) throws {
        let name = "rope_freqs.weight"
        guard file[name] != nil else { return nil }
        let divisors = try file.dequantized(name).map(Double.init)
        if divisors.allSatisfy({ $0 == 1 }) { return nil }
        let scaling = Llama3Scaling(
            factor: divisors.max() ?? 1, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192)
        let isLlama3 =
            divisors.count == headDim / 2
            && divisors.enumerated().allSatisfy { pair, divisor in
                abs(divisor / scaling.divisor(pair: pair, theta: theta, headDim: headDim) - 1) < 1e-4
            }
        guard isLlama3 else {
            throw WeightsError(
                file.path, item: name, "these RoPE frequencies are not those of Llama 3",
                advice: "use the model's safetensors files")
        }
        self = scaling
    }

    /// What the frequency of a rotated pair is divided by.
    func divisor(pair: Int, theta: Double, headDim: Int) -> Double {
        let wavelength = 2 * Double.pi * pow(theta, Double(2 * pair) / Double(headDim))
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
            "low_freq_factor": .double(lowFrequencyFactor),
            "high_freq_factor": .double(highFrequencyFactor),
            "original_max_position_embeddings": .int(originalContext),
        ]
    }
}
