import ApusGeneration
import ApusJSON
import ApusLanguageModel
import ApusModels
import ApusTorch
import Foundation

/// The likeliest tokens, the same ones as on the processor, and how fast they come.
enum GenerationChecks {
    static func run(_ settings: Settings, _ report: inout Report) throws {
        report.attempt("greedy answers equal to the processor's") { try compare(settings, &$0) }
        for batch in settings.isTiny ? [1, 3] : [1, 16, 64] {
            report.attempt("\(settings.shape.name), \(batch) at a time") { try measure(batch, settings, $0) }
        }
    }

    private static func compare(_ settings: Settings, _ report: inout Report) throws {
        let prompts = (0..<20).map { ModelChecks.ids(5 + $0 * 3, step: 131, from: $0 * 977) }
        let ours = try answers(prompts, settings.device)
        let wanted =
            try settings.device == .cpu ? withComposedForms { try answers(prompts, .cpu) } : answers(prompts, .cpu)
        let equal = zip(ours, wanted).count { $0 == $1 }
        report.check("greedy answers equal to the processor's", equal == 20, [("equal", .int(equal))])
    }

    private static func measure(_ batch: Int, _ settings: Settings, _ report: Report) throws {
        let model: CausalLanguageModel = try Models.registry.model(settings.shape.config)
        try TrainedModel.fill(model, .bfloat16, settings.device)
        let generator = TokenGenerator(model, sampling: greedy, endTokens: [])
        let length = settings.isTiny ? 8 : 128
        let texts = (0..<batch).map { ModelChecks.ids(length, step: 7919, from: $0 * 104_729) }
        var seen = 0
        var first = 0.0
        let count = settings.isTiny ? 4 : 64
        _ = try generator.answers(to: texts, limit: count) { _, _ in
            seen += 1
            if seen == batch { first = SpeedChecks.now() }
            return true
        }
        let seconds = (SpeedChecks.now() - first) / Double(count - 1)
        report.tell(
            "\(settings.shape.name), \(batch) at a time",
            [
                ("tokens_per_second", .double(Double(batch) / seconds)),
                ("step_milliseconds", .double(seconds * 1000)),
            ])
    }

    private static var greedy: Sampling {
        var sampling = Sampling()
        sampling.temperature = 0
        return sampling
    }

    private static func answers(_ prompts: [[Int32]], _ device: Device) throws -> [[Int32]] {
        let model: CausalLanguageModel = try Models.registry.model(ModelChecks.configs[0].config)
        try model.materialize(dtype: .float32, device: device, seed: 11)
        return try TokenGenerator(model, sampling: greedy, endTokens: []).answers(to: prompts, limit: 24)
    }
}
