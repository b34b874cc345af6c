package import ApusJSON
import Foundation

/// Translates a Hugging Face `config.json` to the hyperparameters of a GGUF file: the inverse of `GGUFConfiguration`.
package struct GGUFDescription {
    package let architecture: GGUFArchitecture
    /// In the order of llama.cpp's converter, after `general.*`.
    package private(set) var metadata: [(key: String, value: GGUFTypedValue)] = []
    /// The divisors of RoPE's frequencies that stand in for the scaling of Llama 3.
    package private(set) var frequencyDivisors: [Float]?
    /// What the file cannot say and a user should know.
    package private(set) var notices: [String] = []
    package let sizes: Sizes

    private let config: JSONValue

    /// The sizes of a model, which `config.json` may leave to defaults.
    package struct Sizes: Sendable {
        package let vocabulary: Int
        package let width: Int
        package let feedForward: Int
        package let layers: Int
        package let heads: Int
        package let keyValueHeads: Int
        package let headSize: Int
        /// The longest text.
        package let context: Int

        package init(
            vocabulary: Int, width: Int, feedForward: Int, layers: Int, heads: Int, keyValueHeads: Int, headSize: Int,
            context: Int
        ) {
            (self.vocabulary, self.width, self.feedForward, self.layers) = (vocabulary, width, feedForward, layers)
            (self.heads, self.keyValueHeads, self.headSize, self.context) = (heads, keyValueHeads, headSize, context)
        }
    }

    /// - Parameter path: The file to be written, for errors.
    /// - Throws: `WeightsError` naming what the format cannot say.
    package init(_ config: JSONValue, sizes: Sizes, type: GGUFFileType, path: String) throws {
        let family = config["model_type"]?.stringValue ?? ""
        guard let architecture = GGUFArchitecture.written.first(where: { $0.modelTypes.contains(family) }) else {
            let known = GGUFArchitecture.written.flatMap(\.modelTypes).joined(separator: ", ")
            throw WeightsError(
                path, "models of type \(WeightsError.printable(family)) are not written as GGUF (\(known) are)",
                advice: "export the model as safetensors and convert that")
        }
        self.architecture = architecture
        self.config = config
        self.sizes = sizes
        for (key, values) in architecture.fixed {
            guard let value = config[key], !value.isNull, !values.contains(value) else { continue }
            throw WeightsError(
                path, item: key,
                "config.json says \(value.serialized().prefix(80)), which a GGUF file of \(architecture.name) cannot say",
                advice: "export the model as safetensors")
        }
        addSizes()
        if architecture.hyperparameters.isRotary { try addRotation(path: path) }
        let norm = architecture.hyperparameters.normEpsilon
        add(norm.file, .float32(Float(config[norm.config]?.doubleValue ?? norm.standard)))
        if architecture.hyperparameters.isRotary, saysHeadSize {
            add("attention.key_length", .uint32(UInt32(clamping: sizes.headSize)))
            add("attention.value_length", .uint32(UInt32(clamping: sizes.headSize)))
        }
        metadata.append(("general.file_type", .uint32(type.number)))
        if architecture.hyperparameters.saysAllSizes {
            add("vocab_size", .uint32(UInt32(clamping: sizes.vocabulary)))
            add("rope.dimension_count", .uint32(UInt32(clamping: sizes.headSize)))
        }
        if let window = config["sliding_window"]?.intValue, window < context, config["use_sliding_window"] == nil {
            notices.append(
                "sliding_window \(window): GGUF files of \(architecture.name) cannot say that a token sees only so many "
                    + "before it; longer texts are computed as without it, by llama.cpp's own conversions too")
        }
    }

    private var context: Int { config[architecture.hyperparameters.context]?.intValue ?? sizes.context }

    private var saysHeadSize: Bool {
        architecture.hyperparameters.saysAllSizes || config["head_dim"]?.intValue != nil
            || sizes.headSize * sizes.heads != sizes.width
    }

    private mutating func add(_ key: String, _ value: GGUFTypedValue) {
        metadata.append(("\(architecture.name).\(key)", value))
    }

    private mutating func addSizes() {
        var counts = [
            ("block_count", sizes.layers), ("context_length", context), ("embedding_length", sizes.width),
            ("feed_forward_length", sizes.feedForward), ("attention.head_count", sizes.heads),
        ]
        if architecture.hyperparameters.isRotary { counts.append(("attention.head_count_kv", sizes.keyValueHeads)) }
        for (key, count) in counts { add(key, .uint32(UInt32(clamping: count))) }
    }

    // MARK: - RoPE

    private mutating func addRotation(path: String) throws {
        func table(_ key: String) -> JSONValue? { config[key]?.objectValue.flatMap { $0.isEmpty ? nil : .object($0) } }
        let scaling = table("rope_scaling") ?? table("rope_parameters") ?? .null
        let base = scaling["rope_theta"]?.doubleValue ?? config["rope_theta"]?.doubleValue ?? 10_000
        func failure(_ problem: String) -> WeightsError {
            WeightsError(path, item: "rope_scaling", problem, advice: "export the model as safetensors")
        }
        func number(_ key: String) throws -> Double {
            guard let number = scaling[key]?.doubleValue, number.isFinite else {
                throw failure("the scaling of config.json does not say \(key)")
            }
            return number
        }
        let original =
            scaling["original_max_position_embeddings"]?.intValue
            ?? config["original_max_position_embeddings"]?.intValue
        switch scaling["rope_type"]?.stringValue ?? scaling["type"]?.stringValue ?? "default" {
        case "default": break
        case "linear":
            add("rope.scaling.type", .string("linear"))
            add("rope.scaling.factor", .float32(Float(try number("factor"))))
        case "yarn":
            for key in ["attention_factor", "mscale", "mscale_all_dim"] where scaling[key]?.isNull == false {
                throw failure("yarn with \(key) cannot be said in a GGUF file")
            }
            guard scaling["truncate"]?.boolValue != false else {
                throw failure("yarn without truncation cannot be said in a GGUF file")
            }
            let factor =
                scaling["factor"]?.isNull == false
                ? try number("factor") : Double(context) / Double(max(1, original ?? context))
            add("rope.scaling.type", .string("yarn"))
            add("rope.scaling.factor", .float32(Float(factor)))
            add("rope.scaling.original_context_length", .uint32(UInt32(clamping: original ?? context)))
            for key in ["beta_fast", "beta_slow"] where scaling[key]?.isNull == false {
                add("rope.scaling.yarn_\(key)", .float32(Float(try number(key))))
            }
        case "llama3":
            let scaling = Llama3Scaling(
                factor: try number("factor"), lowFrequencyFactor: try number("low_freq_factor"),
                highFrequencyFactor: try number("high_freq_factor"), originalContext: original ?? context)
            frequencyDivisors = (0..<sizes.headSize / 2).map {
                Float(scaling.divisor(pair: $0, theta: base, headDim: sizes.headSize))
            }
        case let other:
            throw failure("RoPE scaling of type \(WeightsError.printable(other)) cannot be said in a GGUF file")
        }
        add("rope.freq_base", .float32(Float(base)))
    }
}
