import ApusDatasets
import ApusJSON
import ApusLanguageModel
import Foundation
import Testing

@testable import ApusRecipes

/// What holds for every task that is in the table.
struct TaskTableTests {
    private static let tables = [Command.sft, .infer].map { OptionTable.table(for: $0) }

    @Test func wordsNameTasks() {
        #expect(Set(TaskType.allCases).count == TaskType.allCases.count)
        for type in TaskType.allCases { #expect(TaskType(rawValue: type.rawValue) == type) }
        #expect(TaskType(rawValue: "") == nil)
        #expect(TaskType(rawValue: "CAUSAL_LM") == nil)
    }

    @Test(arguments: TaskType.allCases)
    func lossesAreTheTasks(_ type: TaskType) throws {
        let task = type.task
        #expect(!task.losses.isEmpty)
        if let standard = task.standardLoss { #expect(task.losses.first == standard) }
        for loss in LossType.allCases {
            let result = Result { try SettingChecks.loss(loss, for: type) }
            #expect(((try? result.get()) != nil) == task.losses.contains(loss), "\(loss)")
        }
    }

    @Test func everyLossHasATask() {
        #expect(Set(TaskType.allCases.flatMap(\.task.losses)) == Set(LossType.allCases))
    }

    /// An option that only some tasks have a use for is an option.
    @Test(arguments: TaskType.allCases)
    func optionsAreThere(_ type: TaskType) {
        for name in type.task.options {
            #expect(Self.tables.contains { $0[name]?.status == .supported }, "\(name)")
        }
        #expect(type.idleOptions.isDisjoint(with: type.task.options))
    }

    @Test(arguments: TaskType.allCases)
    func metricsHaveOneName(_ type: TaskType) {
        for loss in type.task.losses {
            let names = type.task.metrics(loss: loss, problem: nil)
            #expect(names.first == "loss" && Set(names).count == names.count)
            for problem in ProblemType.allCases {
                #expect(Set(type.task.metrics(loss: loss, problem: problem)).isSubset(of: names))
            }
        }
    }

    /// PEFT's words for its tasks, which its files and ms-swift's readers know.
    @Test func peftWords() {
        let words = TaskType.allCases.map { [$0.rawValue, $0.task.peft?.word ?? ""] }
        #expect(
            words == [
                ["causal_lm", "CAUSAL_LM"], ["seq2seq_lm", "SEQ_2_SEQ_LM"], ["seq_cls", "SEQ_CLS"],
                ["embedding", "FEATURE_EXTRACTION"], ["reranker", "SEQ_CLS"], ["mlm", ""],
            ])
    }

    @Test(
        arguments: [
            ("Qwen2ForCausalLM", nil, false, .causalLM), ("Qwen2ForCausalLM", nil, true, .embedding),
            ("BertForSequenceClassification", nil, false, .sequenceClassification),
            ("BertForMaskedLM", nil, false, .maskedLanguageModel), ("BertForMaskedLM", nil, true, .embedding),
            ("BertForMaskedLM", "SEQ_CLS", false, .sequenceClassification), ("BertModel", nil, true, .embedding),
            ("BertModel", "SEQ_CLS", true, .sequenceClassification),
            ("Qwen2ForCausalLM", "FEATURE_EXTRACTION", false, .embedding),
            ("Qwen2ForCausalLM", "CAUSAL_LM", true, .causalLM),
            ("T5ForConditionalGeneration", "SEQ_2_SEQ_LM", false, .sequenceToSequence),
        ] as [(String, String?, Bool, TaskType)])
    func filesNameTheTask(architecture: String, adapter: String?, pools: Bool, type: TaskType) throws {
        let folder = try TemporaryFolder()
        try folder.write("{}", to: "config.json")
        if pools { try folder.write("[]", to: "modules.json") }
        let files = TaskFiles(
            source: try ModelSource(folder.path, surroundings: Surroundings()),
            config: ["architectures": [.string(architecture)]], adapterTask: adapter, hasAdapter: adapter != nil)
        #expect(try TaskType.named(by: files) == type)
    }

    @Test func usesOfGGUFFiles() {
        let uses: [GGUFUse?] = [.text, .text, .scores, .vectors, .scores, nil]
        #expect(TaskType.allCases.map(\.task.gguf) == uses)
    }

    @Test(arguments: TaskType.allCases)
    func headsFit(_ type: TaskType) throws {
        let head = try type.task.head(labelCount: 3, config: [:])
        let expected: [TaskType: ModelTask] = [
            .causalLM: .causalLanguageModel, .sequenceToSequence: .sequenceToSequence,
            .sequenceClassification: .sequenceClassification(labels: 3),
            .embedding: .hiddenStates, .reranker: .sequenceClassification(labels: 1),
            .maskedLanguageModel: .maskedLanguageModel,
        ]
        #expect(head == expected[type])
    }
}
