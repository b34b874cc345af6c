import ApusFiles
import ApusFilesTesting
import ApusJSON
import Foundation
import Testing

@testable import ApusRunLog

@Suite struct RunLogTests {
    private let folder: TemporaryFolder
    private let terminal = FakeTerminal(columns: nil)

    init() throws {
        folder = try TemporaryFolder()
    }

    private func open(
        _ options: RunLog.Options, fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> RunLog {
        try RunLog(
            try RunFolder(outputDirectory: folder.path, addVersion: false), options,
            console: Console(output: terminal, style: ConsoleStyle(lineInterval: 1e9), now: terminal.now),
            clock: RunLog.Clock(now: terminal.now, date: { Date(timeIntervalSince1970: 1.75e9) }),
            fileSystem: fileSystem)
    }

    private func rows() throws -> [String] {
        let text = String(decoding: try LocalFileSystem().contents(of: folder("logging.jsonl")), as: UTF8.self)
        return text.split(separator: "\n").map(String.init)
    }

    @Test func rowsAreThoseOfMsSwift() throws {
        let log = try open(RunLog.Options(maxSteps: 100))
        terminal.wait(14.56)
        let metrics = [
            ("loss", 1.435022164), ("grad_norm", 3.483622551), ("learning_rate", 9.6e-5), ("token_acc", 0.6400209),
        ]
        log.record(step: 5, epoch: 0.748856789, metrics: metrics, memory: 18.584)
        let expected =
            #"{"loss": 1.43502216, "grad_norm": 3.48362255, "learning_rate": 9.6e-05, "token_acc": 0.6400209, "#
            + #""epoch": 0.74885679, "global_step/max_steps": "5/100", "elapsed_time": "14s", "#
            + #""remaining_time": "4m 36s", "memory(GiB)": 18.58, "train_speed(s/it)": 2.912}"#
        #expect(try rows() == [expected])
        #expect(terminal.written == expected.replacing("\"", with: "'") + "\n")

        terminal.wait(1)
        log.record(step: 5, epoch: 0.75, metrics: [("eval_loss", 1), ("eval_token_acc", .nan), ("eval_a", -.infinity)])
        #expect(
            try rows()[1].hasPrefix(
                #"{"eval_loss": 1.0, "eval_token_acc": null, "eval_a": null, "epoch": 0.75, "global"#))
    }

    @Test func theLastRowHoldsEverything() throws {
        let log = try open(RunLog.Options(maxSteps: 2))
        for step in 1...2 {
            log.advance(to: step, loss: 1, tokensPerSecond: 10)
            log.record(step: step, epoch: Double(step) / 2, metrics: [("loss", 2 / Double(step))])
        }
        log.record(step: 2, epoch: 1, metrics: [("eval_loss", 0.5)])
        let row = log.finish(summary: ["model_parameter_info": "M", "best_metric": 0.5])
        #expect(row.keys == ["model_parameter_info", "best_metric", "global_step", "log_history"])
        #expect(row["global_step"] == 2)
        #expect(row["log_history"]?.arrayValue?.count == 3)
        #expect(row["log_history"]?[0]?["step"] == 1)
        #expect(try rows().count == 4)
        let images = try LocalFileSystem().contentsOfDirectory(folder("images"))
        #expect(images == ["train_loss.png"])
        for image in images {
            let png = Array(try LocalFileSystem().contents(of: folder("images/" + image)))
            #expect(LossCurveTests.size(of: png) == [800, 500])
        }
        #expect(try LocalFileSystem().contentsOfDirectory(folder("runs")).count == 1)
    }

    /// Both losses in one picture; none of runtimes, of straight lines, or of one curve under two names.
    @Test func picturesShowWhatWasLearned() throws {
        let log = try open(RunLog.Options(maxSteps: 8))
        for step in 1...8 {
            let bent = Double(step * step)
            log.record(
                step: step, epoch: Double(step) / 8,
                metrics: [("loss", 1 / bent), ("learning_rate", 1e-4), ("acc", bent), ("grad_norm", Double(step))])
            log.record(
                step: step, epoch: Double(step) / 8,
                metrics: [
                    ("eval_loss", 2 / bent), ("eval_acc", bent / 2), ("eval_accuracy", bent / 2),
                    ("eval_runtime", bent), ("eval_mcc", -bent),
                ])
        }
        log.finish(summary: [:])
        let images = try LocalFileSystem().contentsOfDirectory(folder("images")).sorted()
        #expect(images == ["eval_mcc.png", "train_acc.png", "train_loss.png"])
    }

    /// In a terminal a line is no wider than that.
    @Test(arguments: [40, 60, 80, 120, 400])
    func linesFitTheTerminal(columns: Int) throws {
        let row: JSONObject = [
            "loss": 1.43502216, "grad_norm": 3.48362255, "learning_rate": 9.6e-05, "token_acc": 0.6400209,
            "epoch": 0.74885679, "global_step/max_steps": "5/100", "elapsed_time": "14s",
            "remaining_time": "4m 36s", "memory(GiB)": 18.58, "train_speed(s/it)": 2.912,
        ]
        let line = LogValue.consoleLine(row, columns: columns)
        #expect(line.count < columns && line.hasPrefix("{'loss': 1.435"), "\(line)")
        if columns == 80 { #expect(line.contains("learning_rate") && line.contains("5/100"), "\(line)") }
        #expect(LogValue.consoleLine(row, columns: nil) == LogValue.consoleLine(row))
    }

    @Test func aResumedRunForgetsWhatCameAfterItsCheckpoint() throws {
        do {
            let log = try open(RunLog.Options(maxSteps: 4))
            for step in 1...4 { log.record(step: step, epoch: 0, metrics: [("loss", Double(step))]) }
            log.finish(summary: [:])
        }
        let log = try open(RunLog.Options(maxSteps: 4, resumingAfter: 2))
        #expect(log.history.map { $0["step"] } == [1, 2])
        for step in 3...4 { log.record(step: step, epoch: 0, metrics: [("loss", 10)]) }
        log.finish(summary: [:])
        let parsed = try rows().map { try JSONValue(parsing: $0) }
        #expect(parsed.map { $0["loss"]?.doubleValue } == [1, 2, 10, 10, nil])
        #expect(parsed.last?["log_history"]?.arrayValue?.count == 4)
        #expect(try LocalFileSystem().contentsOfDirectory(folder("runs")).count == 2)
    }

    /// Where two runs wrote into one file, the last one goes on: its rows up to the checkpoint stay, as do the other's.
    @Test(arguments: [true, false])
    func ofTwoRunsTheLastGoesOn(isSummarized: Bool) throws {
        for (steps, loss) in [(4, 1.0), (3, 2.0)] {
            let log = try open(RunLog.Options(maxSteps: 4))
            for step in 1...steps { log.record(step: step, epoch: 0, metrics: [("loss", loss)]) }
            if isSummarized { log.finish(summary: [:]) }
        }
        let log = try open(RunLog.Options(maxSteps: 4, resumingAfter: 2))
        #expect(log.history.map { $0["loss"]?.doubleValue } == [2, 2])
        log.record(step: 3, epoch: 0, metrics: [("loss", 9)])
        let losses = try rows().compactMap { try JSONValue(parsing: $0)["loss"]?.doubleValue }
        #expect(losses == [1, 1, 1, 1, 2, 2, 9])
    }

    /// A disk that is full for a while costs no row, and a run goes on.
    @Test func rowsWaitForAFullDisk() throws {
        var options = RunLog.Options(maxSteps: 5)
        options.writesTensorBoard = false
        _ = try open(options)
        let calls = FaultyFileSystem(LocalFileSystem(), failing: .once(ENOSPC), atCall: .max)
        _ = try open(options, fileSystem: calls)
        // The first write behind those of opening.
        let disk = FaultyFileSystem(LocalFileSystem(), failing: .once(ENOSPC), atCall: calls.callCount + 1)
        let log = try open(options, fileSystem: disk)
        for step in 1...3 { log.record(step: step, epoch: 0, metrics: [("loss", Double(step))]) }
        let losses = try rows().compactMap { try JSONValue(parsing: $0)["loss"]?.doubleValue }
        #expect(losses == [1, 2, 3])
    }

    @Test func aRunThatDidNotResumeAppends() throws {
        do { try open(RunLog.Options(maxSteps: 4)).record(step: 4, epoch: 0, metrics: [("loss", 1)]) }
        let log = try open(RunLog.Options(maxSteps: 4))
        log.record(step: 1, epoch: 0, metrics: [("loss", 2)])
        #expect(try rows().count == 2)
        #expect(log.history.count == 1)
    }
}
