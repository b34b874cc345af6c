package import ApusFiles
package import ApusJSON
package import Foundation

/// What a run tells the world: rows in `logging.jsonl`, TensorBoard curves, console lines with a progress bar, and at
/// the end one picture per metric.
///
/// Rows, names and their order are those of ms-swift.
package final class RunLog {
    package struct Options {
        /// The step at which the run ends.
        package var maxSteps: Int
        /// The step of the checkpoint that the run continues from; what an earlier process logged after it is dropped.
        package var resumingAfter: Int?
        package var writesTensorBoard = true
        /// Where the TensorBoard files go; nil is `runs` in the run's folder.
        package var tensorBoardFolder: String?
        /// What Weights & Biases is told, where it is.
        package var wandb: TrackedRun?
        /// What SwanLab is told, where it is.
        package var swanLab: TrackedRun?
        package var drawsCurves = true
        /// Sees each row: the step, the steps in all, the metrics.
        package var onRecord: ((_ step: Int, _ steps: Int, _ metrics: [String: Double]) -> Void)?

        package init(maxSteps: Int, resumingAfter: Int? = nil) {
            self.maxSteps = maxSteps
            self.resumingAfter = resumingAfter
        }
    }

    /// Where the time comes from.
    package struct Clock: Sendable {
        /// Seconds; never goes back.
        package var now: @Sendable () -> Double
        package var date: @Sendable () -> Date

        package init(
            now: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
            date: @escaping @Sendable () -> Date = { Date() }
        ) {
            self.now = now
            self.date = date
        }
    }

    package let console: Console
    /// Every row so far, each with its `step`: what `trainer_state.json` calls `log_history`.
    package private(set) var history: [JSONObject] = []

    private let options: Options
    private let clock: Clock
    private let fileSystem: any FileSystem
    package let imagesPath: String
    private let rows: JSONLines
    private let tensorBoard: TensorBoardWriter?
    private let trackers: [any RunTracker]
    private let bar: ProgressBar
    private let startTime: Double
    private let startStep: Int
    private var step: Int
    private var curves = Curves()
    private var memory: Double?
    /// Rows that a full or broken disk did not take yet.
    private var unwritten: [JSONObject] = []
    private var hasFailed = false
    private var resident: (bytes: Int64?, read: Double) = (nil, -.infinity)

    /// Opens the files of `folder` and shows the bar.
    package init(
        _ folder: RunFolder, _ options: Options, console: Console, clock: Clock = Clock(),
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        self.console = console
        self.options = options
        self.clock = clock
        self.fileSystem = fileSystem
        imagesPath = folder.imagesPath
        startStep = options.resumingAfter ?? 0
        step = startStep

        var earlier: [(row: JSONObject, step: Int)] = []
        rows = try JSONLines(
            folder.loggingPath, fileSystem: fileSystem,
            keeping: options.resumingAfter.map { last in { Self.range(of: $0, upTo: last) } },
            visit: { row in
                if options.resumingAfter != nil, let step = Self.step(of: row) { earlier.append((row, step)) }
            })
        tensorBoard =
            options.writesTensorBoard
            ? try TensorBoardWriter(
                options.tensorBoardFolder ?? folder.tensorBoardPath, resumingAfter: options.resumingAfter,
                date: clock.date(),
                fileSystem: fileSystem) : nil
        let reported = options.resumingAfter.map { _ in earlier.count }
        var trackers: [any RunTracker] = []
        if let run = options.wandb {
            trackers.append(
                try WandbTracker(run, reported: reported, date: clock.date(), fileSystem: fileSystem))
        }
        if let run = options.swanLab {
            trackers.append(
                try SwanLabTracker(run, reported: reported, date: clock.date(), fileSystem: fileSystem))
        }
        self.trackers = trackers
        startTime = clock.now()
        bar = console.startProgress("Train", total: options.maxSteps, initial: startStep)
        for line in rows.damagedLines { console.print("\(folder.loggingPath):\(line): not JSON; left as it is") }
        for (row, step) in earlier {
            let metrics = row.compactMap { key, value in value.doubleValue.map { (key, $0) } }
            curves.add(metrics, step: step)
            history.append(Self.withStep(LogValue.storable(row), step))
        }
    }

    /// Moves the bar: `step` optimizer steps are done.
    ///
    /// - Parameter memory: The bytes that are held now where the model is; nil for the memory of the process.
    package func advance(
        to step: Int, loss: Double? = nil, tokensPerSecond: Double? = nil, memory: () -> Int64? = { nil }
    ) {
        self.step = step
        var postfix: [(String, String)] = []
        if let loss { postfix.append(("loss", String(format: "%.4g", loss))) }
        if let tokensPerSecond { postfix.append(("tok/s", String(format: "%.0f", tokensPerSecond))) }
        let now = clock.now()
        if now - resident.read >= 0.5 { resident = (memory() ?? ResidentMemory.current, now) }
        if let bytes = resident.bytes { postfix.append(("mem", ByteCount.format(bytes))) }
        bar.update(to: step, postfix: postfix)
    }

    /// Logs one event: a row, a console line, and a point on the curve of every metric.
    ///
    /// - Parameters:
    ///   - metrics: In the order of the row. Names that start with `eval_` go to the curves `eval/…`, others to `train/…`.
    ///   - memory: The most device memory held so far, in GiB; nil on the CPU.
    package func record(
        step: Int, epoch: Double, metrics: [(name: String, value: Double)], memory: Double? = nil
    ) {
        self.step = step
        if let memory { self.memory = max(self.memory ?? 0, memory) }
        let elapsed = clock.now() - startTime
        let secondsPerStep = step > startStep ? elapsed / Double(step - startStep) : 0

        var row = JSONObject()
        for (name, value) in metrics { row[name] = .double(LogValue.rounded(value, digits: 8)) }
        row["epoch"] = .double(LogValue.rounded(epoch, digits: 8))
        row[Self.stepKey] = .string("\(step)/\(options.maxSteps)")
        row["elapsed_time"] = .string(DurationFormat.words(elapsed))
        row["remaining_time"] = .string(
            DurationFormat.words(secondsPerStep * Double(max(0, options.maxSteps - step))))
        if let memory = self.memory { row[Self.memoryKey] = .double(LogValue.rounded(memory, digits: 2)) }
        row[Self.speedKey] = .double(LogValue.rounded(secondsPerStep, digits: 6))

        let stored = LogValue.storable(row)
        history.append(Self.withStep(stored, step))
        console.print(LogValue.consoleLine(row, columns: console.columns))
        options.onRecord?(step, options.maxSteps, Dictionary(metrics) { first, _ in first })
        unwritten.append(stored)
        trying { try writeRows() }
        var points = metrics + [("epoch", epoch), (Self.speedKey, secondsPerStep)]
        if let memory = self.memory { points.append((Self.memoryKey, memory)) }
        curves.add(points, step: step)
        if let tensorBoard {
            let date = clock.date()
            trying {
                for (name, value) in points {
                    try tensorBoard.scalar(Curves.tag(of: name), value, step: step, date: date)
                }
                try tensorBoard.flush()
            }
        }
        for tracker in trackers {
            let named = points.map { (Curves.tag(of: $0.name), $0.value) }
            trying { try tracker.report(named, step: step, date: clock.date()) }
        }
    }

    private func writeRows() throws {
        while let row = unwritten.first {
            try rows.append(row)
            unwritten.removeFirst()
        }
    }

    /// Does something for the log; that it fails is said once, and is no reason to end a run.
    ///
    /// Rows that could not be written follow with the next that can.
    private func trying(_ write: () throws -> Void) {
        do {
            try write()
        } catch {
            if !hasFailed { console.print("the log cannot be written: \(error). The run goes on.") }
            hasFailed = true
        }
    }

    /// As `trying`, at the end, where there is no next time and each failure is said.
    private func ending(_ what: String, _ write: () throws -> Void) {
        do {
            try write()
        } catch {
            console.print("warning: \(what) cannot be completed: \(error). What was trained is not touched by that.")
        }
    }

    /// Ends the log: draws the pictures and writes the last row, which is returned.
    ///
    /// What cannot be written is said, and is no reason to call a run failed that trained.
    ///
    /// - Parameter summary: What the row starts with: `model_parameter_info`, …, `best_metric`.
    @discardableResult
    package func finish(summary: JSONObject, _ ending: RunEnding = .finished) -> JSONObject {
        bar.finish()
        var row = summary
        row["global_step"] = .int(step)
        row["log_history"] = .array(history.map { .object($0) })
        if let memory { row["memory"] = .double(LogValue.rounded(memory, digits: 2)) }
        unwritten.append(LogValue.storable(row))
        self.ending("logging.jsonl") {
            try writeRows()
            try rows.synchronize()
        }
        self.ending("the file of TensorBoard") { try tensorBoard?.flush() }
        for tracker in trackers {
            self.ending("what a tracker is told") { try tracker.finish(ending, date: clock.date()) }
            console.print(tracker.advice)
        }
        if options.drawsCurves { self.ending("the pictures of the curves") { try drawCurves() } }
        return row
    }

    /// Draws the pictures of all metrics so far.
    package func drawCurves() throws {
        try fileSystem.createDirectories(imagesPath)
        for curve in curves.pictures {
            let path = FilePath.join(imagesPath, LossCurve.fileName(of: curve.title))
            guard let png = curve.png() else {
                console.print("\(path): Cairo could not draw it; the values are in logging.jsonl")
                continue
            }
            try fileSystem.writeAtomically(png, to: path)
        }
    }

    static let stepKey = "global_step/max_steps"
    static let memoryKey = "memory(GiB)"
    static let speedKey = "train_speed(s/it)"

    /// The rows of the run that is resumed after a step, all rows before them staying in the file.
    ///
    /// Where two runs wrote into one folder, the steps begin anew; the last run is the one that goes on. The summary of
    /// a run that had ended goes too: this one writes its own.
    private static func range(of rows: [JSONObject], upTo last: Int) -> Range<Int> {
        var (start, previous) = (0, 0)
        for (index, row) in rows.enumerated() {
            let isSummary = row["log_history"] != nil
            guard let step = step(of: row) ?? (isSummary ? .max : nil) else { continue }
            if step < previous { start = index }
            previous = step
        }
        let own = rows[start...]
        let end = own.firstIndex { $0["log_history"] != nil || (step(of: $0) ?? 0) > last } ?? rows.count
        return start..<end
    }

    /// The 5 of `"global_step/max_steps": "5/100"`.
    private static func step(of row: JSONObject) -> Int? {
        row[stepKey]?.stringValue.flatMap { $0.split(separator: "/").first }.flatMap { Int($0) }
    }

    private static func withStep(_ row: JSONObject, _ step: Int) -> JSONObject {
        var row = row
        row["step"] = .int(step)
        return row
    }
}
