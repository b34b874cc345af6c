import Apus
import ApusJSON
import Foundation
import Synchronization
import Testing

/// The library as a program sees it, by its public names alone.
struct LibraryTests {
    /// Short answers are good.
    private struct Brevity: Reward {
        let name = "brevity"
        func reward(for answer: JudgedAnswer) -> Double? {
            answer.columns["topic"] == nil ? nil : 1 / Double(1 + answer.text.count)
        }
    }

    /// Pairs are learned, and what a reward of the program's own says.
    @Test(arguments: [Training.Task.preferring, .rewarded(by: [Brevity()], answersPerQuestion: 4, maximumTokens: 5)])
    func learnsWhatIsBetter(task: Training.Task) throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        let rows = (0..<8).map {
            #"{"prompt": "say \#($0)", "chosen": "it is \#($0)", "rejected": "no", "topic": "1"}"#
        }
        try folder.write(rows.joined(separator: "\n"), to: "rows.jsonl")
        var training = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        training.task = task
        training.maximumSteps = 2
        training.outputFolder = "\(folder.path)/output"
        var told: Set<String> = []
        let adapter = try training.run { told.formUnion($0.metrics.keys) }
        #expect(FileManager.default.fileExists(atPath: "\(adapter)/adapter_model.safetensors"))
        if case .preferring = task {
            #expect(told.contains("rewards/margins"))
        } else {
            #expect(told.isSuperset(of: ["reward", "rewards/brevity/mean", "completions/mean_length"]))
        }
    }

    /// What is left out is told, though nothing is printed.
    @Test func runsTellWhatTheyLeaveOut() throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        let good = #"{"query": "say 1", "response": "it is 1"}"#
        try folder.write([good, #"{"nothing": 3}"#, good].joined(separator: "\n"), to: "rows.jsonl")
        var training = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        training.maximumSteps = 1
        training.outputFolder = "\(folder.path)/output"
        let heard = Mutex<[String]>([])
        training.onNotice = { line in heard.withLock { $0.append(line) } }
        _ = try training.run()
        let lines = heard.withLock { $0 }
        #expect(lines.contains { $0.contains("rows.jsonl:2: the row has columns nothing") })
        #expect(lines.contains { $0.hasPrefix("dropped rows: \(folder.path)/output/") })
    }

    @Test func trainsAttachesMergesAndSaves() throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        let rows = (0..<8).map {
            #"{"messages": [{"role": "user", "content": "say \#($0)"}, {"role": "assistant", "content": "it is \#($0)"}]}"#
        }
        try folder.write(rows.joined(separator: "\n"), to: "rows.jsonl")
        var training = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        training.method = .lora(rank: 4)
        training.maximumSteps = 3
        training.learningRate = 1e-2
        training.outputFolder = "\(folder.path)/output"
        var losses: [Double] = []
        let adapter = try training.run { progress in
            #expect(progress.totalSteps == 3)
            if let loss = progress.metrics["loss"] { losses.append(loss) }
        }
        #expect(losses.count == 3 && losses.allSatisfy { $0.isFinite })

        let model = try Model(base.path)
        let options = AnswerOptions(maximumTokens: 8, temperature: 0)
        let before = try model.answer("say 1", options)
        try model.attach(adapter)
        var pieces = ""
        let adapted = try model.answer([Message(role: "user", content: "say 1")], options) {
            pieces += $0
            return true
        }
        #expect(pieces == adapted && adapted != before)
        #expect(try Model(adapter).answer("say 1", options) == adapted)
        #expect(throws: (any Error).self) { try model.save(to: "\(folder.path)/early") }
        try model.merge()
        #expect(try model.answer("say 1", options) == adapted)
        try model.save(to: "\(folder.path)/merged")
        #expect(try Model("\(folder.path)/merged").answer("say 1", options) == adapted)
    }

    /// Where an adapter has taken the place of a part of the model, the model itself cannot be asked for.
    @Test(arguments: ["lora-pissa", "lora-olora", "lora-saved-embedding"])
    func theModelItselfIsThereOrRefused(name: String) throws {
        let base = try TinyModelFolder.chat()
        let adapters = TinyModelFolder.fixtures.appendingPathComponent("adapters/qwen2-tied-gqa").path
        let options = AnswerOptions(maximumTokens: 8, temperature: 0)
        func refusal(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch {
                return "\(error)"
            }
        }
        let model = try Model(base.path)
        let answer = try model.answer("say 1", options)
        try model.attach("\(adapters)/lora", named: "plain")
        // Behind another it is refused, and the model stays as it is.
        #expect(refusal { try model.attach("\(adapters)/\(name)", named: "taken") } != "")
        #expect(model.adapters == ["plain"])
        try model.activate([])
        #expect(try model.answer("say 1", options) == answer)

        let other = try Model(base.path)
        try other.attach("\(adapters)/\(name)", named: "taken")
        try other.attach("\(adapters)/lora", named: "plain")
        for chosen in [[], ["plain"]] {
            #expect(refusal { try other.activate(chosen) }.contains("the adapter taken has parts of the model itself"))
        }
        for chosen in [["taken"], ["plain", "taken"], nil] { try other.activate(chosen) }
        let both = try other.answer("say 1", options)
        try other.merge()
        try other.activate([])
        #expect(try other.answer("say 1", options) == both)
        // What does not take part cannot be hung on either.
        #expect(refusal { try other.attach("\(adapters)/\(name)", named: "again") }.contains("the adapter again"))
        #expect(other.adapters.isEmpty)
        #expect(try other.answer("say 1", options) == both)
        withExtendedLifetime(base) {}
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    /// A value that a command line would not take is refused, and stops nothing.
    @Test func valuesOutsideTheirRanges() throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        try folder.write(#"{"query": "a", "chosen": "b", "rejected": "c"}"#, to: "rows.jsonl")
        let model = try Model(base.path)
        for (options, name) in [
            (AnswerOptions(maximumTokens: 0), "max_new_tokens"),
            (AnswerOptions(maximumTokens: -1), "max_new_tokens"),
            (AnswerOptions(temperature: -1), "temperature"), (AnswerOptions(temperature: .nan), "temperature"),
        ] {
            let said = refusal { _ = try model.answer("a", options) }
            #expect(said.hasPrefix("\(name): got "), "\(said)")
        }
        var options = AnswerOptions(maximumTokens: 2)
        options.topP = 1.5
        #expect(refusal { _ = try model.answer("a", options) }.hasPrefix("top_p: got "))

        var sampling = Sampling(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        sampling.outputFolder = "\(folder.path)/samples"
        sampling.answerCount = -1
        #expect(refusal { _ = try sampling.run() }.hasPrefix("num_return_sequences: got "))
        var training = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        training.outputFolder = "\(folder.path)/output"
        training.batchSize = 0
        for task in [Training.Task.answering, .preferring] {
            training.task = task
            #expect(refusal { _ = try training.run() }.hasPrefix("per_device_train_batch_size: got "))
        }
        training.batchSize = 1
        // One label would be a number.
        training.task = .classification(classes: 1)
        #expect(refusal { _ = try training.run() }.hasPrefix("classification(classes: 1): wanted two or more"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["rows.jsonl"])
    }

    /// Options of a method are taken, of lists all words; those of the run are not passed over.
    @Test func optionsOfMethods() throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        try folder.write(#"{"query": "a", "response": "b"}"#, to: "rows.jsonl")
        var training = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        training.outputFolder = "\(folder.path)/output"
        training.maximumSteps = 1
        training.method = .adapter("lora", options: ["target_modules": "q_proj v_proj", "lora_rank": "2"])
        let config = try JSONValue(
            parsing: Data(contentsOf: URL(fileURLWithPath: "\(training.run())/adapter_config.json")))
        #expect(config["r"]?.intValue == 2)
        let targets = config["target_modules"]?.arrayValue?.compactMap(\.stringValue)
        #expect(targets.map { Set($0) } == ["q_proj", "v_proj"])
        for (option, value) in ["learning_rate": "1", "tuner_type": "full", "adapters": "x"] {
            training.method = .adapter("lora", options: [option: value])
            let said = refusal { _ = try training.run() }
            #expect(said.hasPrefix("--\(option): no option of what trains"), "\(said)")
        }
    }

    /// What is made of adapters takes part at once, beside those that were chosen by their names.
    @Test func combinedAdaptersTakePart() throws {
        let base = try TinyModelFolder.chat()
        let adapter = TinyModelFolder.fixtures.appendingPathComponent("adapters/qwen2-tied-gqa/lora").path
        let options = AnswerOptions(maximumTokens: 8, temperature: 0)
        let (model, other) = (try Model(base.path), try Model(base.path))
        try model.attach(adapter, named: "a")
        try model.activate([])
        try model.combine(["a": 1], as: "b", by: "cat")
        try other.attach(adapter)
        #expect(try model.answer("say 1", options) == other.answer("say 1", options))
        #expect(refusal { try model.combine(["a": .nan], as: "c", by: "cat") }.contains("--adapter_weights"))
        #expect(model.adapters == ["a", "b"])
        withExtendedLifetime(base) {}
    }

    /// Saving takes the place of what was saved there before, and of nothing else.
    @Test func savingLosesNoFiles() throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        let model = try Model(base.path)
        let (saved, notes) = ("\(folder.path)/saved", "\(folder.path)/saved/notes.txt")
        try FileManager.default.createDirectory(atPath: saved, withIntermediateDirectories: true)
        for _ in 0..<2 { try model.save(to: saved) }
        #expect(FileManager.default.fileExists(atPath: "\(saved)/config.json"))
        try folder.write("mine", to: "saved/notes.txt")
        #expect(refusal { try model.save(to: saved) }.contains("holds other files"))
        #expect(refusal { try model.save(to: base.path) }.contains("holds other files"))
        #expect(refusal { try model.save(to: folder.path) }.contains("holds other files"))
        #expect(try String(contentsOfFile: notes, encoding: .utf8) == "mine")

        let adapter = TinyModelFolder.fixtures.appendingPathComponent("adapters/qwen2-tied-gqa/lora").path
        try model.attach(adapter, named: "a")
        for _ in 0..<2 { try model.saveAdapter("a", to: "\(folder.path)/adapter") }
        #expect(refusal { try model.saveAdapter("a", to: folder.path) }.contains("holds other files"))
        #expect(model.adapters == ["a"])
        withExtendedLifetime(base) {}
    }

    /// A run whose task is cancelled saves what it has learned, and ends.
    @Test func cancelledTraining() async throws {
        let base = try TinyModelFolder.chat()
        let folder = try TemporaryFolder()
        try folder.write(#"{"query": "a", "response": "b"}"#, to: "rows.jsonl")
        var settings = Training(model: base.path, data: ["\(folder.path)/rows.jsonl"])
        settings.maximumSteps = 5
        settings.outputFolder = "\(folder.path)/output"
        let training = settings
        let task = Task {
            try training.run { if $0.step == 2 { withUnsafeCurrentTask { $0?.cancel() } } }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        let run = try #require(FileManager.default.contentsOfDirectory(atPath: settings.outputFolder).first)
        let saved = try FileManager.default.contentsOfDirectory(atPath: "\(settings.outputFolder)/\(run)")
        #expect(saved.filter { $0.hasPrefix("checkpoint-") } == ["checkpoint-2"])
        withExtendedLifetime((base, folder)) {}
    }

    @Test func embedsAndClassifies() throws {
        let labelled = try TinyModelFolder.bert(
            "classifiers/bert-single",
            config: [
                "architectures": ["BertForSequenceClassification"], "id2label": ["0": "a", "1": "b", "2": "c"],
            ])
        let classifier = try Model(labelled.path)
        let said = try classifier.classify(["abc", "d e"])
        #expect(said.count == 2 && said.allSatisfy { $0.labels.count == 1 && $0.values.isEmpty })
        for prediction in said {
            #expect(prediction.probabilities.keys.sorted() == ["a", "b", "c"])
            #expect(abs(prediction.probabilities.values.reduce(0, +) - 1) < 1e-6)
        }
        #expect(try classifier.classify(pairs: [("ab", "cd")]).count == 1)
        let error = #expect(throws: (any Error).self) { try classifier.answer("hello") }
        #expect("\(error.map { "\($0)" } ?? "")".contains("BertForSequenceClassification"))
        let filler = try TinyModelFolder.bert(
            "classifiers/bert-masked", config: ["architectures": ["BertForMaskedLM"]])
        let fillings = try Model(filler.path).fillMasks("a [MASK] b [MASK]", count: 3)
        #expect(fillings.map(\.count) == [3, 3])
        for mask in fillings {
            #expect(mask.map(\.probability) == mask.map(\.probability).sorted(by: >))
            #expect(mask[0].probability > 0 && mask.reduce(0) { $0 + $1.probability } <= 1)
        }
        #expect(throws: (any Error).self) { try Model(filler.path).fillMasks("no mask") }
        let sentences = try TinyModelFolder.bert("classifiers/bert-hidden")
        try sentences.folder.write(
            #"[{"type": "sentence_transformers.models.Transformer", "path": ""}, {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}, {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}]"#,
            to: "modules.json")
        try FileManager.default.createDirectory(
            atPath: "\(sentences.path)/1_Pooling", withIntermediateDirectories: true)
        try sentences.folder.write(#"{"pooling_mode_mean_tokens": true}"#, to: "1_Pooling/config.json")
        let encoder = try Model(sentences.path)
        let vectors = try encoder.embed(["abc", "abd"])
        #expect(vectors.count == 2)
        for vector in vectors { #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
        #expect(throws: (any Error).self) { try encoder.classify(["abc"]) }
        // The folders are removed with their last user.
        withExtendedLifetime((labelled, sentences)) {}
    }
}
