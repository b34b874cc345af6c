import ApusJSON
import ApusRecipes
import ApusRewards

/// Says how good an answer is, in a program's own way.
///
/// ```swift
/// struct Brevity: Reward {
///     let name = "brevity"
///     func reward(for answer: JudgedAnswer) -> Double? { 1 / Double(1 + answer.text.count) }
/// }
/// ```
public protocol Reward: Sendable {
    /// As in files and logs.
    var name: String { get }

    /// The larger, the better; above 0 where the answer is right. nil where there is nothing to say of it.
    func reward(for answer: JudgedAnswer) throws -> Double?
}

/// An answer to be judged, with what is known of its question.
public struct JudgedAnswer: Sendable {
    public let text: String
    /// The conversation before it.
    public let messages: [Message]
    /// The other columns of the question's row: texts as they are, all else in JSON.
    public let columns: [String: String]
    /// Whether it was cut off at the longest that an answer may be.
    public let isTruncated: Bool
}

/// Several answers to each question of a file, judged, the best of them beside the worst, as `apus sample` does it.
///
/// ```swift
/// var sampling = Sampling(model: "Qwen2.5-0.5B-Instruct", data: ["questions.jsonl"])
/// sampling.rewards = [Brevity()]
/// let pairs = try sampling.run()      // rows with "messages" and "rejected_response"
/// ```
public struct Sampling: Sendable {
    public var model: String
    /// Files of rows, each `path[#count]`.
    public var data: [String]
    public var answerCount = 8
    public var maximumTokens: Int?
    public var temperature = 1.0
    /// What judges; without any, all answers are kept.
    public var rewards: [any Reward] = []
    /// Built-in rewards by name, such as `accuracy`, whose sum with the others counts.
    public var namedRewards: [String] = []
    /// Answers to keep of each question.
    public var keptCount = 5
    public var outputFolder = "sample_output"
    /// A name that ends in `.jsonl`, of a file that is not there yet; nil makes one of the time.
    public var outputFile: String?
    public var seed = 42
    /// Sees what the command prints beside its progress: notes, and rows that were left out and why.
    public var onNotice: (@Sendable (String) -> Void)?

    public init(model: String, data: [String]) {
        self.model = model
        self.data = data
    }

    /// Samples to the end.
    ///
    /// - Returns: The file with the rows.
    /// - Throws: Also where some questions could not be asked or judged; the file, which the error names, then has what was
    ///   found for the others.
    public func run() throws -> String {
        var settings = SampleSettings(model: model)
        settings.answering.data.dataset = data
        settings.answering.generation.numReturnSequences = answerCount
        settings.answering.generation.maxNewTokens = maximumTokens
        settings.answering.generation.temperature = temperature
        settings.answering.model.seed = seed
        settings.rewards.rewardFuncs = namedRewards
        settings.nBestToKeep = keptCount
        settings.outputDirectory = outputFolder
        settings.outputFile = outputFile
        return try SilentSampling.run(
            settings, rewards: rewards.map(OwnReward.init), environment: ProcessEnvironment.variables,
            onNotice: onNotice)
    }
}

/// A reward of a program, as the recipes know rewards.
struct OwnReward: RewardFunction {
    let reward: any Reward
    var name: String { reward.name }

    func rewards(of completions: [ApusRewards.Completion]) throws -> [Double?] {
        try completions.map { completion in
            let messages = completion.messages.map {
                Message(role: $0["role"]?.stringValue ?? "", content: $0["content"]?.stringValue ?? "")
            }
            let columns = completion.columns.reduce(into: [String: String]()) {
                $0[$1.key] = $1.value.stringValue ?? $1.value.serialized()
            }
            let value = try reward.reward(
                for: JudgedAnswer(
                    text: completion.text, messages: messages, columns: columns, isTruncated: completion.isTruncated))
            guard let value, !value.isFinite else { return value }
            throw RewardError("\(name): says \(value), which is no number to compare")
        }
    }
}
