import ApusFiles
import ApusJSON
import Foundation
import SwiftProtobuf

/// Writes an offline run of SwanLab, `run-<time>-<id>/run-<id>.swanlab`, which `swanlab sync` uploads.
///
/// Names are those that the Trainer of transformers gives. SwanLab takes a step of a curve once: of several values of one
/// step the first.
final class SwanLabTracker: RunTracker {
    private let run: TrackedRun
    private let folder: String
    private let log: RecordLog
    /// Curves and their points count up.
    private var count: Int64 = 0
    private var known: Set<String> = []

    /// The numbers of what there is once.
    private enum Once: Int64 {
        case start = -1
        case finish = -2
        case configuration = -3
    }

    /// - Parameter reported: The rows that the run reported before it goes on here; nil where it begins.
    init(
        _ run: TrackedRun, reported: Int?, date: Date, timeZone: TimeZone = .current, fileSystem: any FileSystem
    ) throws {
        self.run = run
        folder = try run.makeFolder("run", date: date, timeZone: timeZone, fileSystem)
        log = try RecordLog(
            FilePath.join(folder, "run-\(run.id).swanlab"), mark: ":SWL", magic: 0xE1D6, version: 2,
            fileSystem: fileSystem)
        let path = FilePath.join(folder, "files/config.yaml")
        try fileSystem.writeAtomically(run.yaml { ["desc: ''", "sort: \($0)"] }, to: path)
        try add(.start, date) {
            $0.start.project = run.project
            $0.start.workspace = run.owner ?? ""
            $0.start.name = run.name ?? ""
            $0.start.id = run.id
            $0.start.resume = reported == nil ? .never : .allow
            $0.start.startedAt = Google_Protobuf_Timestamp(date: date)
        }
        try add(.configuration, date) {
            $0.save.name = "config"
            // The program that uploads may run elsewhere than in this folder.
            $0.save.sourcePath = URL(filePath: path).standardizedFileURL.path
            $0.save.type = .config
        }
        try log.flush()
    }

    var advice: String { "swanlab: this run is in \(folder); `swanlab sync \(folder)` uploads it" }

    func report(_ points: [(name: String, value: Double)], step: Int, date: Date) throws {
        for (name, value) in points + [("train/global_step", Double(step))] {
            if known.insert(name).inserted {
                try addCurve(date) {
                    $0.column.columnClass = .custom
                    $0.column.columnType = .scalar
                    $0.column.columnKey = name
                    $0.column.sectionName = name.contains("/") ? String(name.prefix { $0 != "/" }) : ""
                    $0.column.sectionType = .public
                }
            }
            try addCurve(date) {
                $0.scalar.key = name
                $0.scalar.step = Int64(step)
                $0.scalar.type = .scalar
                $0.scalar.timestamp = Google_Protobuf_Timestamp(date: date)
                $0.scalar.value.number = value
            }
        }
        try log.flush()
    }

    func finish(_ ending: RunEnding, date: Date) throws {
        let (state, error): (SwanLabRunState, String) =
            switch ending {
            case .finished: (.finished, "")
            case .stopped(let signal): (.aborted, StopSignal.name(of: signal))
            case .failed(let error): (.crashed, error)
            }
        try add(.finish, date) {
            $0.finish.state = state
            $0.finish.error = error
            $0.finish.finishedAt = Google_Protobuf_Timestamp(date: date)
        }
        try log.flush()
    }

    private func add(_ once: Once, _ date: Date, _ fill: (inout SwanLabRecord) -> Void) throws {
        try add(once.rawValue, date, fill)
    }

    private func addCurve(_ date: Date, _ fill: (inout SwanLabRecord) -> Void) throws {
        count += 1
        try add(count, date, fill)
    }

    private func add(_ number: Int64, _ date: Date, _ fill: (inout SwanLabRecord) -> Void) throws {
        var record = SwanLabRecord()
        record.num = number
        record.timestamp = Google_Protobuf_Timestamp(date: date)
        fill(&record)
        log.append(try record.serializedBytes())
    }
}
