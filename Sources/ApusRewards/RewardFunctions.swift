import ApusJSON

/// The rewards that have a name.
package enum RewardFunctions {
    /// A reward that comes with Apus.
    private struct BuiltIn: Sendable {
        let name: String
        let make: @Sendable (RewardOptions) throws -> any RewardFunction

        init(_ name: String, _ make: @escaping @Sendable (RewardOptions) throws -> any RewardFunction) {
            self.name = name
            self.make = make
        }
    }

    private static let all: [BuiltIn] = [
        BuiltIn("accuracy") { _ in MathAccuracy() },
        BuiltIn("math") { _ in BoxedMath() },
        BuiltIn("format") { _ in FormatReward() },
        BuiltIn("react_format") { _ in ReActFormat() },
        BuiltIn("toolbench") { _ in ToolCallReward() },
        BuiltIn("cosine") { try CosineReward($0) },
        BuiltIn("repetition") { try RepetitionPenalty($0) },
        BuiltIn("soft_overlong") { try SoftOverlong($0) },
    ]

    /// The names, as ms-swift has them.
    package static let names = all.map(\.name)

    /// Whether a name is that of a program.
    package static func isProgram(_ name: String) -> Bool { ProgramCommand(name) != nil }

    /// Rewards by their names, in order: those above, and programs (`./score.py`, `exec:python3 score.py`).
    ///
    /// - Throws: `RewardError` for a name that there is not, and for options that do not go together.
    package static func named(_ names: [String], options: RewardOptions) throws -> [any RewardFunction] {
        var seen: Set<String> = []
        return try names.map { name in
            guard seen.insert(name).inserted else {
                throw RewardError("\(name): is given twice; to count it more, give it a weight.")
            }
            if let program = ProgramCommand(name) { return try ProgramReward(program, options) }
            guard let found = all.first(where: { $0.name == name }) else {
                throw RewardError(
                    "there is no reward \"\(name)\"; there are \(Self.names.joined(separator: ", ")), and a program of one's "
                        + "own by its path (./\(name)) or as 'exec:COMMAND WORDS'.")
            }
            return try found.make(options)
        }
    }

    /// The same rewards with names that tell them apart in files and logs: a second `score` is `score-2`.
    package static func distinctlyNamed(_ functions: [any RewardFunction]) -> [any RewardFunction] {
        var seen: Set<String> = []
        return functions.map { function in
            if seen.insert(function.name).inserted { return function }
            let names = (2...).lazy.map { "\(function.name)-\($0)" }
            guard let name = names.first(where: { seen.insert($0).inserted }) else { return function }
            return RenamedReward(name: name, function: function)
        }
    }

    private struct RenamedReward: RewardFunction {
        let name: String
        let function: any RewardFunction

        func fault(of columns: JSONObject) -> ColumnFault? { function.fault(of: columns) }
        func rewards(of completions: [Completion]) throws -> [Double?] { try function.rewards(of: completions) }
    }
}
