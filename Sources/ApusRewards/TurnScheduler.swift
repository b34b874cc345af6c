package import ApusJSON

/// How a conversation goes on behind an answer.
package enum NextTurn: Sendable, Equatable {
    /// Not at all.
    case end
    /// With messages of others: a tool, an environment, a user. Then the model answers again.
    case messages([JSONObject])
    /// The answer itself goes on, behind a text that is put into the model's mouth.
    ///
    /// - Parameter kept: How many bytes of the answer stay in front of the text; nil is all.
    case continuation(String, kept: Int?)
}

/// Answers the answers of a model, so that a conversation has several turns (`--multi_turn_scheduler`).
package protocol TurnScheduler: Sendable {
    /// Why a question cannot be asked whose row has these other columns; nil where it can.
    func fault(of columns: JSONObject) -> ColumnFault?

    /// What follows each answer, in order.
    ///
    /// - Parameters:
    ///   - answers: With the conversation before them in `messages`.
    ///   - turn: The answers that each conversation has; 1 behind the first.
    func turns(after answers: [Completion], turn: Int) throws -> [NextTurn]
}

extension TurnScheduler {
    package func fault(of columns: JSONObject) -> ColumnFault? { nil }
}

/// The schedulers that have a name.
package enum TurnSchedulers {
    package static let names = ["math_tip_trick"]

    /// - Parameter name: One of `names`, or a program as among rewards.
    /// - Throws: `RewardError` for a name that there is not.
    package static func named(_ name: String, options: RewardOptions) throws -> any TurnScheduler {
        if let program = ProgramCommand(name) { return try ProgramTurns(program, options) }
        guard name == "math_tip_trick" else {
            throw RewardError(
                "there is no scheduler \"\(name)\"; there is \(names.joined(separator: ", ")), and a program of one's own by its "
                    + "path (./\(name)) or as 'exec:COMMAND WORDS', which reads answers and writes what follows them.")
        }
        return MathTip()
    }
}

/// Tells the model once that it seems to be wrong, in its own voice, where its answer is not that of the column `solution`.
///
/// What stood behind `<answer>` or `</think>` is dropped before. ms-swift's `math_tip_trick`.
struct MathTip: TurnScheduler {
    static let tip = "But wait... It seems I made a mistake,"

    func fault(of columns: JSONObject) -> ColumnFault? { Solution.fault(of: columns, for: "math_tip_trick") }

    func turns(after answers: [Completion], turn: Int) throws -> [NextTurn] {
        try answers.map { answer in
            guard let solution = try answer.solution(for: "math_tip_trick") else { return .end }
            if answer.text.contains(Self.tip) || MathAccuracy.isRight(answer.text, solution: solution) { return .end }
            let cuts = ["<answer>", "</think>"].compactMap { answer.text.firstRange(of: $0)?.lowerBound }
            return .continuation(
                Self.tip, kept: cuts.min().map { answer.text.utf8.distance(from: answer.text.startIndex, to: $0) })
        }
    }
}
