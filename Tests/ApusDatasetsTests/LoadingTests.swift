import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Loading, splitting and tokenising")
struct LoadingTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// A file whose rows answer their number, counted from `first`.
    private func numbered(_ count: Int, from first: Int = 0, name: String = "numbers.jsonl") throws -> String {
        try folder.write(
            (first..<first + count).map { "{\"query\": \"?\", \"response\": \"\($0)\"}\n" }.joined(), to: name)
    }

    private func answers(_ dataset: ConversationDataset) throws -> [Int?] {
        try (0..<dataset.count).map { Int(try dataset.conversation(at: $0).messages.last?.textOrEmpty ?? "") }
    }

    @Test func rowsAreChosenAndOrderedAsInMsSwift() throws {
        for entry in try #require(expectedOrders()["loads"]?.arrayValue) {
            let sizes = try #require(entry["sizes"]?.arrayValue).compactMap(\.intValue)
            let samples = try #require(entry["samples"]?.arrayValue)
            let words = try zip(sizes, samples).enumerated().map { number, part in
                let path = try numbered(part.0, from: number * 10000, name: "\(number).jsonl")
                return part.1.intValue.map { "\(path)#\($0)" } ?? path
            }
            var loader = DatasetLoader()
            loader.seed = UInt32(try #require(entry["seed"]?.intValue))
            loader.splitRatio = try #require(entry["ratio"]?.doubleValue)
            loader.shufflesTraining = entry["shuffle"] == true
            loader.threads = 3
            let loaded = try loader.load(words)
            #expect(try answers(loaded.train) == entry["train"]?.arrayValue?.map(\.intValue))
            #expect(try answers(loaded.validation) == entry["validation"]?.arrayValue?.map(\.intValue))
        }
    }

    @Test func validationSetsAreLoadedApart() throws {
        let (train, validation) = (try numbered(5), try numbered(4, from: 100, name: "val.jsonl"))
        let loader = DatasetLoader()
        let loaded = try loader.load([train], validation: ["\(validation)#3"])
        #expect(try Set(answers(loaded.train)) == [0, 1, 2, 3, 4])
        #expect(loaded.validation.count == 3)
        #expect(loaded.report.files.map(\.validationCount) == [0, 3])
        var ordered = DatasetLoader()
        ordered.shufflesTraining = false
        #expect(try answers(ordered.load([train], validation: [validation]).validation).count == 4)
    }

    @Test func optionsThatContradictAreErrors() throws {
        let path = try numbered(5)
        var loader = DatasetLoader()
        loader.splitRatio = 0.1
        #expect(throws: DatasetError.self) { try loader.load([path], validation: [path]) }
        loader.splitRatio = 1.5
        #expect(throws: DatasetError.self) { try loader.load([path]) }
        loader.splitRatio = .nan
        #expect(throws: DatasetError.self) { try loader.load([path]) }
        loader.splitRatio = 0.5
        #expect(throws: DatasetError.self) { try loader.load([try numbered(1, name: "one.jsonl")]) }
        loader.splitRatio = 1
        #expect(throws: DatasetError.self) { try loader.load(["\(path)#6"]) }
        loader.requiresTraining = true
        let held = #expect(throws: DatasetError.self) { try loader.load([path]) }
        #expect(held?.description.contains("holds every row out") == true)
        loader.splitRatio = 0.9999
        #expect(try loader.load([path]).train.count == 1)
        #expect(throws: DatasetError.self) { try loader.load(["\(path)#1"]) }
        loader.splitRatio = 0
        #expect(throws: DatasetError.self) { try loader.load([], validation: [path]) }
        #expect(throws: DatasetError.self) { try DatasetLoader().load([]) }
        #expect(throws: DatasetError.self) { try DatasetLoader().load(["\(path):subset"]) }
        #expect(throws: DatasetError.self) { try DatasetLoader().load(["hf::org/name"]) }
        loader = DatasetLoader()
        loader.recognition.columns = ["reply": "response", "query": "query"]
        let error = #expect(throws: DatasetError.self) { try loader.load([path]) }
        #expect(error?.description.contains("no row has a column \"reply\"") == true)
    }

    @Test func badRowsAreCountedWithTheFirstOfEach() throws {
        let path = try folder.write(
            """
            {"query": "Q", "response": "A"}

            {"query": "Q"}
            {"messages": [{"role": "x", "content": ""}]}
            {"query": "R"}
            {"query": "Q", "response": "{{NAME}}"}

            """, to: "mixed.jsonl")
        var loader = DatasetLoader()
        let report = try loader.load([path]).report
        #expect(report.files[0].rowCount == 5)
        #expect(report.files[0].usableCount == 2)
        #expect(report.files[0].trainCount == 2)
        #expect(report.files[0].dropped.count(of: "no assistant message to learn from") == 2)
        #expect(
            report.files[0].dropped.entries.map(\.example) == [
                "\(path):3: the row has columns query",
                "\(path):4: message 1, \"x\"; known are system, user, assistant, tool_call, tool_response and tool",
            ])
        #expect(report.files[0].notes.entries.map(\.example) == ["\(path):6"])
        #expect(report.text.contains("2  no assistant message to learn from  first: \(path):3"))
        loader.isStrict = true
        let error = #expect(throws: DatasetError.self) { try loader.load([path]) }
        #expect(
            error?.description.hasPrefix(
                "\(path):3: no assistant message to learn from: the row has columns query. ") == true)
    }

    @Test func aFileWithoutAUsableRowSaysWhy() throws {
        let path = try folder.write("[{\"a\": 1}]", to: "x.json")
        let error = #expect(throws: DatasetError.self) { try DatasetLoader().load([path]) }
        #expect(
            error?.description.hasPrefix(
                "\(path): no row can be used:\n  1  no messages  first: \(path):1: the row has columns a\nGive ")
                == true)
    }

    @Test func tokensAreTheSameWithAnyNumberOfThreads() throws {
        let path = try numbered(1000)
        var loader = DatasetLoader()
        loader.threads = 4
        let train = try loader.load(["\(path)#2500"]).train
        #expect(train.count == 2500)
        let truncation = try Truncation()
        let one = try train.tokenized(truncation: truncation, threads: 1, encode: byteEncoding)
        let calls = Counter()
        let done = Counter()
        let counted: ConversationEncoding = {
            calls.increment()
            return try byteEncoding($0)
        }
        let four = try train.tokenized(
            truncation: truncation, threads: 4, progress: { done.set($0, $1) }, encode: counted)
        #expect(one.dataset.count == 2500)
        #expect(one.report == four.report)
        #expect(one.dataset.indices.allSatisfy { one.dataset.sample($0) == four.dataset.sample($0) })
        // A row that is sampled twice is encoded and stored once.
        #expect(calls.value == 1000)
        #expect(done.value == 1000)
        for index in [0, 1, 999, 1700, 2499] {
            let sample = four.dataset.sample(index)
            let expected = try byteEncoding(train.conversation(at: index))
            #expect(sample.ids == expected.ids)
            #expect(sample.isTrained == expected.isTrained)
            #expect(four.dataset.length(of: index) == sample.ids.count)
            #expect(four.dataset.trainedCount(of: index) == sample.isTrained.count { $0 })
            #expect(four.dataset.conversations[index] == index)
        }
    }

    @Test func longSamplesAreDroppedOrCut() throws {
        let path = try folder.write(
            "{\"query\": \"Q\", \"response\": \"short\"}\n{\"query\": \"Q\", \"response\": \"a longer answer\"}\n",
            to: "x.jsonl")
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let train = try loader.load([path]).train
        func tokenized(_ length: Int, _ strategy: TruncationStrategy) throws -> (TokenizedDataset, EncodingReport) {
            try train.tokenized(truncation: Truncation(maximumLength: length, strategy: strategy), encode: byteEncoding)
        }
        let (deleted, report) = try tokenized(24, .delete)
        #expect(deleted.count == 1)
        #expect(deleted.conversations == [0])
        #expect(report.dropped.entries.map(\.reason) == ["longer than max_length 24"])
        #expect(report.dropped.entries.map(\.example) == ["\(path):2: 31 tokens"])

        let whole = try byteEncoding(train.conversation(at: 1))
        let (leftData, leftReport) = try tokenized(10, .left)
        #expect(leftReport.notes.entries.map(\.reason) == ["cut to max_length 10 (--truncation_strategy left)"])
        #expect(leftReport.notes.total == 2)
        let left = leftData.sample(1)
        #expect(left.ids == Array(whole.ids.suffix(10)))
        #expect(left.isTrained == [false] + Array(repeating: true, count: 9))
        let right = try tokenized(20, .right).0.sample(1)
        #expect(right.ids == Array(whole.ids.prefix(20)))
        #expect(right.isTrained == Array(whole.isTrained.prefix(20)))

        let error = #expect(throws: DatasetError.self) { try tokenized(8, .right) }
        #expect(error?.description.contains("2  nothing to train on  first: \(path):1") == true)
        #expect(throws: DatasetError.self) { try Truncation(maximumLength: 1) }
        #expect(throws: DatasetError.self) {
            try train.tokenized(truncation: Truncation(maximumLength: 24), isStrict: true, encode: byteEncoding)
        }
    }

    @Test func faultsOfTheEncodingNameTheRow() throws {
        struct Fault: Error, CustomStringConvertible {
            let description = "roles must alternate"
        }
        let path = try numbered(3)
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let train = try loader.load([path]).train
        let encode: ConversationEncoding = { conversation in
            if conversation.messages.last?.text == "1" { throw Fault() }
            return try byteEncoding(conversation)
        }
        let result = try train.tokenized(truncation: Truncation(), encode: encode)
        #expect(result.dataset.conversations == [0, 2])
        #expect(result.report.dropped.entries.map(\.example) == ["\(path):2: roles must alternate"])
        let error = #expect(throws: DatasetError.self) {
            try train.tokenized(truncation: Truncation(), isStrict: true, encode: encode)
        }
        #expect(error?.description.hasPrefix("\(path):2: cannot be encoded: roles must alternate. ") == true)
        #expect(throws: DatasetError.self) {
            try train.tokenized(truncation: Truncation()) { _ in
                EncodedConversation(ids: [1, 2], isTrained: [true])
            }
        }
    }

    @Test func samplesWithoutTargetsStayWhenTheyNeedNone() throws {
        let train = try DatasetLoader().load([try numbered(2)]).train
        let encode: ConversationEncoding = { _ in
            EncodedConversation(ids: [1, 2, 3], isTrained: [true, false, false])
        }
        #expect(throws: DatasetError.self) { try train.tokenized(truncation: Truncation(), encode: encode) }
        let result = try train.tokenized(truncation: Truncation(), requiresTargets: false, encode: encode)
        #expect(result.dataset.count == 2)
        #expect(result.dataset.sample(0).isTrained == [false, false, false])
        #expect(
            result.report.text == """
                Dataset Token Length: 3.000000±0.000000, min=3.000000, max=3.000000, size=2
                tokens: 6, of which trained: 0 (0.0 %)
                """)
    }

    @Test func weightsStayWithTheirTokens() throws {
        let train = try DatasetLoader().load(["\(try numbered(200))#300"]).train
        let encode: ConversationEncoding = { conversation in
            let number = Int(conversation.messages.last?.textOrEmpty ?? "") ?? 0
            let weights: [Float] = number % 3 == 0 ? [0.5, 0, 0.5, 2] : [1, 0, 1, 1]
            return EncodedConversation(ids: [1, 2, 3, Int32(number)], weights: weights)
        }
        let dataset = try train.tokenized(truncation: Truncation(), threads: 3, encode: encode).dataset
        for index in dataset.indices {
            let sample = dataset.sample(index)
            #expect(sample.isTrained == [false, false, true, true])
            #expect(sample.weights == (sample.ids[3] % 3 == 0 ? [0, 0, 0.5, 2] : nil))
        }
        let weighted = TokenizedDataset([.init(ids: [1, 2], isTrained: [true, true], weights: [3, 0.25])])
        #expect(weighted.sample(0) == .init(ids: [1, 2], isTrained: [false, true], weights: [0, 0.25]))
        #expect(TokenizedDataset([.init(ids: [1, 2], isTrained: [true, true])]).sample(0).weights == nil)
    }

    @Test func datasetsCanBeMadeOfSamples() throws {
        let samples = (0..<70).map { number in
            TokenizedDataset.Sample(
                ids: Array(repeating: Int32(number), count: number % 5),
                isTrained: (0..<number % 5).map { ($0 + number) % 2 == 0 })
        }
        let dataset = TokenizedDataset(samples)
        #expect(dataset.count == 70)
        for (index, sample) in samples.enumerated() {
            #expect(dataset.sample(index).ids == sample.ids)
            #expect(dataset.sample(index).isTrained == sample.isTrained.enumerated().map { $0 > 0 && $1 })
        }
    }

    @Test func previewsShowWhatIsLearned() {
        let sample = TokenizedDataset.Sample(
            ids: "QAZ".utf8.map { Int32($0) }, isTrained: [false, true, false])
        let preview = SamplePreview(sample, decode: byteDecoding)
        #expect(
            preview.labels == """
                [INPUT_IDS] [81, 65, 90]
                [INPUT] QAZ
                [LABELS_IDS] [-100, 65, -100]
                [LABELS] [-100 * 1]A[-100 * 1]
                """)
        let long = TokenizedDataset.Sample(
            ids: (0..<60).map { 60 + $0 }, isTrained: (0..<60).map { $0 >= 30 })
        let lines = SamplePreview(long, decode: byteDecoding).labels.split(separator: "\n")
        #expect(
            lines[0]
                == "[INPUT_IDS] [\((60..<72).map(String.init).joined(separator: ", ")), … 44 more …, 116, 117, 118, 119]"
        )
        #expect(
            lines[2].hasPrefix("[LABELS_IDS] [-100 * 30, 90, 91,")
                && lines[2].hasSuffix("… 14 more …, 116, 117, 118, 119]"))
        #expect(preview.marked(usesColor: false) == "Q«A»Z")
        #expect(preview.marked(usesColor: true) == "\u{1B}[2mQ\u{1B}[0m\u{1B}[32mA\u{1B}[0m\u{1B}[2mZ\u{1B}[0m")
    }
}

/// A number that threads write.
private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var stored = 0

    var value: Int { lock.withLock { stored } }
    func increment() { lock.withLock { stored += 1 } }
    func set(_ done: Int, _ total: Int) { lock.withLock { stored = done } }
}
