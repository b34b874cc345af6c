import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusText
import Foundation

/// The base model and each adapter on it, which answer in turn.
struct AdapterComparison {
    private let trunk: Trunk
    /// What is shown, and what the adapter is attached as; the base has none.
    private let parts: [(name: String, adapter: String?)]

    init(_ settings: InferSettings, trunk: Trunk) {
        self.trunk = trunk
        let folders = settings.model.adapters
        let names = settings.adapterNames.isEmpty ? Self.names(of: folders) : settings.adapterNames
        parts =
            [(InferSettings.baseName, nil)]
            + zip(names, folders).enumerated().map { ($1.0, AdaptedModel.name(ofAdapter: $0, $1.1)) }
    }

    /// The adapter whose answers count where there is room for one.
    var first: String { parts[1].name }

    /// The last words of paths, as many as it takes to tell them apart.
    static func names(of folders: [String]) -> [String] {
        let paths = folders.map { URL(fileURLWithPath: $0).standardizedFileURL.pathComponents }
        let longest = paths.map(\.count).max() ?? 1
        for length in 1...max(1, longest) {
            let names = paths.map { $0.suffix(length).joined(separator: "/") }
            if Set(names).count == names.count, !names.contains(InferSettings.baseName) { return names }
        }
        return folders
    }

    /// What each makes of the same.
    func callAsFunction<Result>(_ make: () throws -> Result) rethrows -> [(name: String, answers: Result)] {
        let before = trunk.activeAdapters
        defer { trunk.activeAdapters = before }
        return try parts.map { name, adapter in
            trunk.activeAdapters = .only(adapter.map { [$0] } ?? [])
            return (name, try make())
        }
    }
}

extension AdapterComparison {
    /// What each answers, a line each.
    func text(_ answer: () throws -> String) throws -> String {
        try self(answer).map { "[\($0.name)] \($0.answers)" }.joined(separator: "\n")
    }
}

/// Answers of a chat with those of the base model and of other adapters beside them.
///
/// The conversation goes on with the first adapter's.
struct ComparedAnswering: ChatAnswering {
    private let answering: Answering
    private let comparison: AdapterComparison
    private let say: (String) -> Void

    init(_ answering: Answering, _ comparison: AdapterComparison, say: @escaping (String) -> Void) {
        self.answering = answering
        self.comparison = comparison
        self.say = say
    }

    var promptLimit: Int { answering.promptLimit }

    func wholePrompt(_ messages: [Message], tools: [JSONValue]?) throws -> [Int32] {
        try answering.wholePrompt(messages, tools: tools)
    }

    func answers(
        to prompts: [[Int32]], draws: [UInt64], onText: (_ prompt: Int, _ text: String) throws -> Bool
    ) throws -> [Answering.Answer] {
        let compared = try comparison {
            try answering.answers(to: prompts, draws: draws) { prompt, _ in try onText(prompt, "") }
        }
        for (index, part) in compared.enumerated() where index != 1 {
            say("[\(part.name)] \(try part.answers[0].checked().text)")
        }
        say("[\(compared[1].name)]")
        for prompt in prompts.indices { _ = try onText(prompt, compared[1].answers[prompt].text) }
        return compared[1].answers
    }
}
