import ApusJSON
import Synchronization

/// A program of the user's that answers lines with lines: started once, and a second time where it ends or falls silent.
final class SupervisedProgram: Sendable {
    private let command: ProgramCommand
    private let environment: [String: String]
    private let timeout: Double
    private let wanted: String
    private let running = Mutex<RunningProgram?>(nil)

    /// - Parameter wanted: What a line of its is, as in errors.
    /// - Throws: `RewardError` where it cannot be run.
    init(_ command: ProgramCommand, _ options: RewardOptions, wanted: String) throws {
        guard options.timeout > 0, options.timeout.isFinite else {
            throw RewardError("\(command.shown): got a time limit of \(options.timeout) seconds; wanted more than 0.")
        }
        self.command = try command.checked(path: options.environment["PATH"])
        environment = options.environment
        timeout = options.timeout
        self.wanted = wanted
    }

    /// What it says of some answers.
    ///
    /// - Parameter parse: What a line says; nil where it says nothing that is wanted.
    /// - Throws: `RewardError` naming what it wrote, or how it ended.
    func answers<Answer: Sendable>(
        to objects: [JSONObject], about completions: [Completion], parse: @Sendable (String) -> Answer?
    ) throws -> [Answer] {
        guard !completions.isEmpty else { return [] }
        let input = objects.map { JSONValue.object($0).serialized() + "\n" }.joined()
        return try running.withLock { running in
            do {
                return try exchange(input, completions.count, &running, parse)
            } catch let failure as ProgramFailure where failure.mayBeChance {
                // What ends or falls silent once may have been unlucky; twice, it is wrong.
                running = nil
                do {
                    return try exchange(input, completions.count, &running, parse)
                } catch let again as ProgramFailure {
                    running = nil
                    throw RewardError(
                        "\(command.shown): \(again.described(completions, wanted: wanted)) (the second time). Try it by hand: a "
                            + "JSON object a line goes in, \(wanted) for each comes out.")
                }
            } catch let failure as ProgramFailure {
                running = nil
                throw RewardError("\(command.shown): \(failure.described(completions, wanted: wanted))")
            }
        }
    }

    private func exchange<Answer: Sendable>(
        _ input: String, _ count: Int, _ running: inout RunningProgram?, _ parse: @Sendable (String) -> Answer?
    ) throws -> [Answer] {
        let program: RunningProgram
        if let running { program = running } else { program = try RunningProgram(command, environment: environment) }
        running = program
        return try program.answers(to: input, count: count, seconds: timeout) { line, index in
            guard let answer = parse(line) else { throw program.failure(.wrong(line, index)) }
            return answer
        }
    }
}

extension Completion {
    /// As programs read it.
    func line(_ index: Int, of count: Int) -> JSONObject {
        [
            "index": .int(index), "count": .int(count), "messages": .array(messages.map(JSONValue.object)),
            "completion": .string(text), "token_ids": .array(tokens.map { .int(Int($0)) }),
            "is_truncated": .bool(isTruncated), "row": .object(columns),
        ]
    }
}
