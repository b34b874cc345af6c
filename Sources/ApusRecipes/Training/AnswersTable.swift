import ApusJSON
import ApusMetrics
import ApusRewards
import ApusTraining
import Foundation

extension RolloutMaker.Report {
    /// The first answers with their questions, rewards and advantages, as a table that is no wider than the terminal.
    ///
    /// - Parameters:
    ///   - width: Of the terminal; nil where there is none.
    ///   - limit: The most answers.
    func table(step: Int, width: Int?, limit: Int = 4) -> String {
        let width = max(20, width ?? 120)
        let shown = completions.indices.prefix(limit)
        var numbers = rewards.map { name, values in
            [name] + shown.map { values[$0].isNaN ? "-" : String(format: "%.3g", values[$0]) }
        }
        numbers.append(["advantage"] + shown.map { String(format: "%+.2f", advantages[$0]) })
        // Of many rewards those that have room beside texts that can be read; all stand in `completions.jsonl`.
        var hidden = 0
        while Self.room(beside: numbers, in: width) < Self.leastRoom, numbers.count > 1 {
            numbers.remove(at: numbers.count - 2)
            hidden += 1
        }
        let room = Self.room(beside: numbers, in: width)
        let questions = ["prompt"] + shown.map { Self.line(completions[$0].question) }
        let answers = ["completion"] + shown.map { Self.line(completions[$0].text) }
        let asked = min(questions.map(TextColumns.width).max() ?? 0, max(room / 3, room - Self.widest(answers)))
        let said = min(Self.widest(answers), room - asked)
        let title =
            "answers of step \(step) (\(shown.count) of \(completions.count))"
            + (hidden == 0 ? ":" : ", \(hidden) reward\(hidden == 1 ? "" : "s") left out:")
        let lines = (0...shown.count).map { row in
            let texts = [(questions[row], asked), (answers[row], said)].map {
                TextColumns.padded(TextColumns.shortened($0, to: $1), to: $1)
            }
            let values = numbers.map { column in
                let cell = TextColumns.shortened(column[row], to: Self.width(of: column))
                return String(repeating: " ", count: Self.width(of: column) - TextColumns.width(cell)) + cell
            }
            return "  " + (texts + values).joined(separator: "  ")
        }
        return ([title] + lines).map { TextColumns.shortened($0, to: width) }.joined(separator: "\n")
    }

    /// What two texts have together so that they can be read.
    private static let leastRoom = 24

    /// What is left for the question and the answer.
    private static func room(beside numbers: [[String]], in width: Int) -> Int {
        max(4, width - 4 - numbers.reduce(0) { $0 + 2 + Self.width(of: $1) })
    }

    /// Of a column of numbers, whose name may be long.
    private static func width(of column: [String]) -> Int {
        max(min(TextColumns.width(column[0]), 12), widest(Array(column.dropFirst())))
    }

    private static func widest(_ texts: [String]) -> Int { texts.map(TextColumns.width).max() ?? 0 }

    /// A text on one line, without what would move a terminal's cursor.
    private static func line(_ text: String) -> String {
        let flat = text.split(whereSeparator: \.isNewline).joined(separator: " ⏎ ")
        let scalars = flat.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }
        return String(String.UnicodeScalarView(scalars))
    }
}

extension ApusRewards.Completion {
    /// The last words before the answer.
    fileprivate var question: String { messages.last?["content"]?.stringValue ?? "" }
}
