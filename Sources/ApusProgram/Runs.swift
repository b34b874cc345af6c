import ApusRecipes
import Foundation

private let surroundings = {
    var surroundings = Surroundings(
        environment: ProcessInfo.processInfo.environment, commandLine: CommandLine.arguments)
    surroundings.reachesHubs = true
    return surroundings
}()

func runTraining(_ settings: SFTSettings, settingsFile: SettingsCopy?) throws {
    var surroundings = surroundings
    surroundings.settingsFile = settingsFile
    let outcome = try FineTuning(settings, surroundings: surroundings)()
    if let signal = outcome.signal { throw StoppedBySignal(signal: signal) }
}

func runInfer(_ settings: InferSettings) throws {
    // The terminal belongs to a chat alone; all else reads or writes plain text.
    let inference = try Inference(settings, surroundings: surroundings)
    try inference(terminal: settings.question == nil && !settings.hasData ? TerminalInput() : nil)
}

func runSample(_ settings: SampleSettings) throws {
    try ResponseSampling(settings, surroundings: surroundings)()
}

func runExport(_ settings: ExportSettings) throws {
    try StandardOutput.writeLine(ModelExport(settings, surroundings: surroundings)())
}

func runParams(_ settings: ParamsSettings) throws {
    try StandardOutput.writeLine(ParameterCount(settings, surroundings: surroundings).text)
}

func runDownload(_ settings: DownloadSettings) throws {
    for folder in try Download(settings, surroundings: surroundings)() { try StandardOutput.writeLine(folder) }
}

func runTokenize(_ settings: TokenizeSettings) throws {
    let tool = try TokenizeTool(settings, surroundings: surroundings)
    func show(_ line: String) throws {
        try StandardOutput.writeLine(settings.decode ? tool.decoded(line) : tool.encoded(line))
    }
    if let text = settings.text { return try show(text) }
    while let line = try StandardInput.readLine() { try show(line) }
}

func runTemplate(_ settings: TemplateSettings) throws {
    let usesColor = isatty(STDOUT_FILENO) == 1 && surroundings.environment["NO_COLOR"] == nil
    try StandardOutput.write(TemplateTool(settings, surroundings: surroundings).rendered(usesColor: usesColor))
}

/// The run was saved and left because a signal asked for it.
struct StoppedBySignal: ExitCodeProviding, CustomStringConvertible {
    let signal: Int32
    var exitCode: Int32 { 128 + signal }
    var description: String { "stopped by signal \(signal)" }
}
