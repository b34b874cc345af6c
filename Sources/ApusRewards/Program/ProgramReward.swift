import ApusJSON

/// What a program of the user's says of answers.
///
/// The program is started once and reads one line of JSON for each answer:
///
/// ```
/// {"index": 0, "count": 8, "messages": […], "completion": "…", "token_ids": […], "is_truncated": false, "row": {…}}
/// ```
///
/// where `messages` is the conversation before the answer and `row` has the other columns of the question's row. It writes one
/// line for each: a number, or `null` where it has nothing to say. An answer may be judged when its line was read, or all
/// `count` of a batch together.
final class ProgramReward: RewardFunction {
    let name: String
    private let program: SupervisedProgram

    init(_ command: ProgramCommand, _ options: RewardOptions) throws {
        program = try SupervisedProgram(command, options, wanted: "one number or null")
        name = command.name
    }

    func rewards(of completions: [Completion]) throws -> [Double?] {
        let lines = completions.enumerated().map { $0.element.line($0.offset, of: completions.count) }
        return try program.answers(to: lines, about: completions) { line in
            if line == "null" || line == "None" { return .some(nil) }
            return Double(line).flatMap { $0.isFinite ? .some($0) : nil }
        }
    }
}
