import ApusFiles
import ApusJSON
import Foundation
import SwiftProtobuf

/// Writes an offline run of Weights & Biases, `offline-run-<time>-<id>/run-<id>.wandb`, which `wandb sync` uploads.
///
/// Records, names and the axis `train/global_step` are those that the Trainer of transformers makes.
final class WandbTracker: RunTracker {
    private let run: TrackedRun
    private let folder: String
    private let fileSystem: any FileSystem
    private let log: RecordLog
    private let start: Date
    private var count: Int64 = 0
    private var place: Int64
    private var summary = JSONObject()

    private static let axis = "train/global_step"

    /// - Parameter reported: The rows that the run reported before it goes on here; nil where it begins.
    init(
        _ run: TrackedRun, reported: Int?, date: Date, timeZone: TimeZone = .current, host: String = HostName.current,
        fileSystem: any FileSystem
    ) throws {
        (self.run, self.fileSystem, start, place) = (run, fileSystem, date, Int64(reported ?? 0))
        folder = try run.makeFolder("offline-run", date: date, timeZone: timeZone, fileSystem)
        log = try RecordLog(
            FilePath.join(folder, "run-\(run.id).wandb"), mark: ":W&B", magic: 0xBEE1, version: 0,
            fileSystem: fileSystem)
        try fileSystem.writeAtomically(run.yaml(), to: FilePath.join(folder, "files/config.yaml"))
        try add {
            $0.header.versionInfo.producer = "apus"
            $0.header.versionInfo.minConsumer = "0.0.1"
        }
        try add { record in
            record.run.runID = run.id
            record.run.entity = run.owner ?? ""
            record.run.project = run.project
            record.run.config.update = run.config.map { name, value in
                WandbItem.with {
                    $0.key = name
                    $0.valueJson = value.serialized()
                }
            }
            record.run.displayName = run.name ?? ""
            record.run.host = host
            record.run.startingStep = place
            record.run.startTime = Google_Protobuf_Timestamp(date: date)
            record.run.resumed = reported != nil
        }
        try add {
            $0.metric.name = Self.axis
            $0.metric.options.defined = true
        }
        try add {
            $0.metric.globName = "*"
            $0.metric.stepMetric = Self.axis
            $0.metric.options.stepSync = true
            $0.metric.options.defined = true
        }
        try log.flush()
    }

    var advice: String { "wandb: this run is in \(folder); `wandb sync \(folder)` uploads it" }

    func report(_ points: [(name: String, value: Double)], step: Int, date: Date) throws {
        var values: [(String, JSONValue)] = points.map { ($0.name, .double($0.value)) }
        values.append((Self.axis, .int(step)))
        values.append(("_timestamp", .double(date.timeIntervalSince1970)))
        values.append(("_runtime", .double(date.timeIntervalSince(start))))
        values.append(("_step", .int(Int(place))))
        let items = values.map { name, value in
            WandbItem.with {
                $0.nestedKey = [name]
                $0.valueJson = value.serialized()
            }
        }
        for (name, value) in values { summary[name] = value }
        try add { $0.summary.update = items }
        try add {
            $0.history.item = items
            $0.history.step.num = place
        }
        place += 1
        try log.flush()
    }

    func finish(_ ending: RunEnding, date: Date) throws {
        let code: Int32 =
            switch ending {
            case .finished: 0
            // What the service shows as killed.
            case .stopped: 255
            case .failed: 1
            }
        let text = JSONValue.object(summary).serialized()
        try fileSystem.writeAtomically(Data(text.utf8), to: FilePath.join(folder, "files/wandb-summary.json"))
        try add {
            $0.exit.exitCode = code
            $0.exit.runtime = Int32(clamping: Int(max(0, date.timeIntervalSince(start))))
        }
        try log.flush()
    }

    private func add(_ fill: (inout WandbRecord) -> Void) throws {
        count += 1
        var record = WandbRecord()
        record.num = count
        fill(&record)
        log.append(try record.serializedBytes())
    }
}
