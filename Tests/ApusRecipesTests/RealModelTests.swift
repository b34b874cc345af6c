import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusGeneration
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusNN
@testable import ApusRecipes
@testable import ApusText
@testable import ApusTorch
@testable import ApusWeights

private let realModelFolders: (models: String, expected: String)? = {
    let environment = ProcessInfo.processInfo.environment
    guard let models = environment["APUS_REAL_MODELS"], let expected = environment["APUS_PARITY"] else { return nil }
    return (models, expected)
}()

/// Real models against what `transformers` computes from the same dequantised weights.
///
/// Runs when APUS_REAL_MODELS names a folder with the models and APUS_PARITY one with the expectations
/// (`make parity` prepares both); is skipped otherwise.
struct RealModelTests {
    static let models = [
        ("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
    ]

    func ids(_ value: JSONValue?) -> [Int32] { (value?.arrayValue ?? []).compactMap { $0.intValue.map(Int32.init) } }

    @Test(.enabled(if: realModelFolders != nil, "APUS_REAL_MODELS and APUS_PARITY are not set"), arguments: models)
    func argmaxAndGreedyTextEqualTransformers(name: String, file: String) throws {
        let folders = try #require(realModelFolders)
        let language = try LanguageModel("\(folders.models)/\(name)/\(file)", dtype: .float32)
        let expected = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(folders.expected)/\(name)/expected.json")))
        let top = try SafetensorsFile(path: "\(folders.expected)/\(name)/expected.safetensors")
        var (positions, equal, worst) = (0, 0, 0.0)
        for (index, piece) in (expected["pieces"]?.arrayValue ?? []).enumerated() {
            let logits = try withoutGradients { try language.logits(ids(piece["ids"])) }
            let guesses: [Int] = try logits.argmax(-1).values()
            let best = try top.tensor("top5.ids.\(index)", dtype: .int64, device: .cpu).tensor
            let scores = try top.tensor("top5.scores.\(index)", dtype: .float32, device: .cpu).tensor
            let wanted: [Int] = try best.selected(1, 0).values()
            positions += wanted.count
            equal += zip(guesses, wanted).filter { $0 == $1 }.count
            worst = try max(worst, abs(logits.gathered(1, best) - scores).max().item())
        }
        #expect(positions >= 1000)
        #expect(equal == positions)

        var sampling = Sampling()
        sampling.temperature = 0
        let endTokens = try language.generation().endTokens
        let generator = TokenGenerator(language.model, sampling: sampling, endTokens: endTokens)
        let chats = expected["chats"]?.arrayValue ?? []
        var same = 0
        for chat in chats {
            // The prompt is the template's, the ids the tokenizer's. (transformers reads SmolLM2's GGUF vocabulary
            // without its digit splitting, so the ids it used are taken as they are.)
            let answer = try generator.answers(to: [ids(chat["promptIds"])], limit: ids(chat["ids"]).count)[0]
            let wanted = ids(chat["ids"]).prefix { !endTokens.contains($0) }
            same += answer == Array(wanted) ? 1 : 0
        }
        #expect(chats.count == 50)
        #expect(same == chats.count)
        print(
            "parity \(name): argmax \(equal)/\(positions), top-5 logits within \(worst), greedy \(same)/\(chats.count)")
    }

    /// An adapter that somebody published and one that Apus trained, on real models, against PEFT with the same files.
    ///
    /// In float64: in fp32 the rounding of thirty layers is 2e-6 of the largest logit, and PEFT moves its own logits more
    /// than that by merging.
    @Test(
        .enabled(if: realModelFolders != nil, "APUS_REAL_MODELS and APUS_PARITY are not set"),
        arguments: [("published-adapter", 1), ("trained-adapter", 0)])
    func adaptersGiveTheLogitsOfPEFT(expectations: String, model: Int) throws {
        let folders = try #require(realModelFolders)
        let folder = "\(folders.expected)/\(expectations)"
        let wanted = try JSONValue(parsing: Data(contentsOf: URL(fileURLWithPath: "\(folder)/expected.json")))
        let expected = try SafetensorsFile(path: "\(folder)/expected.safetensors")
        let adapter = try #require(wanted["adapter"]?.stringValue)
        let (name, file) = Self.models[model]
        let language = try LanguageModel("\(folders.models)/\(name)/\(file)", dtype: .float64)
        let attached = try AdapterFiles.method(in: adapter).attach(to: language.model)
        try attached.load(from: adapter, dtype: .float64, device: .cpu)
        var worst = 0.0
        for (index, sequence) in (wanted["sequences"]?.arrayValue ?? []).enumerated() {
            let logits = try withoutGradients { try language.logits(ids(sequence)) }
            let last = try logits.selected(0, logits.shape[0] - 1)
            let other = try expected.tensor("logits.\(index)", dtype: .float64, device: .cpu).tensor.selected(0, 0)
            let base = try expected.tensor("base.\(index)", dtype: .float64, device: .cpu).tensor.selected(0, 0)
            #expect(try abs(other - base).max().item() > 1e-2, "the adapter does nothing")
            worst = try max(worst, abs(last - other).max().item() / abs(other).max().item())
        }
        print("parity \(expectations): last logits within \(worst) of PEFT's, relative to the largest")
        #expect(worst <= 1e-6)
    }

    /// The answer is also the one that llama.cpp gives from the same files.
    @Test(
        .enabled(if: realModelFolders != nil, "APUS_REAL_MODELS and APUS_PARITY are not set"),
        arguments: [GGUFFileType.f16, .q8_0])
    func anExportedModelAnswersAlike(_ type: GGUFFileType) throws {
        let folder = try TemporaryFolder()
        let (name, file) = Self.models[0]
        var settings = ExportSettings(adapters: [], mergeLoRA: false)
        settings.model.name = "\(try #require(realModelFolders).models)/\(name)/\(file)"
        settings.hardware.device = .cpu
        settings.toGGUF = true
        settings.ggufType = type
        settings.outputDirectory = "\(folder.path)/out"
        let output = try ModelExport(settings)()
        let language = try LanguageModel("\(output)/\(settings.ggufName)")
        let question = Message(role: "user", content: "What is the capital of France? Answer in two sentences.")
        #expect(try language.answer([question], maximumTokens: 24) == "The capital of France is Paris.")
    }
}
