import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// Real data sets, which lie beside the checkout and are never part of it; without them these tests are skipped.
@Suite("Real data sets", .enabled(if: sharedFixtures("data") != nil, "the shared fixtures are not beside the checkout"))
struct SharedDataTests {
    private func load(
        _ name: String, count: Int? = nil, _ change: (inout DatasetLoader) -> Void = { _ in }
    ) throws -> DatasetLoader.Loaded {
        let path = try #require(sharedFixtures("data/\(name)")).path
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        loader.threads = 2
        change(&loader)
        return try loader.load([count.map { "\(path)#\($0)" } ?? path])
    }

    @Test(arguments: [
        ("llamafactory/alpaca_en_demo.json", 999, 999),
        ("llamafactory/alpaca_zh_demo.json", 1000, 1000),
        ("llamafactory/identity.json", 91, 91),
        ("llamafactory/c4_demo.jsonl", 300, 300),
        ("llamafactory/kto_en_demo.json", 300, 300),
        ("llamafactory/glaive_toolcall_en_demo.json", 300, 300),
        ("llamafactory/glaive_toolcall_zh_demo.json", 300, 300),
        ("llamafactory/dpo_en_demo.json", 300, 106),
        ("self-cognition/self_cognition.jsonl", 134, 134),
        ("chinese-ner-sft/ccfbdci.jsonl", 15724, 15724),
        ("huanhuan/huanhuan.json", 3729, 3729),
        ("gsm8k/train.jsonl", 7473, 7473),
        ("gsm8k/test.jsonl", 1319, 1319),
    ])
    func rowsAreReadAndKept(_ name: String, _ read: Int, _ kept: Int) throws {
        let loaded = try load(name)
        #expect(loaded.report.files.map(\.rowCount) == [read])
        #expect(loaded.train.count == kept)
        #expect(loaded.report.files[0].dropped.total == read - kept)
    }

    /// The last row of a file, taken apart by hand from its JSON, is what is recognised.
    @Test func rowsHaveTheirColumns() throws {
        func lines(_ name: String) throws -> [JSONValue] {
            let data = try Data(contentsOf: try #require(sharedFixtures("data/\(name)")))
            if name.hasSuffix(".json") { return try #require(JSONValue(parsing: data).arrayValue) }
            return try data.split(separator: UInt8(ascii: "\n")).map { try JSONValue(parsing: Array($0)) }
        }
        let alpaca = try load("llamafactory/alpaca_en_demo.json").train
        for (index, row) in try lines("llamafactory/alpaca_en_demo.json").enumerated() {
            let (instruction, input) = (row["instruction"]?.stringValue ?? "", row["input"]?.stringValue ?? "")
            let query = input.isEmpty ? instruction : "\(instruction)\n\(input)"
            #expect(
                try transcript(alpaca.conversation(at: index))
                    == ["user: \(query)", "assistant: \(row["output"]?.stringValue ?? "")"])
        }
        let gsm8k = try load("gsm8k/test.jsonl").train
        for (index, row) in try lines("gsm8k/test.jsonl").enumerated() {
            let expected = [
                "user: \(row["question"]?.stringValue ?? "")", "assistant: \(row["answer"]?.stringValue ?? "")",
            ]
            #expect(try transcript(gsm8k.conversation(at: index)) == expected)
        }
        let entities = try load("chinese-ner-sft/ccfbdci.jsonl", count: 3).train.conversation(at: 2)
        #expect(entities.messages.map(\.role) == ["assistant"])
        #expect(entities.otherColumns.keys == ["entities", "data_source"])
    }

    @Test func selfCognitionTakesNames() throws {
        let name = "self-cognition/self_cognition.jsonl"
        let bare = try load(name)
        #expect(bare.report.files[0].notes.count(of: "{{NAME}} left as it is (--model_name is not given)") == 37)
        let filled = try load(name) {
            $0.recognition.modelName = ["雨燕", "Apus"]
            $0.recognition.modelAuthor = ["作者", "the author"]
        }
        #expect(filled.report.files[0].notes.isEmpty)
        let texts = try (0..<filled.train.count).map { try transcript(filled.train.conversation(at: $0)).joined() }
        #expect(texts.allSatisfy { !$0.contains("{{") })
        #expect(texts[0].contains("雨燕"))
        #expect(texts.count { $0.contains("Apus") } == 15)
    }

    @Test func toolDataKeepsCallsAndTools() throws {
        let train = try load("llamafactory/glaive_toolcall_en_demo.json").train
        let conversations = try (0..<train.count).map(train.conversation)
        #expect(conversations.count { $0.tools != nil } == 191)
        let messages = conversations.flatMap(\.messages)
        #expect(messages.reduce(0) { $0 + $1.toolCalls.count } == 211)
        #expect(messages.count { $0.role == "tool" } == 211)
        #expect(messages.count { $0.role == "user" } == 746)
        #expect(messages.flatMap(\.toolCalls).allSatisfy { $0["function"]?["arguments"]?.objectValue != nil })
    }

    @Test func aWholeDatasetIsTokenised() throws {
        let loaded = try load("gsm8k/train.jsonl") {
            $0.splitRatio = 0.01
            $0.shufflesTraining = true
        }
        #expect(loaded.train.count == 7399)
        #expect(loaded.validation.count == 74)
        let truncation = try Truncation(maximumLength: 1000)
        let (dataset, report) = try loaded.train.tokenized(truncation: truncation, threads: 2, encode: byteEncoding)
        #expect(dataset.count + report.dropped.total == 7399)
        #expect(report.dropped.entries.map(\.reason) == ["longer than max_length 1000"])
        #expect(report.lengths?.maximum ?? 0 <= 1000)
        #expect(
            report.trainedTokenCount == dataset.indices.reduce(0) { $0 + dataset.sample($1).isTrained.count { $0 } })
    }

