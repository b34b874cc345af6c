import ApusJSON
import ApusRecipes
import ApusText
import ApusTorch

/// A model with all that came with it: weights, tokenizer, chat template, and adapters.
///
/// What it can do follows from its files: one that continues text answers, a sentence encoder embeds, a classifier
/// classifies. Asked for anything else it throws, and says what it is. Nothing is printed.
///
/// ```swift
/// let model = try Model("Qwen2.5-0.5B-Instruct")
/// print(try model.answer("Why is the sky blue?"))
/// ```
public final class Model {
    private let loaded: LoadedModel

    /// Loads a Hugging Face folder, a `.gguf` file, a model of the local hub caches by its id, or the folder of an
    /// adapter, which names its model.
    ///
    /// - Parameters:
    ///   - name: A folder, a file, or an id such as `Qwen/Qwen2.5-0.5B-Instruct`. Here and in every path `~` is the folder of the
    ///     user; the caches are where `HF_HOME`, `MODELSCOPE_CACHE` and their like say.
    ///   - precision: The type to compute in; nil takes what `config.json` says, else float32.
    ///   - device: Where to compute.
    /// - Throws: An error that names the file and what to try.
    public init(_ name: String, precision: Precision? = nil, device: Device = .cpu) throws {
        loaded = try LoadedModel(
            name, dtype: precision?.dtype, device: device.device, environment: ProcessEnvironment.variables)
    }

    /// What a user should know of how the model was read, such as keys of its configuration that were not understood.
    public var notices: [String] { loaded.notices }

    /// The model's answer to one question.
    public func answer(_ question: String, _ options: AnswerOptions = AnswerOptions()) throws -> String {
        try answer([Message(role: "user", content: question)], options)
    }

    /// The model's answer to a conversation.
    ///
    /// - Parameters:
    ///   - messages: The turns so far, the user's last.
    ///   - options: How the answer is chosen and when it ends.
    ///   - onText: Sees the answer as it comes; false ends it.
    /// - Throws: Also for an empty prompt, for one that leaves no room for an answer, and for options outside their ranges.
    public func answer(
        _ messages: [Message], _ options: AnswerOptions = AnswerOptions(),
        onText: (_ piece: String) -> Bool = { _ in true }
    ) throws -> String {
        try loaded.answer(
            messages.map { ApusText.Message(role: $0.role, content: $0.content) }, maximumTokens: options.maximumTokens,
            temperature: options.temperature, topK: options.topK,
            topP: options.topP, seed: options.seed, onText: onText)
    }

    /// One vector for each text, of length 1 where the model's files say so.
    public func embed(_ texts: [String]) throws -> [[Double]] { try loaded.vectors(texts) }

    /// What a classifier says of each text.
    public func classify(_ texts: [String]) throws -> [Prediction] {
        try loaded.judgements(texts.map { ($0, nil) }).map(Prediction.init)
    }

    /// What a classifier says of each pair of texts.
    public func classify(pairs: [(String, String)]) throws -> [Prediction] {
        try loaded.judgements(pairs.map { ($0.0, $0.1) }).map(Prediction.init)
    }

    /// For each mask of a text the likeliest tokens, the best first.
    ///
    /// - Parameters:
    ///   - text: With the tokenizer's mask token, such as `[MASK]`, where a token is wanted.
    ///   - count: How many tokens for each mask.
    public func fillMasks(_ text: String, count: Int = 5) throws -> [[Filling]] {
        try loaded.fillings(of: text, count: count).map { fillings in
            fillings.map { Filling(token: $0.token, probability: $0.probability) }
        }
    }

    /// Hangs an adapter in PEFT's format on the model; what several adapters add is summed.
    ///
    /// It takes part at once, unless `activate` has chosen some by their names. One that has parts of the model itself, or was
    /// taken out of its weights, can only be the first.
    public func attach(_ adapter: String, named name: String = "default") throws {
        try loaded.attach(adapter, named: name)
    }

    /// Hangs an adapter of a method of the program's own on the model.
    public func attach(_ adapter: String, named name: String = "default", by own: OwnMethod) throws {
        try loaded.attach(adapter, named: name, by: own.method)
    }

