import ApusJSON
import Foundation

/// Numbers for the layers whose paths match patterns, as PEFT's `rank_pattern` and `alpha_pattern` give them.
struct PathPatterns: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        let pattern: String
        let value: Double
    }

    private var entries: [Entry] = []

    init() {}

    /// A number for each of some paths, in order.
    init(_ values: [(path: String, value: Double)]) {
        entries = values.map { Entry(pattern: $0.path, value: $0.value) }
    }

    /// The same patterns with numbers so many times as large.
    func multiplied(by factor: Double) -> PathPatterns {
        PathPatterns(entries.map { ($0.pattern, $0.value * factor) })
    }

    /// Puts a pattern before the others, whose number counts where it matches.
    mutating func begin(with pattern: String, _ value: Double) {
        entries.removeAll { $0.pattern == pattern }
        entries.insert(Entry(pattern: pattern, value: value), at: 0)
    }

    /// - Parameter ofCounts: Whether only whole numbers will do.
    init(_ reader: ConfigurationReader, _ name: String, ofCounts: Bool) throws {
        let object = try reader.optional(name, "an object", \.objectValue) ?? JSONObject()
        entries = try object.map { key, value in
            guard let number = value.doubleValue, number.isFinite, number > 0,
                !ofCounts || Int(exactly: number).map(AdapterOption.counts.contains) == true
            else {
                throw reader.refusal(
                    "\"\(name)\" of \"\(key)\" must be a positive \(ofCounts ? "whole " : "")number, it is "
                        + value.serialized())
            }
            guard (try? NSRegularExpression(pattern: "^(?:(.*\\.)?(\(key)))$")) != nil else {
                throw reader.refusal("\"\(name)\": \"\(key)\" is not a regular expression that can be read here")
            }
            return Entry(pattern: key, value: number)
        }
    }

    /// PEFT takes the first key that matches the whole path or its end after a dot.
    subscript(path: String) -> Double? {
        entries.first { entry in
            ModulePaths.names(path).contains { TargetModules.fullMatch("(.*\\.)?(\(entry.pattern))", $0) }
        }?.value
    }

    var values: [Double] { entries.map(\.value) }

    var json: JSONValue {
        var object = JSONObject()
        for entry in entries { object[ModulePaths.inTransformers(entry.pattern)] = pythonNumber(entry.value) }
        return .object(object)
    }
}
