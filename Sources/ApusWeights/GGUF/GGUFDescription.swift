package import ApusJSON
import Foundation

/// Translates a Hugging Face `config.json` to the hyperparameters of a GGUF file: the inverse of `GGUFConfiguration`.
package struct GGUFDescription {
    package let architecture: GGUFArchitecture
    /// In the order of llama.cpp's converter, after `general.*`.
    package private(set) var metadata: [(key: String, value: GGUFTypedValue)] = []
    /// The divisors of RoPE's frequencies by the names of their tensors.
    package internal(set) var frequencyDivisors: [(name: String, values: [Float])] = []
    /// What the file cannot say and a user should know.
    package private(set) var notices: [String] = []
    package let sizes: Sizes

    let config: JSONValue
    let path: String

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
        guard let architecture = GGUFArchitecture.of(config) else {
            let known = GGUFArchitecture.all.filter(\.isWritten).flatMap(\.modelTypes)
                .reduce(into: [String]()) { known, type in if !known.contains(type) { known.append(type) } }
                .joined(separator: ", ")
            throw WeightsError(
                path, "models of type \(WeightsError.printable(family)) are not written as GGUF (\(known) are)",
                advice: "export the model as safetensors and convert that")
        }
        if !architecture.halves.isEmpty, type == .q4_K_M || type == .q5_K_M {
            throw WeightsError(
                path, "which layers of two stacks get more bits in \(type.rawValue) is not known here",
                advice: "choose another type, such as Q8_0 or Q6_K")
        }
        self.architecture = architecture
        self.config = config
        self.sizes = sizes
        self.path = path
        for (key, values) in architecture.fixed {
            guard let value = config[key], !value.isNull, !values.contains(value) else { continue }
            throw unsayable(key, value)
        }
        for (key, value, missing) in architecture.implied {
            let given = config[key] ?? .null
            let said = given.isNull ? missing : given
            guard said == value else { throw unsayable(key, said) }
        }
        for (key, value) in architecture.words { add(key, value) }
        addSizes()
        if architecture.hyperparameters.isRotary { try addRotation() }
        let norm = architecture.hyperparameters.normEpsilon
        add(norm.file, .float32(Float(config[norm.config]?.doubleValue ?? norm.standard)))
        if let second = architecture.hyperparameters.secondEpsilon {
            add(second, .float32(Float(config[norm.config]?.doubleValue ?? norm.standard)))
        }
        if architecture.hyperparameters.isRotary, saysHeadSize {
            add("attention.key_length", .uint32(UInt32(clamping: sizes.headSize)))
            add("attention.value_length", .uint32(UInt32(clamping: sizes.headSize)))
        }
        metadata.append(("general.file_type", .uint32(type.number)))
        if architecture.hyperparameters.saysAllSizes {
            add("vocab_size", .uint32(UInt32(clamping: sizes.vocabulary)))
            add("rope.dimension_count", .uint32(UInt32(clamping: sizes.headSize)))
        }
        for value in architecture.values { try add(value) }
        try addLayers()
        if let scores = architecture.scores { try addLabels(scores.names) }
        if !architecture.values.contains(where: { $0.config == "sliding_window" }),
            let window = config["sliding_window"]?.intValue,
            window < context, config["use_sliding_window"] == nil
        {
            notices.append(
                "sliding_window \(window): GGUF files of \(architecture.name) cannot say that a token sees only so many "
                    + "before it; longer texts are computed as without it, by llama.cpp's own conversions too")
        }
    }

    var context: Int {
        // A table that is cut has a row for each token of the longest text.
        if architecture.tops.contains(where: { $0.form == .lastRows }) { return sizes.context }
        // Distances have no end, and files say how long the texts of the first training were.
        return config[architecture.hyperparameters.context]?.intValue
            ?? (architecture.halves.isEmpty ? sizes.context : 512)
    }

    /// Refuses a T5 whose head sees something else than a reader of the file takes for granted: scaled states where the
    /// head is the table of words, and unscaled ones where it is not.
    package func check(hasOwnHead: Bool) throws {
        guard architecture.name == "t5" else { return }
        let isTied = config["tie_word_embeddings"]?.boolValue ?? true
        let isScaled =
            config["model_type"] == "t5" && (config["scale_decoder_outputs"]?.boolValue ?? isTied)
        guard isScaled == hasOwnHead else { return }
        throw unsayable(isScaled ? "scale_decoder_outputs" : "tie_word_embeddings", .bool(true))
    }

    /// Says how one vector is made of those of tokens, in the words of sentence-transformers.
    package mutating func add(pooling: String) throws {
        let numbers: [String: UInt32] = ["mean": 1, "cls": 2, "lasttoken": 3]
        guard let number = numbers[pooling] else { throw unsayable("pooling", .string(pooling)) }
        add("pooling_type", .uint32(number))
    }

    /// Says that scores stand in the place of a vector (`RANK`), and what they are called, by which readers count them.
    private mutating func addLabels(_ key: String) throws {
        let names = config["id2label"] ?? [:]
        let object = names.objectValue ?? [:]
        let labels = (0..<object.count).compactMap { object["\($0)"]?.stringValue }
        guard !labels.isEmpty, labels.count == object.count else { throw unsayable("id2label", names) }
        add("pooling_type", .uint32(4))
        add(key, .strings(labels))
        let usual = labels.count == 1 ? "regression" : "single_label_classification"
        guard let problem = config["problem_type"]?.stringValue, problem != usual else { return }
        notices.append("the file cannot say problem_type \(problem); it reads as \(usual)")
    }

    private var saysHeadSize: Bool {
        architecture.hyperparameters.saysAllSizes || config["head_dim"]?.intValue != nil
            || sizes.headSize * sizes.heads != sizes.width
    }

    func unsayable(_ key: String, _ value: JSONValue) -> WeightsError {
        WeightsError(
            path, item: key,
            "config.json says \(value.serialized().prefix(80)), which a GGUF file of \(architecture.name) cannot say",
            advice: "export the model as safetensors")
    }

    mutating func add(_ key: String, _ value: GGUFTypedValue) {
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

    private mutating func add(_ number: GGUFArchitecture.Value) throws {
        guard let said = config[number.config] ?? number.missing.config else {
            throw WeightsError(path, item: number.config, "config.json does not say it, and the file must")
        }
        guard !said.isNull else {
            guard number.missing.file == .null else { throw unsayable(number.config, said) }
            if number.isZeroForNull { add(number.file, .uint32(0)) }
            return
        }
        switch number.kind {
        case .number, .overRootOfLayers, .widthOver:
            guard let value = said.doubleValue, value.isFinite else { throw unsayable(number.config, said) }
            let written: Double =
                switch number.kind {
                case .overRootOfLayers: value / Double(sizes.layers).squareRoot()
                case .widthOver: Double(sizes.width) / value
                default: value
                }
            add(number.file, .float32(Float(written)))
        case .flag:
            guard let flag = said.boolValue else { throw unsayable(number.config, said) }
            add(number.file, .bool(flag))
        case .count, .token, .rows:
            guard let count = said.intValue.flatMap(UInt32.init(exactly:)) else { throw unsayable(number.config, said) }
            if number.isWholeKey {
                metadata.append((number.file, .uint32(count)))
            } else {
                add(number.file, .uint32(count))
            }
        }
    }

    /// What differs between layers, and what follows from how many there are.
    private mutating func addLayers() throws {
        if let pattern = architecture.pattern {
            var period = pattern.period.flatMap { config[$0]?.intValue } ?? pattern.usual
            if let list = config[pattern.list]?.arrayValue {
                period = list.firstIndex(of: pattern.last).map { $0 + 1 } ?? max(period, list.count + 1)
                let expected = (0..<sizes.layers).map { ($0 + 1) % period == 0 ? pattern.last : pattern.others }
                guard list == expected else { throw unsayable(pattern.list, .array(list)) }
                // A model of fewer layers than the usual period has says nothing of it.
                if sizes.layers < min(period, pattern.usual) { period = pattern.usual }
            }
            if period != pattern.usual {
                guard let file = pattern.file else {
                    throw unsayable(pattern.list, config[pattern.list] ?? .string("every \(period) layers"))
                }
                add(file, .uint32(UInt32(clamping: period)))
            }
        }
        if let divisor = architecture.hyperparameters.scoreDivisor {
            let isLargest = sizes.layers == divisor.layersOfLargest
            let said = config[divisor.config]?.doubleValue ?? 256
            guard said == Double(isLargest ? sizes.width / sizes.heads : sizes.headSize) else {
                throw unsayable(divisor.config, .double(said))
            }
        }
    }
}
