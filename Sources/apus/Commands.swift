import ApusRecipes
import ArgumentParser

/// A command whose words are read by ms-swift's grammar instead of the argument parser's.
protocol PassthroughCommand: ParsableCommand {
    associatedtype Settings: CommandSettings
    static var command: Command { get }
    var words: [String] { get }
    /// Does what the settings ask for.
    func run(_ settings: Settings, _ line: ArgumentLine) throws
    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> Settings
}

extension PassthroughCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: command.rawValue, abstract: command.summary)
    }

    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> Settings {
        try Settings(line, notices: &notices)
    }

    func run() throws {
        if let help = HelpPage.requested(by: words, for: Self.command) {
            print(help, terminator: "")
            return
        }
        let line = try ArgumentLine(words, for: Self.command)
        var notices: [String] = []
        let settings = try settings(line, notices: &notices)
        if Self.command.computes { try Engine.start() }
        for notice in line.notices + Environment.apply(line.environment) { Console.note(notice) }
        for notice in notices { Console.note(notice) }
        try run(settings, line)
    }
}

/// Names of options, for the completion script of a shell.
private func completions(of command: Command) -> CompletionKind {
    .custom { words, index, prefix in
        guard prefix.hasPrefix("-") else { return [] }
        return OptionTable.table(for: command).options.map { "--\($0.name)" }.filter { $0.hasPrefix(prefix) }
    }
}

struct SFT: PassthroughCommand {
    static let command = Command.sft
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: SFTSettings, _ line: ArgumentLine) throws {
        try runSFT(settings, configFile: line.configFile)
    }
}

struct Infer: PassthroughCommand {
    static let command = Command.infer
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: InferSettings, _ line: ArgumentLine) throws {
        try runInfer(settings)
    }
}

struct Export: PassthroughCommand {
    static let command = Command.export
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: ExportSettings, _ line: ArgumentLine) throws {
        try runExport(settings)
    }
}

struct MergeLoRA: PassthroughCommand {
    static let command = Command.mergeLoRA
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> ExportSettings {
        try ExportSettings(line, notices: &notices, mergeLoRA: true)
    }

    func run(_ settings: ExportSettings, _ line: ArgumentLine) throws {
        try runExport(settings)
    }
}

struct Params: PassthroughCommand {
    static let command = Command.params
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: ParamsSettings, _ line: ArgumentLine) throws {
        try runParams(settings)
    }
}

struct Tokenize: PassthroughCommand {
    static let command = Command.tokenize
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: TokenizeSettings, _ line: ArgumentLine) throws {
        try runTokenize(settings)
    }
}

struct Template: PassthroughCommand {
    static let command = Command.template
    @Argument(parsing: .captureForPassthrough, completion: completions(of: command)) var words: [String] = []

    func run(_ settings: TemplateSettings, _ line: ArgumentLine) throws {
        try runTemplate(settings)
    }
}