    @Test(arguments: [
        ("stsb/sts-train.csv:reg", 5749, ProblemType.regression, 1), ("stsb/sts-dev.csv", 1500, .regression, 1),
        ("sst2/train.tsv", 6920, .singleLabel, 2), ("sst2/dev.tsv", 872, .singleLabel, 2),
        ("sst2/test.tsv", 1821, .singleLabel, 2), ("mrpc/msr_paraphrase_train.txt", 4076, .singleLabel, 2),
        ("mrpc/msr_paraphrase_test.txt", 1725, .singleLabel, 2), ("cola/in_domain_train.tsv", 8551, .singleLabel, 2),
        ("cola/in_domain_dev.tsv", 527, .singleLabel, 2), ("cola/out_of_domain_dev.tsv", 516, .singleLabel, 2),
        ("lcqmc/LCQMC.valid.data", 8802, .singleLabel, 2),
    ])
    func tablesAreReadWhole(_ name: String, _ count: Int, _ problem: ProblemType, _ outputs: Int) throws {
        let path = try #require(sharedFixtures("data/\(name)")).path
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        loader.isStrict = true
        loader.threads = 2
        let train = try loader.load([path], as: LabelledRecognizer()).train
        #expect(train.count == count)
        let scheme = try LabelScheme(inferredFrom: train, threads: 2)
        #expect(scheme.problemType == problem)
        #expect(scheme.labelCount == outputs)
        #expect(try train.tokenized(scheme: scheme, threads: 2, encode: byteLabelEncoding).dataset.count == count)
    }

    @Test func theSTSBenchmarkIsWhatItSays() throws {
        let path = try #require(sharedFixtures("data/stsb/sts-train.csv")).path
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        var options = LabelledRecognizer.Options()
        let known = try loader.load([path], as: LabelledRecognizer(options)).train
        options.columns = ["5": "sentence1", "6": "sentence2", "4": "score"]
        let mapped = try loader.load([path], as: LabelledRecognizer(options)).train
        #expect(mapped.count == 5749)
        let scheme = try LabelScheme(problemType: .regression, labelCount: 1)
        // Taken apart by hand.
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        for (index, line) in lines.enumerated() {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            let row = try known.recognized(at: index)
            #expect(row.content == .pair(fields[5], fields[6]))
            let score = try #require(Double(fields[4]))
            let target = try #require(try row.label.map { try scheme.target(of: $0) })
            #expect(target == .values([Float(score)]))
            let other = try mapped.recognized(at: index)
            #expect(other.content == row.content && other.label == row.label)
        }
    }
}
