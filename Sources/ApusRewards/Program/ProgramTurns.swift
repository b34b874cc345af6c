import ApusJSON

/// What a program of the user's says behind answers.
///
/// It reads the lines that `ProgramReward`'s read, with the answers that the conversation has under `turn`, and writes one line
/// for each: `null` where the conversation ends, `{"messages": [{"role": "tool", "content": "…"}]}` with what follows, or
/// `{"append": "…"}` with a text behind which the answer itself goes on.
struct ProgramTurns: TurnScheduler {
    private let program: SupervisedProgram

    init(_ command: ProgramCommand, _ options: RewardOptions) throws {
        program = try SupervisedProgram(
            command, options, wanted: #"null, {"messages": [{"role": …, "content": …}]} or {"append": "…"}"#)
    }

    func turns(after answers: [Completion], turn: Int) throws -> [NextTurn] {
        let lines = answers.enumerated().map { index, answer in
            var line = answer.line(index, of: answers.count)
            line["turn"] = .int(turn)
            return line
        }
        return try program.answers(to: lines, about: answers, parse: Self.turn)
    }

    static func turn(_ line: String) -> NextTurn? {
        if line == "null" || line == "None" { return .end }
        guard let object = (try? JSONValue(parsing: line))?.objectValue, object.count == 1 else { return nil }
        if let text = object["append"]?.stringValue { return text.isEmpty ? nil : .continuation(text, kept: nil) }
        let messages = (object["messages"]?.arrayValue ?? []).map(\.objectValue)
        let isSaid = { (message: JSONObject?) in
            // The model alone answers.
            message?["role"]?.stringValue.map { $0 != "assistant" } == true && message?["content"]?.stringValue != nil
        }
        return messages.isEmpty || !messages.allSatisfy(isSaid) ? nil : .messages(messages.compactMap(\.self))
    }
}
