import ApusDatasets
import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// Runs over data that are packed, streamed, split, mixed or left out in part.
@Suite(.serialized) struct DataRunTests {
    private func file(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    /// A batch of one pack is the batch of its samples.
    @Test func aPackLearnsWhatItsSamplesDo() throws {
        func run(_ name: String, _ change: @escaping (inout SFTSettings) -> Void) throws -> [String] {
            let run = try TinyRun(rows: 8).with {
                $0.optimization.gradientAccumulationSteps = 1
                $0.data.trainDataloaderShuffle = false
                $0.data.datasetShuffle = false
                $0.tuner.loraDropout = 0
                $0.optimization.maxSteps = 4
                $0.output.outputDirectory = $0.outputDirectory + name
                change(&$0)
            }
            try run()
            return try run.losses()
        }
        let plain = try run("plain") { $0.optimization.perDeviceTrainBatchSize = 8 }
        let packed = try run("packed") {
            $0.optimization.perDeviceTrainBatchSize = 1
            $0.batches.packing = true
            $0.batches.packingLength = 4096
            $0.batches.packingStrategy = .sequential
        }
        #expect(plain == packed)
        let streamed = try run("streamed") {
            $0.optimization.perDeviceTrainBatchSize = 8
            $0.batches.streaming = true
        }
        #expect(plain == streamed)
    }

    /// Packs, groups and streams go on where they were, to the same bits.
    @Test(arguments: [0, 1, 2])
    func interruptedIsUninterrupted(kind: Int) throws {
        let run = try TinyRun(rows: 40).with {
            switch kind {
            case 0:
                $0.batches.packing = true
                $0.batches.packingLength = 128
            case 1: $0.batches.groupByLength = true
            default:
                $0.batches.streaming = true
                $0.batches.shuffleBufferSize = 10
                $0.batches.packing = true
                $0.batches.packingLength = 128
            }
        }
        try run()
        let (whole, log) = (try run.numbers(6), try run.losses())
        try FileManager.default.removeItem(atPath: "\(run.output)/checkpoint-6")
        try run.with { $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4" }()
        #expect(try run.numbers(6) == whole)
        #expect(try run.losses() == log)
        let refusal = run.with {
            $0.evaluation.resumeFromCheckpoint = "\(run.output)/checkpoint-4"
            $0.batches.packingLength = 256
            $0.batches.groupByLength = false
        }.refusal()
        #expect(refusal.contains("packing_length") || refusal.contains("group_by_length"), "\(refusal)")
    }

    @Test(arguments: [false, true])
    func rowsThatAreLeftOutAreInTheFolder(streams: Bool) throws {
        let run = try TinyRun(rows: 12).with { $0.batches.streaming = streams }
        let path = run.settings.data.dataset[0]
        try (file(path) + "{\"x\": 1}\n" + "{\"query\": \"q\"}\n").write(
            toFile: path, atomically: true, encoding: .utf8)
        try run()
        let dropped = try file("\(run.output)/dropped.jsonl").split(separator: "\n").map {
            try JSONValue(parsing: String($0))
        }
        #expect(dropped.map { $0["line"] } == [13, 14])
        #expect(dropped.allSatisfy { $0["file"] == .string(path) && $0["reason"]?.stringValue != nil })
    }

    @Test func losingMoreThanHalfEndsTheRun() throws {
        let run = try TinyRun(rows: 4)
        let path = run.settings.data.dataset[0]
        try (file(path) + String(repeating: "{\"x\": 1}\n", count: 5)).write(
            toFile: path, atomically: true, encoding: .utf8)
        #expect(run.refusal().contains("56 % of the rows cannot be used"), "\(run.refusal())")
        #expect(!FileManager.default.fileExists(atPath: run.output))
        try run.with { $0.data.maxDroppedRatio = 1 }()
        // Rows that are lost when they are encoded count as well.
        let short = try TinyRun(rows: 4).with { $0.encoding.maxLength = 10 }
        #expect(short.refusal().contains("max_length"), "\(short.refusal())")
    }

    @Test func contradictionsAreRefused() throws {
        let run = try TinyRun(rows: 4)
        for (change, words): (@Sendable (inout SFTSettings) -> Void, String) in [
            ({ $0.encoding.truncationStrategy = .split }, "--use_chat_template false"),
            (
                {
                    $0.batches.streaming = true
                    $0.optimization.maxSteps = -1
                }, "--max_steps"
            ),
            (
                {
                    $0.batches.streaming = true
                    $0.data.splitDatasetRatio = 0.1
                }, "--val_dataset"
            ),
            (
                {
                    $0.batches.streaming = true
                    $0.batches.groupByLength = true
                }, "--group_by_length"
            ),
            (
                {
                    $0.batches.groupByLength = true
                    $0.data.trainDataloaderShuffle = false
                }, "--group_by_length"
            ),
            ({ $0.data.interleaveProb = [0.5] }, "--interleave_prob"),
            ({ $0.data.promptFormat = "none" }, "--prompt_format"),
        ] {
            var settings = run.settings
            change(&settings)
            #expect {
                _ = try settings.validated()
            } throws: { error in
                "\(error)".contains(words)
            }
        }
    }

    /// A text is learned whole, in parts, and a prompt is made of columns.
    @Test func textsAndPrompts() throws {
        let run = try TinyRun(rows: 2)
        let text = "\(run.folder.path)/book.txt"
        try String(repeating: "All happy families are alike. ", count: 20).write(
            toFile: text, atomically: true, encoding: .utf8)
        try run.with {
            $0.data.dataset = [text]
            $0.encoding.useChatTemplate = false
            $0.encoding.lossScale = .all
            $0.encoding.maxLength = 64
            $0.encoding.truncationStrategy = .split
            $0.output.outputDirectory = $0.outputDirectory + "-text"
        }()
        let rows = "\(run.folder.path)/qa.json"
        try #"[{"id": 1, "answer": "A", "question": "Q", "context": "C", "full answer": "F"}]"#.write(
            toFile: rows, atomically: true, encoding: .utf8)
        try run.with {
            $0.data.dataset = [rows]
            $0.data.promptFormat = "{context}\n{question}"
            $0.output.outputDirectory = $0.outputDirectory + "-qa"
        }()
        let arguments = try JSONValue(parsing: file("\(run.output)-qa/args.json"))
        #expect(arguments["prompt_format"] == "{context}\n{question}")
    }
}
