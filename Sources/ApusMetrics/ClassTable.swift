import Foundation

extension ClassificationMetrics {
    /// A row of text for each class, with precision, recall, f1 and support, then the averages.
    ///
    /// - Parameter names: The classes' names by id; a class without one is called by its number.
    package func table(names: [String]) -> String {
        let head = ["class", "precision", "recall", "f1", "support"]
        var rows = (0..<classes).map { id in
            let name = id < names.count && !names[id].isEmpty ? names[id] : "\(id)"
            return Self.row(name, counts.scores(id), counts.support[id])
        }
        let total = counts.support.reduce(0, +)
        rows.append(Self.row("macro average", counts.macro(onlySeen: true), total))
        rows.append(Self.row("weighted average", counts.weighted, total))

        let widths = head.indices.map { column in
            (rows + [head]).map { TextColumns.width($0[column]) }.max() ?? 0
        }
        var lines = ([head] + rows).map { row in
            TextColumns.padded(row[0], to: widths[0])
                + zip(row, widths).dropFirst().map { "  " + String(repeating: " ", count: $1 - $0.count) + $0 }.joined()
        }
        // The averages stand apart from the classes.
        lines.insert("", at: 1 + classes)
        let undecided = predictions.count { $0 == nil }
        if undecided > 0 {
            lines.append("\n\(undecided) of \(labels.count) rows have a NaN score and are not counted.")
        }
        return lines.joined(separator: "\n")
    }

    private static func row(_ name: String, _ scores: ClassCounts.Scores, _ support: Int) -> [String] {
        [TextColumns.shortened(name, to: 40)]
            + [scores.precision, scores.recall, scores.f1].map { String(format: "%.4f", $0) } + ["\(support)"]
    }
}

/// Texts in the columns of a terminal, where an East Asian character takes two.
package enum TextColumns {
    package static func width(_ text: String) -> Int { text.reduce(0) { $0 + width($1) } }

    package static func padded(_ text: String, to columns: Int) -> String {
        text + String(repeating: " ", count: max(0, columns - width(text)))
    }

    /// The text on one line, cut with an ellipsis where it is wider than `columns`.
    package static func shortened(_ text: String, to columns: Int) -> String {
        let line = String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
        guard width(line) > columns else { return line }
        var (result, used) = ("", 1)
        for character in line {
            used += width(character)
            if used > columns { break }
            result.append(character)
        }
        return result + "…"
    }

    /// The wide blocks of Unicode's EastAsianWidth.txt, in outline: Hangul, CJK, kana, full-width forms, emoji.
    private static func width(_ character: Character) -> Int {
        guard let scalar = character.unicodeScalars.first else { return 0 }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
