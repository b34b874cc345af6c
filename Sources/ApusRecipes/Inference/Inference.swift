import ApusAdapters
import ApusDatasets
import ApusRunLog
import ApusTorch
import Foundation

/// What a model says: to a person at a terminal, or of every row of a file.
package struct Inference {
    private let settings: InferSettings
    private let surroundings: Surroundings
    private let adapted: AdaptedModel

    /// Loads the model and its adapter.
    package init(_ settings: InferSettings, surroundings: Surroundings = Surroundings()) throws {
        self.settings = settings
        let surroundings = surroundings.reaching(settings.hub)
        self.surroundings = surroundings
        if settings.hasData {
            try ResultFile.check(settings)
            try DatasetLoader.checkFiles(settings.data.isSplit ? settings.data.dataset : settings.data.valDataset)
            try ResultFile.checkApart(settings)
        }
        adapted = try AdaptedModel(
            settings.model, device: settings.hardware.chosen, surroundings: surroundings,
            before: { try Answering.check(settings, $0, of: $1) })
        if settings.compare, let place = adapted.attached.firstIndex(where: { !$0.leavesBase }) {
            throw SettingsError(
                "--compare true: \(settings.model.adapters[place]) has trained parts of the model itself beside its own, so that "
                    + "the base is not there any more. Answer with each in a run of its own.")
        }
        if settings.mergeLoRA { for adapter in adapted.attached { try adapter.merge() } }
        let console = Console(style: ConsoleStyle(environment: surroundings.environment))
        for note in adapted.notices + idleSettings { console.print("note: \(note)") }
    }

    /// Names the settings that a model of this kind has no use for.
    private var idleSettings: [String] {
        // What labels are is known from the checkpoint, whether or not the settings say it too.
        let known: Set<String> = adapted.form.labels == nil ? [] : ["num_labels", "problem_type"]
        let idle = adapted.task.idleOptions.subtracting(known)
        let ofEncoder =
            adapted.form.model.isEncoder
            ? settings.withoutEffect(
                ["system", "pair_format"].filter { !idle.contains($0) }, because: "an encoder sees texts as segments")
            : nil
        let ofFile =
            settings.hasData
            ? nil
            : settings.withoutEffect(
                ["result_path", "existing_result", "num_return_sequences", "logprobs", "top_logprobs", "metric"],
                because: "only answers to a dataset are written to a file and measured")
        return [
            settings.withoutEffect(idle, because: "the model \(adapted.task.task.activity)"), ofEncoder, ofFile,
            settings.idleNames,
        ]
        .compactMap(\.self)
    }

    /// Answers the question or the data set that the settings name, or standard input.
    package func callAsFunction() throws {
        try callAsFunction(terminal: nil)
    }

    /// - Parameter terminal: Where a person types, for a chat.
    package func callAsFunction(terminal: (any LineInput)?) throws {
        try adapted.form.answer(
            AnswerRequest(
                settings: settings, source: adapted.source, surroundings: surroundings, terminal: terminal))
    }
}

extension InferSettings {
    /// Says that names of adapters have no effect, wherever they were given: `--adapters name=folder` names as well.
    var idleNames: String? {
        guard !compare, !adapterNames.isEmpty else { return nil }
        let names = adapterNames.joined(separator: ", ")
        return "the names of the adapters (\(names)): without effect, because --compare is false."
    }

    /// Rows that go through the model together.
    var groupSize: Int { maxBatchSize > 0 ? maxBatchSize : 32 }
}
