import ApusJSON

/// What a model is for.
package struct TaskType: Sendable {
    let task: any TextTask

    init(_ task: any TextTask) { self.task = task }

    /// Every task, from the general to the special: a model that is given without a task is for the last one that its
    /// files name.
    package static let allCases: [TaskType] = [
        .causalLM, .sequenceToSequence, .sequenceClassification, .embedding, .reranker, .maskedLanguageModel,
    ]

    /// The task that a model is for by its files.
    static func named(by files: TaskFiles) throws -> TaskType {
        try allCases.last { try $0.task.isNamed(by: files) } ?? .causalLM
    }

    /// The task that a model is trained for by its configuration, where that leaves no choice.
    static func only(for config: JSONValue) -> TaskType? { allCases.first { $0.task.isOnlyTask(of: config) } }

    /// The options that some tasks have a use for and this one has not.
    var idleOptions: Set<String> {
        Set(Self.allCases.flatMap(\.task.options)).subtracting(task.options)
    }
}

extension TaskType: RawRepresentable, Hashable, OptionChoice {
    /// - Parameter rawValue: The word of `--task_type`, such as `causal_lm`.
    package init?(rawValue: String) {
        guard let known = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
        self = known
    }

    package var rawValue: String { task.word }
}