    /// The names of the adapters on the model.
    public var adapters: [String] { loaded.adapterNames }

    /// Chooses which adapters take part from now on.
    ///
    /// - Parameter names: nil chooses all, an empty list none: the model itself.
    /// - Throws: An error where one is left out that has parts of the model itself (modules stored whole, biases), or was taken
    ///   out of its weights (PiSSA, OLoRA, LoftQ): the model without it is not there any more.
    public func activate(_ names: [String]?) throws { try loaded.activate(names) }

    /// Makes a new adapter of LoRA adapters on the model, in one of the ways of PEFT's `add_weighted_adapter`.
    ///
    /// - Parameters:
    ///   - weights: The names of the adapters and what each counts.
    ///   - name: The name of the new one, which takes part at once; `activate` chooses.
    ///   - way: `svd`, `linear`, `cat`, `ties`, `ties_svd`, `dare_linear`, `dare_ties`, `dare_linear_svd`,
    ///     `dare_ties_svd`, `magnitude_prune`, `magnitude_prune_svd`.
    ///   - density: The share of numbers that stay, in ways that thin out.
    public func combine(
        _ weights: KeyValuePairs<String, Double>, as name: String, by way: String = "svd", density: Double? = nil
    ) throws {
        try loaded.combine(weights.map { ($0.key, $0.value) }, as: name, by: way, density: density)
    }

    /// Writes one adapter as the files that PEFT reads, into a new folder or in place of what was saved there before.
    ///
    /// - Throws: Also where the folder holds other files.
    public func saveAdapter(_ name: String, to folder: String) throws { try loaded.saveAdapter(name, to: folder) }

    /// Folds the adapters that take part into the weights.
    public func merge() throws { try loaded.merge() }

    /// Writes the model as a Hugging Face folder, a new one or in place of what was saved there before; adapters on it must have
    /// been merged.
    ///
    /// - Throws: Also where the folder holds other files.
    public func save(to folder: String) throws { try loaded.save(to: folder) }
}

/// One turn of a conversation.
public struct Message: Sendable, Equatable {
    /// `system`, `user` or `assistant`.
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

/// The type that a model computes in.
public enum Precision: Sendable {
    case float32, bfloat16, float16

    var dtype: DType {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .float16: .float16
        }
    }
}

/// Where a model computes.
public enum Device: Sendable, Equatable {
    case cpu
    case cuda(Int)
    case mps

    var device: ApusTorch.Device {
        switch self {
        case .cpu: .cpu
        case .cuda(let index): .cuda(index)
        case .mps: .mps
        }
    }
}

/// How an answer is chosen and when it ends; nil takes what the model's files say.
public struct AnswerOptions: Sendable {
    /// The most tokens of an answer, at least 1.
    public var maximumTokens: Int?
    /// 0 takes the most probable token always.
    public var temperature: Double?
    /// Only this many of the most probable tokens; -1 takes all.
    public var topK: Int?
    /// Only the most probable tokens that together reach this probability, above 0 and up to 1.
    public var topP: Double?
    /// Decides what is drawn.
    public var seed = 42

    public init(maximumTokens: Int? = nil, temperature: Double? = nil) {
        self.maximumTokens = maximumTokens
        self.temperature = temperature
    }
}

/// A token that may stand behind a mask.
public struct Filling: Sendable, Equatable {
    public let token: String
    public let probability: Double
}

/// What a classifier says of a text.
public struct Prediction: Sendable {
    /// The most probable class, or all that are more probable than not where several can hold; empty for numbers.
    public let labels: [String]
    /// The probability of each class by its name; empty for numbers.
    public let probabilities: [String: Double]
    /// The predicted numbers; empty where the model knows classes.
    public let values: [Double]

    init(answer: JSONValue, probabilities: JSONValue?) {
        let answers = answer.arrayValue ?? [answer]
        values = probabilities == nil ? answers.compactMap(\.doubleValue) : []
        labels = probabilities == nil ? [] : answers.map { $0.stringValue ?? $0.serialized() }
        self.probabilities = (probabilities?.objectValue ?? [:]).reduce(into: [:]) { $0[$1.0] = $1.1.doubleValue }
    }
}
