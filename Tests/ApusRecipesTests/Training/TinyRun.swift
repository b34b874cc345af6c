import ApusJSON
import ApusTorch
import Foundation

@testable import ApusRecipes

/// A change of settings and what a run says to it.
struct Case: Sendable {
    let reason: String
    let change: @Sendable (inout SFTSettings) -> Void

    init(_ reason: String, _ change: @escaping @Sendable (inout SFTSettings) -> Void) {
        self.reason = reason
        self.change = change
    }
}

/// A model of 90,000 weights with a byte tokenizer, a few conversations, and runs over them.
struct TinyRun {
    let folder: TemporaryFolder
    var settings: SFTSettings

    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Fixtures/models").standardizedFileURL.path

    init(rows: Int = 12) throws {
        folder = try TemporaryFolder()
        let model = "\(folder.path)/model"
        try FileManager.default.createDirectory(atPath: model, withIntermediateDirectories: true)
        for name in ["config.json", "model.safetensors"] {
            try FileManager.default.copyItem(
                atPath: "\(Self.fixtures)/qwen2-tied-gqa/\(name)", toPath: "\(model)/\(name)")
        }
        try folder.write(Self.tokenizer.serialized(), to: "model/tokenizer.json")
        try folder.write(Self.tokenizerConfig, to: "model/tokenizer_config.json")
        try folder.write(Self.conversations(0..<rows), to: "rows.jsonl")
        settings = SFTSettings(model: model, dataset: ["\(folder.path)/rows.jsonl"])
        settings.output.outputDirectory = "\(folder.path)/run"
        settings.output.addVersion = false
        settings.model.torchDType = .float32
        settings.hardware.device = .cpu
        settings.optimization.maxSteps = 6
        settings.evaluation.saveSteps = 2
        settings.output.loggingSteps = 1
        settings.optimization.perDeviceTrainBatchSize = 2
        settings.optimization.gradientAccumulationSteps = 2
        settings.optimization.learningRate = 1e-2
        settings.output.disableTQDM = true
    }

    var output: String { settings.outputDirectory }

    /// Another run with some settings changed.
    func with(_ change: (inout SFTSettings) -> Void) -> TinyRun {
        var other = self
        change(&other.settings)
        return other
    }

    @discardableResult
    func callAsFunction() throws -> FineTuning.Outcome { try FineTuning(settings)() }

    /// The sentence that a run is refused with.
    func refusal() -> String {
        do {
            try self()
            return ""
        } catch {
            return "\(error)"
        }
    }

    func checkpoints() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: output).filter { $0.hasPrefix("checkpoint-") }.sorted()
    }

    /// What a checkpoint holds of numbers: the adapter, or the model, and the optimizer.
    func numbers(_ step: Int, in output: String? = nil) throws -> [Data] {
        let weights = settings.model.tunerType.isAdapter ? "adapter_model.safetensors" : "model.safetensors"
        return try [weights, "optimizer.safetensors"].compactMap {
            let checkpoint = "\(output ?? self.output)/checkpoint-\(step)"
            // ms-swift's own methods have their files in a folder of their own.
            let inner = "\(checkpoint)/default/\($0)"
            let path = FileManager.default.fileExists(atPath: inner) ? inner : "\(checkpoint)/\($0)"
            // An optimizer may remember nothing.
            guard FileManager.default.fileExists(atPath: path) || $0 == weights else { return nil }
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
    }

    /// Step and loss of each row of the log.
    func losses() throws -> [String] {
        let text = try String(contentsOfFile: "\(output)/logging.jsonl", encoding: .utf8)
        return try text.split(separator: "\n").compactMap { line in
            let row = try JSONValue(parsing: String(line))
            guard let step = row["global_step/max_steps"]?.stringValue, let loss = row["loss"] else { return nil }
            return "\(step.prefix { $0 != "/" }) \(loss.serialized())"
        }
    }

    static func conversations(_ range: Range<Int>) -> String {
        range.map {
            #"{"messages": [{"role": "user", "content": "n \#($0)"}, {"role": "assistant", "content": "\#($0 * 7 % 10)!"}]}"#
                + "\n"
        }.joined()
    }

    private static let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

    /// A byte is a token: the stand-ins of byte-level BPE and no merges.
    private static var tokenizer: JSONValue {
        let printable = Set(33...126).union(161...172).union(174...255)
        var vocabulary = JSONObject()
        var extra = 256
        for byte in 0..<256 {
            let code = printable.contains(byte) ? byte : extra
            if !printable.contains(byte) { extra += 1 }
            vocabulary[UnicodeScalar(UInt32(code)).map { String(Character($0)) } ?? ""] = .int(byte)
        }
        let added = specials.enumerated().map { index, token -> JSONValue in
            [
                "id": .int(256 + index), "content": .string(token), "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true,
            ]
        }
        let bytes: JSONValue = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
        ]
        return [
            "version": "1.0", "added_tokens": .array(added), "normalizer": nil, "pre_tokenizer": bytes,
            "post_processor": nil, "decoder": bytes,
            "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": []],
        ]
    }

    private static let tokenizerConfig = #"""
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast",
         "chat_template": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"}
        """#
}
