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
    static func last(of text: String) -> String? { last(of: text, depth: 0) }

    private static func last(of text: String, depth: Int) -> String? {
        let boxes = boxes(of: text, depth: depth)
        guard let last = boxes.last else { return nil }
        var contents = [last.content]
        var next = last
        for box in boxes.dropLast().reversed() {
            let isOther = box.content != contents.last
            guard box.end <= next.start, belong(text[box.end..<next.start], isOther: isOther) else { break }
            if isOther { contents.append(box.content) }
            next = box
        }
        return contents.reversed().joined(separator: ",")
    }

    /// The content of the first box with braces.
    static func first(of text: String) -> String? {
        boxes(of: text, depth: 0).first?.content
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

    /// The outermost boxes in order, with the content of the last box in each.
    ///
    /// - Parameter depth: How many boxes are around the text; so deep that it would overflow the stack they are not looked for.
    private static func boxes(of text: String, depth: Int) -> [Box] {
        guard depth < 20, text.contains("\\boxed") || text.contains("\\fbox") else { return [] }
        let ends = closings(of: text)
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
                guard let end = ends[rest.startIndex] else { continue }
                let content = String(rest[rest.index(after: rest.startIndex)..<end].trimmed)
                // A box in a box is the same answer.
                let inner = last(of: content, depth: depth + 1) ?? content
                boxes.append(Box(start: found.lowerBound, end: text.index(after: end), content: inner))
                place = text.index(after: end)
            }
        }
        return boxes.sorted { $0.start < $1.start }
    }

    /// Where each brace is closed.
    private static func closings(of text: String) -> [String.Index: String.Index] {
        var open: [String.Index] = []
        var ends: [String.Index: String.Index] = [:]
        for index in text.indices {
            if text[index] == "{" { open.append(index) }
            if text[index] == "}", let start = open.popLast() { ends[start] = index }
        }
        return ends
    }
}
