import Foundation

/// Names by which ms-swift 2.x knew models, templates and data sets, and what they are called now.
enum OlderNames {
    /// The id on ModelScope of a model that `--model_type` named, such as `qwen2-7b-instruct`.
    static func model(_ name: String) -> String? { models[name] }

    /// A data set without its old name, `alpaca-zh#500`; nil where there is a file of that name or no such data set.
    static func dataset(_ given: String) -> String? {
        let name = given.prefix { $0 != ":" && $0 != "#" }
        guard let id = datasets[String(name)], !FileManager.default.fileExists(atPath: given) else { return nil }
        return id + given.dropFirst(name.count)
    }

    private static let models = table(modelTable)
    static let datasets = table(datasetTable)

    private static func table(_ text: String) -> [String: String] {
        let pairs = text.split(separator: "\n").map { $0.split(separator: " ") }.filter { $0.count == 2 }
        return Dictionary(pairs.map { (String($0[0]), String($0[1])) }) { first, _ in first }
    }

    /// Templates that have another name now; all others only had `-` where there is `_` now.
    static let templates: [String: String] = [
        "chatglm3": "chatglm4", "deepseek2": "deepseek", "deepseek2_5": "deepseek_v2_5", "numina-math": "numina",
        "longwriter-llama3": "longwriter_llama", "qwq": "qwq_preview", "wizardlm2-awq": "wizardlm2",
        "codefuse-codellama": "codefuse_codellama", "deepseek-coder": "deepseek_coder", "mistral-nemo": "mistral_nemo",
        "modelscope-agent": "modelscope_agent", "yi-coder": "yi_coder",
    ]
}
