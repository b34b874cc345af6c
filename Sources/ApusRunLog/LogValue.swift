import ApusJSON
import Foundation

/// How numbers are written into `logging.jsonl`.
enum LogValue {
    /// The double nearest to the value's decimal text with that many digits after the point, as Python's `round`.
    static func rounded(_ value: Double, digits: Int) -> Double {
        // Above 1e15 a double has no 8 digits after the point left to drop; NaN and infinity stay as they are.
        guard value.magnitude < 1e15 else { return value }
        return Double(String(format: "%.\(digits)f", value)) ?? value
    }

    /// The row as JSON can say it, which knows no infinity and no NaN: null stands there.
    static func storable(_ row: JSONObject) -> JSONObject {
        var stored = row
        for (key, value) in row {
            if case .double(let number) = value, !number.isFinite { stored[key] = .null }
        }
        return stored
    }

    /// What a line leaves out first where it would be wider than the terminal.
    private static let leastTold = [
        "elapsed_time", "epoch", RunLog.memoryKey, "eval_steps_per_second", "eval_samples_per_second", "eval_runtime",
        RunLog.speedKey, "remaining_time", "grad_norm",
    ]

    /// The row as a line that a terminal shows in one piece: with fewer digits, and without what tells least, where it is
    /// too narrow for all.
    ///
    /// - Parameter columns: The width of the terminal; nil where there is none.
    static func consoleLine(_ row: JSONObject, columns: Int?) -> String {
        let whole = consoleLine(row)
        guard let columns, whole.count >= columns else { return whole }
        var short = JSONObject()
        for (key, value) in row {
            let name = key == RunLog.stepKey ? "step" : key
            if case .double(let number) = value, number.isFinite {
                short[name] = .double(Double(String(format: "%.4g", number)) ?? number)
            } else {
                short[name] = value
            }
        }
        var line = consoleLine(short)
        let others = short.keys.dropFirst().filter { $0 != "step" }.reversed() + ["step"]
        for key in leastTold + others where line.count >= columns {
            short[key] = nil
            line = consoleLine(short)
        }
        return line
    }

    /// A row as ms-swift prints it to the console, which is how Python prints a dictionary:
    /// `{'loss': 1.43502216, 'epoch': 0.5}`.
    static func consoleLine(_ row: JSONObject) -> String {
        let parts = row.map { key, value in
            let text =
                switch value {
                case .string(let string): "'\(string)'"
                case .null: "None"
                case .bool(let flag): flag ? "True" : "False"
                case .double(let number) where number.isNaN: "nan"
                case .double(let number) where number.isInfinite: number < 0 ? "-inf" : "inf"
                default: value.serialized()
                }
            return "'\(key)': \(text)"
        }
        return "{" + parts.joined(separator: ", ") + "}"
    }
}
