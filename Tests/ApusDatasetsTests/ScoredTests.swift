import ApusJSON
import Foundation
import Testing

@testable import ApusDatasets

/// Bytes as tokens; the texts of a row are its segments.
let byteLabelEncoding: LabelledEncoding = { row in
    let texts = row.texts.map { Array($0.utf8) }
    return EncodedSequence(
        ids: texts.flatMap { $0 }.map { Int32($0) },
        segments: texts.enumerated().flatMap { [Int32](repeating: Int32($0), count: $1.count) })
}

@Suite("Samples with targets")
struct ScoredTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    @Test func samplesAreStoredFlatAndOnce() throws {
        let lines = (0..<500).map { "text \($0)\tother \($0 % 7)\t\(Double($0) / 100)\n" }
        let path = try folder.write(lines.joined(), to: "x.tsv")
        let train = try DatasetLoader().load(["\(path)#1200"], as: LabelledRecognizer()).train
        let scheme = try LabelScheme(inferredFrom: train, threads: 2)
        #expect(scheme.problemType == .regression)
        let calls = Calls()
        let encode: LabelledEncoding = {
            calls.add()
            return try byteLabelEncoding($0)
        }
        let (dataset, report) = try train.tokenized(scheme: scheme, maximumLength: 12, threads: 3, encode: encode)
        #expect(calls.count == 500)
        #expect(dataset.count == 1200)
        for index in dataset.indices {
            let row = try train.recognized(at: index)
            let whole = try byteLabelEncoding(row)
            let sample = dataset.sample(index)
            #expect(sample.ids == Array(whole.ids.prefix(12)))
            #expect(sample.segments == whole.segments.map { Array($0.prefix(12)) })
            #expect(try sample.target == scheme.target(of: #require(row.label)))
            #expect(dataset.target(of: index) == sample.target)
            #expect(dataset.length(of: index) == sample.ids.count)
            #expect(dataset.rows[index] == index)
        }
        #expect(report.lengths?.maximum == 12)
        #expect(report.tokenCount == dataset.indices.reduce(0) { $0 + dataset.length(of: $1) })
        let long = try train.tokenized(scheme: scheme, encode: byteLabelEncoding).dataset
        let cut = long.indices.count { long.length(of: $0) > 12 }
        #expect(cut > 0)
        #expect(report.notes.count(of: "cut to max_length 12 (--truncation_strategy right)") == cut)
        #expect(report.text.contains("\ntokens: \(report.tokenCount)\nworth knowing:\n  \(cut)  cut to max_length 12"))
    }

    @Test func longAndBrokenRowsAreDropped() throws {
        let path = try folder.write("text,label\nshort,1\na longer text,0\n,1\n", to: "x.csv")
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let train = try loader.load([path], as: LabelledRecognizer()).train
        let scheme = try LabelScheme(inferredFrom: train)
        let (dataset, report) = try train.tokenized(
            scheme: scheme, maximumLength: 6, strategy: .delete, encode: byteLabelEncoding)
        #expect(dataset.rows == [0])
        #expect(dataset.sample(0).target == .classID(1))
        #expect(
            report.dropped.entries.map(\.example) == ["\(path):3: 13 tokens", "\(path):4"])
        #expect(throws: DatasetError.self) {
            try train.tokenized(scheme: scheme, isStrict: true, encode: byteLabelEncoding)
        }
        #expect(throws: DatasetError.self) {
            try train.tokenized(scheme: scheme) { _ in EncodedSequence(ids: [1, 2], segments: [0]) }
        }
        let error = #expect(throws: DatasetError.self) {
            try train.tokenized(scheme: scheme) { _ in EncodedSequence(ids: []) }
        }
        #expect(error?.description.hasPrefix("no sample is left of 3:\n  3  no tokens") == true)
    }

    @Test func rowsWithoutLabelsHaveNoTargets() throws {
        let path = try folder.write("{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": 1}\n", to: "x.jsonl")
        var options = LabelledRecognizer.Options()
        options.requiresLabel = false
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let rows = try loader.load([path], as: LabelledRecognizer(options)).train
        let scheme = try LabelScheme(problemType: .singleLabel, labelCount: 2)
        let dataset = try rows.tokenized(scheme: scheme) { EncodedSequence(ids: $0.texts[0].utf8.map { Int32($0) }) }
            .dataset
        #expect(dataset.indices.map(dataset.target) == [nil, .classID(1)])
        #expect(!dataset.hasSegments)
        #expect(dataset.sample(0).segments == nil)
        #expect(try rows.tokenized(scheme: nil, encode: byteLabelEncoding).dataset.target(of: 1) == nil)
    }

    @Test func datasetsCanBeMadeOfSamples() {
        let samples = [
            ScoredDataset.Sample(ids: [1, 2], segments: [0, 1], target: .values([0.5, -1])),
            ScoredDataset.Sample(ids: [3], segments: [0], target: nil),
            ScoredDataset.Sample(ids: [4, 5, 6], segments: [0, 0, 1], target: .values([2, 3])),
        ]
        let dataset = ScoredDataset(samples)
        #expect(dataset.indices.map(dataset.sample) == samples)
        var bytes = 0
        for index in dataset.indices { dataset.withBytes(of: index) { bytes += $0.count } }
        #expect(bytes == 4 * (6 + 6 + 4))
        #expect(ScoredDataset([.init(ids: [1], target: .classID(7))]).target(of: 0) == .classID(7))
    }
}

/// Counts calls from any thread.
private final class Calls: @unchecked Sendable {
    private let lock = NSLock()
    private var number = 0

    var count: Int { lock.withLock { number } }
    func add() { lock.withLock { number += 1 } }
}
