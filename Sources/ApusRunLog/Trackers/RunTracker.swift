import ApusFiles
package import ApusJSON
import Foundation

/// A service that a run is reported to through files, which a program of the service uploads when its user wants that.
///
/// Nothing is sent.
protocol RunTracker: AnyObject {
    /// What the user should know at the end.
    var advice: String { get }

    /// - Parameter points: Values by the names that the service shows, such as `train/loss`.
    func report(_ points: [(name: String, value: Double)], step: Int, date: Date) throws

    func finish(_ ending: RunEnding, date: Date) throws
}

/// How a run ended.
package enum RunEnding: Sendable, Equatable {
    case finished
    /// Somebody asked for it.
    case stopped(signal: Int32)
    case failed(String)
}

/// What a service is told of a run.
package struct TrackedRun: Sendable {
    /// The same for a run and what goes on from its checkpoints: eight letters and digits.
    package var id: String
    package var project: String
    /// Who the project belongs to; nil is the user.
    package var owner: String?
    /// What the run is called; nil leaves it to the service.
    package var name: String?
    /// The folder of all runs.
    package var folder: String
    package var config: JSONObject

    package init(
        id: String, project: String, owner: String? = nil, name: String? = nil, folder: String, config: JSONObject
    ) {
        (self.id, self.project, self.owner, self.name) = (id, project, owner, name)
        (self.folder, self.config) = (folder, config)
    }

    /// Makes the folder `<prefix>-<YYYYMMDD_hhmmss>-<id>` with `files` in it.
    ///
    /// A run that goes on within a second takes the next one.
    func makeFolder(_ prefix: String, date: Date, timeZone: TimeZone, _ fileSystem: any FileSystem) throws -> String {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = timeZone
        try fileSystem.createDirectories(folder)
        for second in 0... {
            let parts = calendar.dateComponents(
                [.year, .month, .day, .hour, .minute, .second], from: date.addingTimeInterval(Double(second)))
            let time = String(
                format: "%04d%02d%02d_%02d%02d%02d", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0,
                parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
            let path = FilePath.join(folder, "\(prefix)-\(time)-\(id)")
            do {
                try fileSystem.createDirectory(path)
            } catch let error as FileError where error.code == EEXIST {
                continue
            }
            try fileSystem.createDirectory(FilePath.join(path, "files"))
            return path
        }
        return folder
    }

    /// The configuration as YAML, one entry behind the other.
    ///
    /// - Parameter facts: What stands beside the value of an entry.
    func yaml(_ facts: (_ place: Int) -> [String] = { _ in [] }) -> Data {
        let lines = config.enumerated().flatMap { place, entry in
            ["\(JSONValue.string(entry.key).serialized()):"]
                + (facts(place) + ["value: \(Self.yaml(entry.value))"]).map { "  \($0)" }
        }
        return Data((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// JSON is YAML but for numbers: in YAML 1.1 one with an exponent has a point, and what is no number a word.
    private static func yaml(_ value: JSONValue) -> String {
        switch value {
        case .double(let number) where number.isNaN: return ".nan"
        case .double(let number) where number.isInfinite: return number < 0 ? "-.inf" : ".inf"
        case .double:
            let text = value.serialized()
            return text.contains(".") ? text : text.replacing("e", with: ".0e")
        case .array(let values): return "[\(values.map(yaml).joined(separator: ", "))]"
        case .object(let entries):
            let parts = entries.map { "\(JSONValue.string($0.key).serialized()): \(yaml($0.value))" }
            return "{\(parts.joined(separator: ", "))}"
        default: return value.serialized()
        }
    }
}
