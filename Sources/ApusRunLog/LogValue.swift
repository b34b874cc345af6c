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
