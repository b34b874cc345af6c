import Foundation
import Synchronization
import Testing

@testable import ApusRunLog

/// A terminal of the test's own, and the clock beside it.
final class FakeTerminal: TerminalOutput {
    let columns: Int?
    private let text = Mutex("")
    private let time = Mutex(0.0)

    init(columns: Int?) {
        self.columns = columns
    }

    var written: String { text.withLock { $0 } }

    func write(_ text: String) {
        self.text.withLock { $0 += text }
    }

    /// What a person sees: each line after its last return to the first column and clearing.
    var screen: [String] {
        written.components(separatedBy: "\n").map { $0.components(separatedBy: "\r\u{1B}[K").last ?? "" }
    }

    var now: @Sendable () -> Double { { self.time.withLock { $0 } } }

    func wait(_ seconds: Double) {
        time.withLock { $0 += seconds }
    }
}

@Suite struct ConsoleTests {
    @Test func theBarLooksLikeTqdm() {
        var meter = ProgressMeter("Train", total: 200, now: 0)
        meter.style = ConsoleStyle(color: false)
        meter.advance(to: 70, now: 70.7)
        meter.postfix = [("loss", "1.234"), ("tok/s", "270"), ("mem", "1.9GiB")]
        #expect(
            meter.text(columns: 90, now: 70.7)
                == "Train:  35%|███▌      | 70/200 [01:10<02:11,  1.01s/it, loss=1.234, tok/s=270, mem=1.9GiB]")
        #expect(
            meter.text(columns: nil, now: 70.7)
                == "Train:  35% 70/200 [01:10<02:11,  1.01s/it, loss=1.234, tok/s=270, mem=1.9GiB]")
    }

    @Test(arguments: [nil, 80])
    func noProgressWhereNoneIsWanted(columns: Int?) {
        let terminal = FakeTerminal(columns: columns)
        var style = ConsoleStyle(lineInterval: 0)
        style.showsProgress = false
        let console = Console(output: terminal, style: style, now: terminal.now)
        let bar = console.startProgress("Train", total: 10)
        for position in 1...10 {
            terminal.wait(60)
            bar.update(to: position)
        }
        console.print("a line")
        bar.finish()
        #expect(terminal.written == "a line\n")
    }

    @Test(arguments: 1...120)
    func theBarNeverExceedsTheLine(_ columns: Int) {
        for position in [0, 1, 33, 100, 1000] {
            var meter = ProgressMeter("Val", total: 100, now: 0)
            meter.advance(to: position, now: 0.5)
            #expect(meter.text(columns: columns, now: 0.5).count <= columns)
        }
    }

    @Test func speedCountsOnlyThisProcess() {
        var meter = ProgressMeter("Train", total: 1000, initial: 900, now: 0)
        #expect(meter.text(columns: nil, now: 0) == "Train:  90% 900/1000 [00:00<?, ?it/s]")
        meter.advance(to: 950, now: 10)
        #expect(meter.text(columns: nil, now: 10) == "Train:  95% 950/1000 [00:10<00:10,  5.00it/s]")
        let empty = ProgressMeter("Val", total: 0, now: 0)
        #expect(empty.text(columns: nil, now: 0) == "Val: 100% 0/0 [00:00<?, ?it/s]")
    }

    @Test func linesAppearAboveTheBar() {
        let terminal = FakeTerminal(columns: 60)
        let console = Console(output: terminal, style: ConsoleStyle(), now: terminal.now)
        let bar = console.startProgress("Train", total: 4)
        terminal.wait(1)
        bar.update(to: 1)
        console.print("{'loss': 1.0}")
        let validation = console.startProgress("Val", total: 2)
        console.print("evaluating")
        validation.finish()
        terminal.wait(1)
        bar.update(to: 4)
        bar.finish()
        #expect(
            terminal.screen.map { String($0.prefix(13)) }
                == ["{'loss': 1.0}", "evaluating", "Val:   0%|   ", "Train: 100%|█", ""])
    }

    @Test func drawingIsThrottled() {
        let terminal = FakeTerminal(columns: 80)
        let console = Console(output: terminal, style: ConsoleStyle(redrawInterval: 0.1), now: terminal.now)
        let bar = console.startProgress("Train", total: 1000)
        for step in 1...1000 {
            terminal.wait(0.001)
            bar.update(to: step)
        }
        let drawings = terminal.written.components(separatedBy: "\r").count
        #expect((9...12).contains(drawings))
    }

    @Test func withoutATerminalLinesArePlainAndRare() {
        let output = FakeTerminal(columns: nil)
        let console = Console(output: output, style: ConsoleStyle(color: true, lineInterval: 30), now: output.now)
        let bar = console.startProgress("Train", total: 100)
        for step in 1...100 {
            output.wait(1)
            bar.update(to: step)
        }
        console.print("done")
        bar.finish()
        #expect(
            output.written.components(separatedBy: "\n") == [
                "Train:  30% 30/100 [00:30<01:10,  1.00it/s]", "Train:  60% 60/100 [01:00<00:40,  1.00it/s]",
                "Train:  90% 90/100 [01:30<00:10,  1.00it/s]", "done", "Train: 100% 100/100 [01:40<00:00,  1.00it/s]",
                "",
            ])
    }

    @Test func environmentsAreObeyed() {
        #expect(ConsoleStyle(environment: [:]).color)
        #expect(!ConsoleStyle(environment: ["NO_COLOR": "1"]).color)
        #expect(ConsoleStyle(environment: ["NO_COLOR": ""]).color)
        #expect(!ConsoleStyle(environment: ["TERM": "dumb"]).color)
        #expect(!ConsoleStyle(environment: ["LANG": "C"]).unicode)
        #expect(ConsoleStyle(environment: ["LANG": "C", "LC_ALL": "de_DE.UTF-8"]).unicode)
    }

    @Test func manyThreadsDoNotTearLines() async {
        let terminal = FakeTerminal(columns: 50)
        let console = Console(output: terminal, style: ConsoleStyle(redrawInterval: 0), now: terminal.now)
        let bar = console.startProgress("Train", total: 100)
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask {
                    console.print("line \(index)")
                    bar.update(to: index)
                }
            }
        }
        bar.finish()
        #expect(Set(terminal.screen.dropLast(2)) == Set((0..<50).map { "line \($0)" }))
    }
}
