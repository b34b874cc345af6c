import ApusFiles
import ApusText
import Foundation
import Synchronization
import Testing

@testable import ApusDatasets

/// Samples of every kind come back from a cache as encoding gives them.
@Suite struct KeptSampleTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Counts what is encoded, and says what is found.
    private final class Calls: Sendable {
        private let number = Mutex(0)
        func add() { number.withLock { $0 += 1 } }
        var count: Int { number.withLock { $0 } }
    }

    private func rows<Recognizer: RowRecognizer>(
        _ line: (Int) -> String, as recognizer: Recognizer
    ) throws -> RowDataset<Recognizer> {
        let path = try folder.write((0..<40).map { line($0) + "\n" }.joined(), to: "rows.jsonl")
        return try DatasetLoader().load(["\(path)#70"], as: recognizer).train
    }

    /// Encodes without a cache, with an empty one and with a full one.
    private func compare<Dataset: SampleStore>(
        _ calls: Calls, _ encoded: (SampleCache?) throws -> (dataset: Dataset, report: EncodingReport),
        bytes: (Dataset, Int, (UnsafeRawBufferPointer) -> Void) -> Void
    ) throws {
        var cache = SampleCache(
            folder: folder.url.appending(path: "\(Dataset.self)").path, origin: { "" }, say: { _ in })
        cache.leastRows = 1
        func all(_ cache: SampleCache?) throws -> (bytes: [UInt8], report: EncodingReport, calls: Int) {
            let before = calls.count
            let (dataset, report) = try encoded(cache)
            #expect(dataset.sequenceCount > 20 && dataset.sequenceCount < 40)
            var all: [UInt8] = []
            for sample in 0..<dataset.sampleCount { bytes(dataset, sample) { all += $0 } }
            return (all, report, calls.count - before)
        }
        let (anew, first, second) = (try all(nil), try all(cache), try all(cache))
        #expect(anew.calls > 0 && first.calls == anew.calls && second.calls == 0)
        #expect(first.bytes == anew.bytes && second.bytes == anew.bytes && anew.bytes.count > 1000)
        #expect(first.report == anew.report && second.report == anew.report)
        #expect(anew.report.dropped.total > 0)
    }

    private static func text(_ number: Int) -> String {
        String(repeating: "x", count: number % 9 == 0 ? 60 : number % 5)
    }

    private func encoding(_ calls: Calls) -> ConversationEncoding {
        { conversation in
            calls.add()
            return try byteEncoding(conversation)
        }
    }

    @Test func pairs() throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"prompt": "q\#($0)", "chosen": "\#(Self.text($0))", "rejected": "b\#($0)""#
                    + ($0 % 2 == 0 ? "}" : #", "margin": \#($0)}"#)
            }, as: PreferenceRecognizer(ConversationRecognizer.Options()))
        let truncation = try Truncation(maximumLength: 40)
        try compare(
            calls, { try rows.paired(truncation: truncation, cache: $0, encode: encoding(calls)) },
            bytes: { $0.withBytes(of: $1, $2) })
    }

    @Test func judgedAnswers() throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"query": "q\#($0)", "response": "\#(Self.text($0))", "label": \#($0 % 3 == 0)}"#
            }, as: JudgedRecognizer(ConversationRecognizer.Options()))
        let truncation = try Truncation(maximumLength: 40)
        try compare(
            calls, { try rows.judged(truncation: truncation, cache: $0, encode: encoding(calls)) },
            bytes: {
                $0.withBytes(of: $1, $2)
                // With a limit for questions with answers of others.
                let other = $0.mismatched($1, groupSize: 4)
                other.ids.withUnsafeBytes($2)
            })
    }

    @Test func questions() throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"query": "q\#($0) \#(Self.text($0))", "response": "a"}"#
            }, as: PromptRecognizer(ConversationRecognizer.Options()))
        let truncation = try Truncation(maximumLength: 40)
        let encode = encoding(calls)
        try compare(
            calls,
            {
                try rows.questions(truncation: truncation, cache: $0) { try encode($0).ids }
            }, bytes: { $0.withBytes(of: $1, $2) })
    }

    @Test func distilledAnswers() throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"query": "q\#($0)", "response": "\#(Self.text($0))""#
                    + ($0 % 2 == 0 ? "}" : #", "teacher_prompt": "other \#($0)"}"#)
            }, as: ConversationRecognizer(ConversationRecognizer.Options()))
        let truncation = try Truncation(maximumLength: 40)
        try compare(
            calls, { try rows.distilled(truncation: truncation, cache: $0, encode: encoding(calls)) },
            bytes: { $0.withBytes(of: $1, $2) })
    }

    @Test(arguments: [true, false]) func labels(hasSegments: Bool) throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"text": "t\#(Self.text($0))\#($0)", "label": \#(hasSegments ? "[0.5, \($0)]" : "\($0 % 3)")}"#
            }, as: LabelledRecognizer())
        let scheme = try LabelScheme(
            problemType: hasSegments ? .regression : .singleLabel, labelCount: hasSegments ? 2 : 3)
        func encoded(_ cache: SampleCache?, _ scheme: LabelScheme?) throws -> (ScoredDataset, EncodingReport) {
            try rows.tokenized(scheme: scheme, maximumLength: 40, strategy: .delete, cache: cache) { row in
                calls.add()
                var encoded = try byteLabelEncoding(row)
                if hasSegments { encoded.segments = encoded.ids.map { $0 % 2 } } else { encoded.segments = nil }
                return encoded
            }
        }
        try compare(calls, { try encoded($0, scheme) }, bytes: { $0.withBytes(of: $1, $2) })
        // Another scheme has other targets.
        var cache = SampleCache(
            folder: folder.url.appending(path: "\(ScoredDataset.self)").path, origin: { "" }, say: { _ in })
        cache.leastRows = 1
        #expect(try encoded(cache, nil).0.target(of: 0) == nil)
    }

    @Test func groups() throws {
        let calls = Calls()
        let rows = try rows(
            {
                #"{"query": "q\#($0)", "positive": ["\#(Self.text($0))p", "o"], "negative": ["n\#($0)"]}"#
            }, as: RerankerRecognizer())
        try compare(
            calls,
            {
                try rows.tokenized(maximumLength: 40, strategy: .delete, cache: $0) { query, document in
                    calls.add()
                    let ids = (query.text + document.text).utf8.map { Int32($0) }
                    return EncodedSequence(ids: ids, segments: ids.map { $0 % 2 })
                }
            }, bytes: { $0.withBytes(of: $1, $2) })
    }

    @Test func embeddings() throws {
        let calls = Calls()
        var options = EmbeddingRecognizer.Options()
        options.label = .scoreIfGiven
        let rows = try rows(
            {
                #"{"anchor": "q\#($0)\#(Self.text($0))", "positive": "p\#($0)""#
                    + ($0 % 2 == 0 ? "}" : #", "label": 0.5}"#)
            }, as: EmbeddingRecognizer(options))
        try compare(
            calls,
            {
                try rows.tokenized(maximumLength: 40, strategy: .delete, cache: $0) { text, _ in
                    calls.add()
                    return EncodedSequence(ids: text.text.utf8.map { Int32($0) })
                }
            }, bytes: { $0.withBytes(of: $1, $2) })
    }
}

extension SampleStore {
    fileprivate var sampleCount: Int {
        switch self {
        case let data as TokenizedDataset: data.count
        case let data as PairDataset: data.count
        case let data as JudgedDataset: data.count
        case let data as DistilledDataset: data.count
        case let data as ScoredDataset: data.count
        case let data as GroupedDataset: data.count
        default: 0
        }
    }
}
