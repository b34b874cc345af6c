import ApusDatasets
import ApusFiles
import ApusJSON
import Foundation

/// The `README.md` of a checkpoint or a model: what it is, of what it was made, and how to use it.
struct ModelCard {
    enum Subject {
        /// - isPEFTs: Whether PEFT reads the adapter's files.
        case adapter(method: String, isPEFTs: Bool, summary: String)
        /// A whole model that was trained.
        case trained
        /// A whole model made without training: what was done to the base.
        case made(String)
    }

    let subject: Subject
    let source: ModelSource
    let task: TaskType
    /// How it was trained; nil where it was not.
    var settings: SFTSettings?
    /// The scores of its head, in tasks with labels.
    var labelCount: Int?

    /// - Parameter history: What was logged of the training.
    func text(_ history: [JSONObject] = []) -> String {
        let name = ModelName.short(source.recordedName)
        let (title, story, use): (String, String, String) =
            switch subject {
            case .adapter(_, _, let summary):
                ("An adapter for \(name)", "\(summary), trained with Apus.", "apus infer --adapters .")
            case .trained:
                ("\(name), trained", "The weights of \(name), trained with Apus.", "apus infer --model .")
            case .made(let what): ("\(name), \(what)", "\(name), \(what) by Apus.", "apus infer --model .")
            }
        let code = python.isEmpty ? "" : "```python\n\(python.joined(separator: "\n"))\n```\n"
        return """
            ---
            base_model: \(Self.scalar(source.recordedName))
            library_name: \(isAdapter ? "peft" : "transformers")
            pipeline_tag: \(peft.pipeline)
            tags:
            \(tags.map { "- \($0)" }.joined(separator: "\n"))
            ---

            # \(title)

            \(story)

            ```
            \(use)
            ```

            \(code)
            """ + training(history)
    }

    /// What the card tells of a training: these options where they say something, and the last of each metric.
    private static let told = [
        "tuner_type", "lora_rank", "lora_alpha", "target_modules", "template", "loss_scale", "max_length",
        "torch_dtype",
        "quant_method", "quant_bits", "optim", "learning_rate", "lr_scheduler_type", "warmup_ratio", "weight_decay",
        "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps", "seed",
    ]

    private func training(_ history: [JSONObject]) -> String {
        guard let settings else { return "" }
        let record = settings.record
        let isLoRA = settings.model.tunerType.isAdapter
        let chosen = Self.told.filter { isLoRA || !["lora_rank", "lora_alpha", "target_modules"].contains($0) }
            .filter { $0 != "max_steps" || record[$0] != -1 }
            .filter { $0 != "num_train_epochs" || record["max_steps"] == -1 }
            .compactMap { name in record[name].flatMap { Self.shown($0) }.map { "| `\(name)` | \($0) |" } }
        var names = settings.data.dataset
        if let preferences = settings.preferences, preferences.learnsExperts {
            names += preferences.experts.chordSFTDataset
        }
        let data = names.flatMap(Self.dataSets)
        var metrics = JSONObject()
        for row in history {
            for (name, value) in row where value.doubleValue != nil && !Self.isOfTheMachine(name) {
                metrics[name] = value
            }
        }
        let measured = metrics.compactMap { name, value in Self.shown(value).map { "| `\(name)` | \($0) |" } }
        return """

            ## How it was trained

            On \(data.isEmpty ? "given rows" : data.map { "`\($0)`" }.joined(separator: ", ")) with `apus \(settings.command.rawValue)`:

            | | |
            |---|---|
            \(chosen.joined(separator: "\n"))

            The last of what was measured:

            | | |
            |---|---|
            \(measured.joined(separator: "\n"))

            """
    }

    /// The data sets of a word, as others may read of them: of a file its name is enough, and its folder is nobody's business;
    /// of a data set of a hub it takes the whole id.
    static func dataSets(_ word: String) -> [String] {
        guard let references = try? DatasetReference.list(parsing: word) else {
            return [FilePath.lastComponent(of: word)]
        }
        return references.map { reference in
            let place = reference.location
            let isFile =
                FileManager.default.fileExists(atPath: place) || HubAccess.isPath(place)
                || place.contains { "*?[".contains($0) }
            let hub = reference.hub.map { "\($0.rawValue)::" } ?? ""
            return (isFile ? FilePath.lastComponent(of: place) : hub + place)
                + (reference.subsets.isEmpty ? "" : ":\(reference.subsets.joined(separator: "/"))")
                + (reference.sampleCount.map { "#\($0)" } ?? "")
        }
    }

    private static func isOfTheMachine(_ name: String) -> Bool {
        ["runtime", "per_second", "speed", "memory", "time"].contains { name.contains($0) }
    }

    private static func shown(_ value: JSONValue) -> String? {
        switch value {
        case .null: nil
        case .string(let text): text.isEmpty ? nil : text.replacing("|", with: "\\|")
        case .array(let values): values.isEmpty ? nil : values.compactMap(shown).joined(separator: ", ")
        default: value.serialized()
        }
    }

    private var peft: PEFTTask { task.task.peft ?? .causalLM }

    private var isAdapter: Bool {
        if case .adapter = subject { true } else { false }
    }

    private var tags: [String] {
        switch subject {
        case .adapter(let method, _, _): [method, settings?.trainingWord, "apus"].compactMap(\.self)
        case .trained: [settings?.trainingWord, "apus"].compactMap(\.self)
        case .made: ["apus"]
        }
    }

    /// How Python reads the folder; empty where it does not.
    private var python: [String] {
        let model = task.task.automaticClass ?? Self.automaticClass(peft)
        switch subject {
        case .adapter(_, false, _): return []
        case .adapter:
            guard case .gguf = source.form else {
                let name = "AutoPeftModelFor\(peft.suffix)"
                return ["from peft import \(name)", "model = \(name).from_pretrained(\".\"\(head))"]
            }
            // The base is a file, which only the model's own class can be told to read.
            let file = URL(fileURLWithPath: source.path).standardizedFileURL
            return [
                "from peft import PeftModel", "from transformers import \(model)",
                "base = \(model).from_pretrained(\(Self.quoted(file.deletingLastPathComponent().path)), "
                    + "gguf_file=\(Self.quoted(file.lastPathComponent))\(head))",
                "model = PeftModel.from_pretrained(base, \".\")",
            ]
        case .trained, .made:
            // Where a model's code comes with its files, those of this folder have none.
            let hasOwnCode = (try? source.json("config.json")?["auto_map"]) != nil
            guard !hasOwnCode else { return [] }
            return ["from transformers import \(model)", "model = \(model).from_pretrained(\".\")"]
        }
    }

    /// How many scores the head has: the base has another head or none, and Python would give it two.
    private var head: String {
        guard peft.suffix == PEFTTask.sequenceClassification.suffix, let labelCount else { return "" }
        return ", num_labels=\(labelCount)"
    }

    /// In quotes as Python, JSON and YAML read them.
    private static func quoted(_ text: String) -> String { JSONValue.string(text).serialized() }

    /// A text as YAML reads it back: in quotes where it could be anything else.
    static func scalar(_ text: String) -> String {
        let words: Set = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        let isPlain = text.wholeMatch(of: /[A-Za-z\/][A-Za-z0-9_.\/+-]*/) != nil && !words.contains(text.lowercased())
        return isPlain ? text : quoted(text)
    }

    private static func automaticClass(_ task: PEFTTask) -> String {
        task.suffix == PEFTTask.featureExtraction.suffix ? "AutoModel" : "AutoModelFor\(task.suffix)"
    }
}
