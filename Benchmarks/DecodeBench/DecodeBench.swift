import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusNN
import ApusTorch
import Foundation

/// Times the answers of a model of random weights in the shape of Qwen2.5-0.5B, or with as many layers as are given.
///
/// usage: DecodeBench PRECISION(bfloat16|float32) BATCH PROMPT_LENGTH NEW_TOKENS [LAYERS]
@main
struct DecodeBench {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst().map { Int($0) }
        guard CommandLine.arguments.count >= 5, let dtype = DType(rawValue: CommandLine.arguments[1]),
            let batch = arguments[1], let length = arguments[2], let count = arguments[3]
        else {
            print("usage: DecodeBench bfloat16|float32 BATCH PROMPT_LENGTH NEW_TOKENS [LAYERS]")
            exit(2)
        }
        let layers = arguments.count > 4 ? arguments[4] ?? 24 : 24
        let config: JSONValue = [
            "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896,
            "intermediate_size": 4864, "num_hidden_layers": .int(layers), "num_attention_heads": 14,
            "num_key_value_heads": 2, "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
            "use_sliding_window": false, "hidden_act": "silu", "tie_word_embeddings": true,
        ]
        try Device.cpu.prepare()
        Torch.keepHeap()
        let model = try Models.registry.model(config)
        try model.materialize(dtype: dtype, device: .cpu, seed: 42)
        var sampling = Sampling()
        sampling.temperature = 0
        let generator = TokenGenerator(model, sampling: sampling, endTokens: [])
        let prompts = (0..<batch).map { row in (0..<length).map { Int32(($0 * 7919 + row * 104729) % 150_000) } }
        var first = 0.0
        var ids: [[Int32]] = []
        var times: [Double] = []
        for _ in 0..<4 {
            var seen = 0
            ids = try generator.answers(to: prompts, limit: count) { _, _ in
                seen += 1
                if seen == batch { first = ProcessInfo.processInfo.systemUptime }
                return true
            }
            times.append((ProcessInfo.processInfo.systemUptime - first) / Double(count - 1))
        }
        let best = times.min() ?? .nan
        let digest = ids.joined().reduce(0 as UInt64) { ($0 &* 31) &+ UInt64($1) }
        let report: JSONValue = [
            "batch": .int(batch), "prompt": .int(length), "precision": .string(dtype.rawValue),
            "step_milliseconds": .double(best * 1000), "tokens_per_second": .double(Double(batch) / best),
            "digest": .string(String(digest, radix: 16)),
        ]
        print(report.serialized())
    }
}
