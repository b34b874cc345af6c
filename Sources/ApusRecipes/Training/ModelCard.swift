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
    /// How it was trained.
    var training = "sft"

    var text: String {
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
            base_model: \(source.recordedName)
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
            """
    }

    private var peft: PEFTTask { task.task.peft ?? .causalLM }

    private var isAdapter: Bool {
        if case .adapter = subject { true } else { false }
    }

    private var tags: [String] {
        switch subject {
        case .adapter(let method, _, _): [method, training, "apus"]
        case .trained: [training, "apus"]
        case .made: ["apus"]
        }
    }

    /// How Python reads the folder; empty where it does not.
    private var python: [String] {
        let model = task == .maskedLanguageModel ? "AutoModelForMaskedLM" : Self.automaticClass(peft)
        switch subject {
        case .adapter(_, false, _): return []
        case .adapter:
            guard case .gguf = source.form else {
                let name = "AutoPeftModelFor\(peft.suffix)"
                return ["from peft import \(name)", "model = \(name).from_pretrained(\".\")"]
            }
            // The base is a file, which only the model's own class can be told to read.
            let file = URL(fileURLWithPath: source.path).standardizedFileURL
            return [
                "from peft import PeftModel", "from transformers import \(model)",
                "base = \(model).from_pretrained(\"\(file.deletingLastPathComponent().path)\", "
                    + "gguf_file=\"\(file.lastPathComponent)\")",
                "model = PeftModel.from_pretrained(base, \".\")",
            ]
        case .trained, .made:
            // Where a model's code comes with its files, those of this folder have none.
            let hasOwnCode = (try? source.json("config.json")?["auto_map"]) != nil
            guard !hasOwnCode else { return [] }
            return ["from transformers import \(model)", "model = \(model).from_pretrained(\".\")"]
        }
    }

    private static func automaticClass(_ task: PEFTTask) -> String {
        task.suffix == PEFTTask.featureExtraction.suffix ? "AutoModel" : "AutoModelFor\(task.suffix)"
    }
}
