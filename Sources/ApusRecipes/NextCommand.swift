import ApusHub

/// What a person types next, told at the end of a run.
enum NextCommand {
    /// For the checkpoint of a training run.
    static func afterTraining(_ checkpoint: String, isAdapter: Bool, task: TaskType) -> String {
        line("apus infer \(isAdapter ? "--adapters" : "--model") \(quoted(checkpoint))\(data(for: task))")
    }

    /// For the folder that an export wrote.
    static func afterExport(_ folder: String, _ settings: ExportSettings) -> String {
        if settings.toGGUF { return line("apus infer --model \(quoted("\(folder)/\(settings.ggufName)"))") }
        let isAdapter = settings.combination.kind != nil || settings.convertsToLoRA
        let task = settings.model.taskType ?? .causalLM
        return line("apus infer \(isAdapter ? "--adapters" : "--model") \(quoted(folder))\(data(for: task))")
    }

    /// For what was fetched from a hub.
    static func afterDownload(_ settings: DownloadSettings) -> String? {
        if let dataset = settings.datasets.first ?? (settings.kind == .dataset ? settings.ids.first : nil) {
            return line("apus sft --model … --dataset \(quoted(settings.localDirectory ?? dataset))")
        }
        return (settings.ids.first ?? settings.models.first).map { id in
            line("apus infer --model \(quoted(settings.localDirectory ?? id))")
        }
    }

    private static func line(_ command: String) -> String { "next: \(command)" }

    /// A chat needs no data; models of other tasks answer rows.
    private static func data(for task: TaskType) -> String { task.task.converses ? "" : " --val_dataset …" }

    /// A word as a shell takes it.
    private static func quoted(_ word: String) -> String {
        let isPlain = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:@%=".contains($0)) }
        return isPlain && !word.isEmpty ? word : "'\(word.replacing("'", with: "'\\''"))'"
    }
}
