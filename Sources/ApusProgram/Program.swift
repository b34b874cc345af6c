import ApusRecipes
import ArgumentParser
import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// From the words of the process to its exit code.
enum Program {
    /// Runs the program and leaves the process.
    static func run(_ arguments: [String]) -> Never {
        exit(exitCode(of: arguments))
    }

    /// Runs the program.
    ///
    /// - Parameter arguments: The name that the program was started by, and the words behind it.
    static func exitCode(of arguments: [String]) -> Int32 {
        StandardOutput.keepPlaces()
        Engine.prepare()
        do {
            return try run(of: arguments)
        } catch {
            return report(error)
        }
    }

    /// Does what the words ask for, with what they may have before a command.
    private static func run(of arguments: [String]) throws -> Int32 {
        if arguments.count > 2, arguments[1] == "--complete", let index = Int(arguments[2]) {
            let completion = Completion(Array(arguments.dropFirst(3)), index: index)
            let words = completion.words + (completion.offersFiles ? [":files"] : [])
            try StandardOutput.write(words.map { $0 + "\n" }.joined())
            return EXIT_SUCCESS
        }
        if arguments.count > 1, arguments[1] == "--generate-completion-script" {
            let shell = arguments.count > 2 ? arguments[2] : ProcessInfo.processInfo.environment["SHELL"] ?? ""
            guard let script = CompletionScript.text(for: shell) else {
                Console.error("--generate-completion-script: got \"\(shell)\", wanted bash, zsh or fish.")
                return ApusRecipes.ExitCode.usage
            }
            try StandardOutput.writeLine(script)
            return EXIT_SUCCESS
        }
        if let page = compatibility(arguments) {
            try StandardOutput.write(page)
            return EXIT_SUCCESS
        }
        do {
            let words = try words(of: arguments)
            if let command = Apus.command(named: words.first) {
                try command.run(words.dropFirst())
            } else {
                var command = try Apus.parseAsRoot(words)
                try command.run()
            }
        } catch let error where Apus.exitCode(for: error) == .success {
            // Help, the version and completion scripts come as errors too; they are printed as they are.
            try StandardOutput.writeLine(Apus.fullMessage(for: error))
        }
        return EXIT_SUCCESS
    }

    /// The page that `help compat [FLAG]` asks for; `--markdown` as its only word makes `Docs/compatibility.md`.
    private static func compatibility(_ arguments: [String]) -> String? {
        guard arguments.count > 2, arguments[1] == "help", arguments[2].hasPrefix(CompatibilityPage.topic) else {
            return nil
        }
        let filter = arguments.count > 3 ? arguments[3] : nil
        if filter == "--markdown" { return CompatibilityPage.markdown }
        let columns = min(max(Terminal.columns(ProcessInfo.processInfo.environment), 60), 100)
        return CompatibilityPage(filter: filter).text(columns: columns)
    }

    /// The words with the command first, in the spelling that has a `-`.
    ///
    /// - Throws: `UsageError` for a command that does not exist or is not supported.
    static func words(of arguments: [String]) throws -> [String] {
        var words = Array(arguments.dropFirst())
        // `swift sft` starts the program `swift-sft` that lies beside the compiler: a link to this one.
        let name = (arguments.first ?? "").split(separator: "/").last ?? ""
        if name.hasPrefix("swift-") { words.insert(String(name.dropFirst("swift-".count)), at: 0) }

        if words.first == "help" { words = Array(words.dropFirst().prefix(1)) + ["--help"] }
        if let kind = words.first, Command.kindsOfRLHF.contains(kind) {
            words.replaceSubrange(0...0, with: [Command.rlhf.rawValue, "--rlhf_type", kind])
        }
        guard let first = words.first, !first.hasPrefix("-") else { return words }
        guard let command = Command(spelling: first) else { throw unknown(first) }
        if let refusal = command.refusal { throw refusal }
        words[0] = command.rawValue
        return words
    }

    private static func unknown(_ word: String) -> UsageError {
        let names = Command.allCases.map(\.rawValue)
        let near = NearestNames.find(word.replacing("_", with: "-"), among: names)
        let supported = Command.allCases.filter(\.isSupported).map(\.rawValue).joined(separator: ", ")
        let advice =
            near.isEmpty ? "Commands: \(supported)." : "Did you mean \(near.joined(separator: " or "))?"
        return UsageError("\(word): there is no such command. \(advice)")
    }

    /// Prints what went wrong and says how to leave.
    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as StandardOutputError where error.isClosedPipe: return error.exitCode
        case let error as UsageError:
            for paragraph in error.paragraphs { Console.error(paragraph) }
            return error.exitCode
        case let error as any ExitCodeProviding:
            Console.error("\(error)")
            return error.exitCode
        default:
            // A failure of the argument parser is one of the words; all others describe themselves.
            let isUsage = Apus.exitCode(for: error) == .validationFailure
            Console.error(
                isUsage
                    ? "\(Apus.message(for: error)). Start with a command, as in `apus sft --model …`; `apus --help` lists "
                        + "them." : "\(error)")
            return isUsage ? ApusRecipes.ExitCode.usage : ApusRecipes.ExitCode.failure
        }
    }
}

/// Lines for the person in front of the terminal; results go to standard output, these do not.
enum Console {
    static func error(_ text: String) {
        write("error: \(text)")
    }

    static func note(_ text: String) {
        write("note: \(text)")
    }

    private static func write(_ line: String) {
        // A terminal that was closed takes nothing more; where even that cannot be said, the exit code says it.
        try? StandardOutput.write("\(line)\n", to: STDERR_FILENO)
    }
}
