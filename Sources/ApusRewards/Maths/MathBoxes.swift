/// What stands in `\boxed{…}`.
enum MathBoxes {
    private struct Box {
        let start: String.Index
        let end: String.Index
        let content: String
    }

    /// The content of the last box of a text, with that of boxes right before it: "`\boxed{1}` and `\boxed{2}`" are 1 and 2.
    ///
    /// - Returns: nil where there is no box.
    static func last(of text: String) -> String? {
        let boxes = boxes(of: text)
        guard let last = boxes.last else { return nil }
        var contents = [last.content]
        var next = last
        for box in boxes.dropLast().reversed() {
            guard box.end <= next.start, belong(text[box.end..<next.start], isOther: box.content != contents[0]) else {
                break
            }
            if box.content != contents[0] { contents.insert(box.content, at: 0) }
            next = box
        }
        return contents.joined(separator: ",")
    }

    /// The content of the first box with braces.
    static func first(of text: String) -> String? {
        boxes(of: text).first?.content
    }

    /// Whether boxes with this text between them are parts of one answer.
    private static func belong(_ between: Substring, isOther: Bool) -> Bool {
        let words = between.filter { !"$\\()[] \n\t".contains($0) }
        if words.count < between.filter({ !$0.isWhitespace }).count {
            // In formulas of their own, they are what is joined by a comma or a word.
            return [",", "and", "or", ",and", ",or", ""].contains(words)
        }
        if between.count < 10 { return true }
        let separates =
            between.contains(",") || between.contains(";") || between.contains(" and ") || between.contains(" or ")
        return isOther && between.count < 70 && separates
    }

    private static func boxes(of text: String) -> [Box] {
        var boxes: [Box] = []
        for name in ["\\boxed", "\\fbox"] {
            var place = text.startIndex
            while let found = text[place...].firstRange(of: name) {
                place = found.upperBound
                let rest = text[found.upperBound...].drop(while: \.isWhitespace)
                guard rest.first == "{" else {
                    // \boxed 5
                    let word = rest.prefix { !$0.isWhitespace && $0 != "$" && $0 != "." && $0 != "," && $0 != "\\" }
                    if !word.isEmpty {
                        boxes.append(Box(start: found.lowerBound, end: word.endIndex, content: String(word)))
                    }
                    continue
                }
                guard let end = closing(of: rest) else { continue }
                let content = rest[rest.index(after: rest.startIndex)..<end]
                boxes.append(
                    Box(start: found.lowerBound, end: text.index(after: end), content: String(content.trimmed)))
                // A box in a box is the same answer.
                place = text.index(after: end)
            }
        }
        return boxes.sorted { $0.start < $1.start }.map { box in
            guard let inner = last(of: box.content) else { return box }
            return Box(start: box.start, end: box.end, content: inner)
        }
    }

    /// Where the brace that a text begins with is closed; nil where it is not.
    private static func closing(of text: Substring) -> String.Index? {
        var depth = 0
        for index in text.indices {
            if text[index] == "{" { depth += 1 }
            if text[index] == "}" {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }
}
