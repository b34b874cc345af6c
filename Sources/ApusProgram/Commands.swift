import ApusRecipes
import ArgumentParser
import Foundation

/// A command whose words are read by ms-swift's grammar instead of the argument parser's.
protocol PassthroughCommand: ParsableCommand {
    associatedtype Settings: CommandSettings
    static var command: Command { get }
    var words: [String] { get set }
    /// Does what the settings ask for.
    func run(_ settings: Settings, _ line: ArgumentLine) throws
    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> Settings
}

extension PassthroughCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: command.rawValue, abstract: command.summary)
    }

    /// Runs the command with the words behind its name.
    static func run(_ words: ArraySlice<String>) throws {
        var command = Self()
        command.words = Array(words)
        try command.run()
    }

    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> Settings {
        try Settings(line, notices: &notices)
    }

    func run() throws {
        let process = ProcessInfo.processInfo.environment
        if let help = HelpPage.requested(by: words, for: Self.command, columns: Terminal.columns(process)) {
            return try StandardOutput.write("\(help)")
        }
        // Before there is a run to save, a wish for a checkpoint must not end the program.
        Self.command.ignoreSaveRequests()
        let given = try ArgumentLine(words, for: Self.command, environment: process)
        let asked = process.merging(given.environment.map { ($0.name, $0.value) }) { existing, _ in existing }
        var line = try HubAdapters.fetched(AdapterWords.split(given), environment: asked)
        var notices = try EnvironmentVariables.fill(&line, from: asked)
        let settings = try settings(line, notices: &notices)
        let launch = Self.command.computes ? try EnvironmentVariables.check(asked, for: settings) : []
        if Self.command.computes { try Engine.start() }
        Self.command.rememberSaveRequests()
        for notice in line.notices + Environment.apply(line.environment) + launch { Console.note(notice) }
        for notice in notices { Console.note(notice) }
        try run(settings, line)
    }
}

struct SFT: PassthroughCommand {
    static let command = Command.sft
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: SFTSettings, _ line: ArgumentLine) throws {
        try runTraining(settings, settingsFile: line.settingsFile)
    }
}

struct RLHF: PassthroughCommand {
    static let command = Command.rlhf
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: RLHFSettings, _ line: ArgumentLine) throws {
        try runTraining(settings.training, settingsFile: line.settingsFile)
    }
}

struct Pretrain: PassthroughCommand {
    static let command = Command.pt
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> SFTSettings {
        try SFTSettings(line, of: .pt, notices: &notices)
    }

    func run(_ settings: SFTSettings, _ line: ArgumentLine) throws {
        try runTraining(settings, settingsFile: line.settingsFile)
    }
}

struct Infer: PassthroughCommand {
    static let command = Command.infer
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: InferSettings, _ line: ArgumentLine) throws {
        try runInfer(settings)
    }
}

struct Sample: PassthroughCommand {
    static let command = Command.sample
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: SampleSettings, _ line: ArgumentLine) throws {
        try runSample(settings)
    }
}

struct Export: PassthroughCommand {
    static let command = Command.export
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: ExportSettings, _ line: ArgumentLine) throws {
        try runExport(settings)
    }
}

struct MergeLoRA: PassthroughCommand {
    static let command = Command.mergeLoRA
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func settings(_ line: ArgumentLine, notices: inout [String]) throws -> ExportSettings {
        try ExportSettings(line, notices: &notices, mergeLoRA: true)
    }

    func run(_ settings: ExportSettings, _ line: ArgumentLine) throws {
        try runExport(settings)
    }
}

struct Params: PassthroughCommand {
    static let command = Command.params
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: ParamsSettings, _ line: ArgumentLine) throws {
        try runParams(settings)
    }
}

struct Tokenize: PassthroughCommand {
    static let command = Command.tokenize
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: TokenizeSettings, _ line: ArgumentLine) throws {
        try runTokenize(settings)
    }
}

struct Template: PassthroughCommand {
    static let command = Command.template
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: TemplateSettings, _ line: ArgumentLine) throws {
        try runTemplate(settings)
    }
}

struct DownloadCommand: PassthroughCommand {
    static let command = Command.download
    @Argument(parsing: .captureForPassthrough) var words: [String] = []

    func run(_ settings: DownloadSettings, _ line: ArgumentLine) throws {
        try runDownload(settings)
    }
}
