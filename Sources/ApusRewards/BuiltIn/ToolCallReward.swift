import ApusJSON

/// 1 for an answer whose last `Action:` and `Action Input:` are those of the column `solution`.
///
/// The inputs are objects with the same keys and values, whatever their order and spacing, or texts of which ROUGE-L (F1 over
/// words) is at least 0.2. ms-swift's `toolbench`, which holds a share of at most 1 against 10 and 20 percent as if it were
/// percent, so that no two texts are the same there.
struct ToolCallReward: RewardFunction {
    let name = "ReactORM"

    func fault(of columns: JSONObject) -> ColumnFault? { Solution.fault(of: columns, for: "toolbench") }

    func rewards(of completions: [Completion]) throws -> [Double?] {
        try completions.map { completion in
            guard let solution = try completion.solution(for: "toolbench") else { return nil }
            return Self.agree(Call(answer: completion.text), Call(solution[...])) ? 1 : 0
        }
    }

    private struct Call {
        let action: String
        let input: String

        init(answer: String) {
            var text = answer[...]
            if text.hasSuffix("Observation:"), let end = text.firstRange(of: "Observation:") {
                text = text[..<end.lowerBound]
            }
            let plain = text.replacing("<|endoftext|>", with: "").replacing("<|im_end|>", with: "")
            self.init(plain.trimmed)
        }

        init(_ text: Substring) {
            let inputs = text.ranges(of: "Action Input:")
            input = inputs.last.map { String(text[$0.upperBound...].trimmed) } ?? "{}"
            guard let start = text.ranges(of: "Action:").last else {
                action = "none"
                return
            }
            let rest = text[start.upperBound...]
            action = String((rest.firstRange(of: "Action Input:").map { rest[..<$0.lowerBound] } ?? rest).trimmed)
        }
    }

    private static func agree(_ answer: Call, _ solution: Call) -> Bool {
        guard answer.action == solution.action else { return false }
        switch (try? JSONValue(parsing: answer.input), try? JSONValue(parsing: solution.input)) {
        case (.object(let answer)?, .object(let solution)?):
            return answer.count == solution.count
                && solution.allSatisfy { key, value in answer[key].map { isEqual($0, value) } ?? false }
        case (nil, nil): return overlap(answer.input, solution.input) >= 0.2
        default: return false
        }
    }

    /// Equality in which 1 and 1.0 are the same.
    private static func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let left = left.doubleValue, let right = right.doubleValue { return left == right }
        switch (left, right) {
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy(isEqual)
        case (.object(let left), .object(let right)):
            return left.count == right.count
                && left.allSatisfy { key, value in right[key].map { isEqual(value, $0) } ?? false }
        default: return left == right
        }
    }

    /// ROUGE-L: F1 of the longest common subsequence of words.
    private static func overlap(_ left: String, _ right: String) -> Double {
        var numbers: [Substring: Int] = [:]
        func words(_ text: String) -> [Int] {
            text.split(whereSeparator: \.isWhitespace).prefix(10_000).map { word in
                let number = numbers[word] ?? numbers.count
                numbers[word] = number
                return number
            }
        }
        let (left, right) = (words(left), words(right))
        guard !left.isEmpty, !right.isEmpty else { return 0 }
        var lengths = [Int](repeating: 0, count: right.count + 1)
        for word in left {
            var diagonal = 0
            for index in right.indices {
                let above = lengths[index + 1]
                lengths[index + 1] = word == right[index] ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        return 2 * Double(lengths[right.count]) / Double(left.count + right.count)
    }
}

extension Substring {
    /// Without white space at both ends.
    var trimmed: Substring {
        var text = drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

extension String {
    /// Without white space at both ends.
    var trimmed: Substring { self[...].trimmed }
}
