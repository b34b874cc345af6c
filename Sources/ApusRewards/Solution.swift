package import ApusJSON

/// The column `solution`, which says what is right: a text, or a number as it is written.
package enum Solution {
    static let column = "solution"

    /// What a row says; nil where its column says nothing (null).
    ///
    /// - Parameter reward: Who asks.
    /// - Returns: What is wrong where the row has no such column, or something else in it.
    static func read(_ columns: JSONObject, for reward: String) -> Result<String?, Missing> {
        switch columns[column] {
        case .null?: .success(nil)
        case .string?, .int?, .double?: .success(columns[column].flatMap(text))
        case nil:
            .failure(
                Missing(
                    fault: ColumnFault(
                        reason: "no column \"\(column)\", with which \(reward) compares answers",
                        detail: columns.isEmpty
                            ? "it has no other columns" : "it has \(columns.keys.joined(separator: ", "))")))
        case let other?:
            .failure(
                Missing(
                    fault: ColumnFault(
                        reason: "the column \"\(column)\", with which \(reward) compares answers, is no text and "
                            + "no number",
                        detail: "it is \(other.serialized().prefix(80))")))
        }
    }

    /// A right answer as rewards read it; nil where a value is none.
    package static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .int, .double, .number: value.serialized()
        default: nil
        }
    }

    struct Missing: Error {
        let fault: ColumnFault
    }

    static func fault(of columns: JSONObject, for reward: String) -> ColumnFault? {
        guard case .failure(let missing) = read(columns, for: reward) else { return nil }
        return missing.fault
    }
}

extension Completion {
    /// What the question's row says is right.
    ///
    /// - Returns: nil where the column says nothing (null).
    /// - Throws: `RewardError` where the row has no such column, or something else in it.
    func solution(for reward: String) throws -> String? {
        do {
            return try Solution.read(columns, for: reward).get()
        } catch {
            throw RewardError(
                "\(reward): a row cannot be judged: \(error.fault.reason) (\(error.fault.detail)). Rename the column that "
                    + "holds the right answers (--columns '{\"answer\": \"solution\"}').", isOfRow: true)
        }
    }
}
