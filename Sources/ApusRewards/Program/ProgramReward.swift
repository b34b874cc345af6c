import ApusJSON
import Synchronization

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
    private let command: ProgramCommand
    private let environment: [String: String]
    private let timeout: Double
    private let running = Mutex<RunningProgram?>(nil)

    init(_ command: ProgramCommand, _ options: RewardOptions) throws {
        guard options.timeout > 0, options.timeout.isFinite else {
            throw RewardError("\(command.shown): got a time limit of \(options.timeout) seconds; wanted more than 0.")
        }
        self.command = try command.checked(path: options.environment["PATH"])
        name = command.name
        environment = options.environment
        timeout = options.timeout
    }

    func rewards(of completions: [Completion]) throws -> [Double?] {
        guard !completions.isEmpty else { return [] }
        let input = completions.enumerated().map { line($0.element, $0.offset, completions.count) }.joined()
        return try running.withLock { running in
            do {
                return try exchange(input, completions, &running)
            } catch let failure as ProgramFailure where failure.mayBeChance {
                // What ends or falls silent once may have been unlucky; twice, it is wrong.
                running = nil
                do {
                    return try exchange(input, completions, &running)
                } catch let again as ProgramFailure {
                    running = nil
                    throw RewardError(
                        "\(command.shown): \(again.described(completions)) (the second time). Try it by hand: a JSON object a "
                            + "line goes in, one number for each comes out.")
                }
            } catch let failure as ProgramFailure {
                running = nil
                throw RewardError("\(command.shown): \(failure.described(completions))")
            }
        }
    }

    private func exchange(
        _ input: String, _ completions: [Completion], _ running: inout RunningProgram?
    ) throws -> [Double?] {
        let program: RunningProgram
        if let running { program = running } else { program = try RunningProgram(command, environment: environment) }
        running = program
        return try program.answers(to: input, count: completions.count, seconds: timeout) { line, index in
            if line == "null" || line == "None" { return nil }
            guard let number = Double(line) else { throw program.failure(.noNumber(line, index)) }
            guard number.isFinite else { throw program.failure(.notFinite(line, index)) }
            return number
        }
    }

    private func line(_ completion: Completion, _ index: Int, _ count: Int) -> String {
        let object: JSONObject = [
            "index": .int(index), "count": .int(count), "messages": .array(completion.messages.map(JSONValue.object)),
            "completion": .string(completion.text), "token_ids": .array(completion.tokens.map { .int(Int($0)) }),
            "is_truncated": .bool(completion.isTruncated), "row": .object(completion.columns),
        ]
        return JSONValue.object(object).serialized() + "\n"
    }
}
