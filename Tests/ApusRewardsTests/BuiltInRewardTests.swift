import ApusJSON
import Foundation
import Testing

@testable import ApusRewards

/// Built-in rewards against ms-swift's own (Scripts/fixtures/make_rewards.py).
struct BuiltInRewardTests {
    private let fixture: JSONValue

    init() throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/rewards/rewards.json")
        fixture = try JSONValue(parsing: String(decoding: Data(contentsOf: url), as: UTF8.self))
    }

    private func rows(_ key: String) throws -> [[JSONValue]] {
        try #require(fixture[key]?.arrayValue).compactMap(\.arrayValue)
    }

    private func completion(_ text: String, tokens: Int = 0, solution: String? = nil) -> Completion {
        Completion(
            messages: [], text: text, tokens: [Int32](repeating: 1, count: tokens),
            columns: solution.map { ["solution": .string($0)] } ?? [:])
    }

    /// Each answer is judged as by math_verify, but for those of which these tests say why not.
    @Test func answersInMathematics() throws {
        let rows = try rows("accuracy")
        var (equal, bare): (Int, Int) = (0, 0)
        var others: [String] = []
        for row in rows {
            let (solution, answer) = (try #require(row[1].stringValue), try #require(row[2].stringValue))
            let theirs = try #require(row[3].doubleValue) == 1
            let ours = MathAccuracy.isRight(answer, solution: solution)
            if ours == theirs {
                equal += 1
            } else if ours, isBare(solution) || isBare(answer) {
                bare += 1
            } else {
                others.append("\(solution) | \(answer) \(ours ? "right" : "wrong")")
            }
        }
        #expect((rows.count, equal, bare) == (1035, 892, 120))
        #expect(others.sorted() == Self.others.sorted(), "\(others.joined(separator: "\n"))")
    }

    /// Decimals are rounded beside fractions and roots, and not beside whole numbers.
    @Test(arguments: [
        ("$0$", "0.0000001", false), ("$1$", "1.0000001", false), ("$\\sqrt{4}$", "2.0000001", false),
        ("$1$", "1.000", true), ("$0.0001234$", "0.00012341", true), ("$0.0000012$", "0.0000014", false),
        ("$\\frac{1}{3}$", "0.333333", true), ("$\\frac{1}{3}$", "0.33333", false),
        ("$\\sqrt{2}$", "1.414214", true), ("$\\sqrt{4}$", "2.0", true), ("$1.5$", "1.5000001", true),
    ])
    func decimals(_ solution: String, _ answer: String, _ isRight: Bool) {
        #expect(MathAccuracy.isRight("\\boxed{\(answer)}", solution: solution) == isRight)
    }

    /// A formula that stands outside of `$…$`: math_verify takes a number out of it or nothing, Apus reads it as a whole.
    private func isBare(_ text: String) -> Bool {
        if let answer = text.firstMatch(of: /<answer>(.*)<\/answer>/) { return isBare(String(answer.1)) }
        return !text.contains("$") && !text.contains("boxed") && Double(text) == nil
    }

    /// Answers of which both say something else, and what Apus says.
    private static let others: [String] = [
        #"+72 | The final answer is $72$. right"#,
        #"+72 | So it is $\boxed{72\text{ apples}}$. right"#,
        #"$072$ | <answer>+72</answer> right"#,
        #"\boxed{72 cm} | <answer>+72</answer> right"#,
        #"$1234567$ | So it is $\boxed{1,234,567}$. right"#,
        #"0.5 | The final answer is $\frac12$. right"#,
        #"$\frac14$ | So it is $\boxed{\frac14}$. right"#,
        #"\boxed{33\frac{1}{3}\%} | So it is $\boxed{33\frac{1}{3}\%}$. right"#,
        #"\$5 | <answer>5</answer> right"#,
        #"$2^{1/2}$ | \boxed{\sqrt2} right"#,
        #"\boxed{(\frac12, 3)} | The final answer is $(\frac12, 3)$. right"#,
        #"\boxed{x\in[1,2]} | So it is $\boxed{x\in[1,2]}$. right"#,
        #"\boxed{B} | So it is $\boxed{\text{B}}$. right"#,
        #"$\text{B}$ | So it is $\boxed{\text{B}}$. right"#,
        #"72 | \boxed 72 right"#,
        #"$\frac{3}{4}$ and $2$ | \boxed{2, \frac34} right"#,
        #"72 | \boxed{72.} right"#,
        #"12 cm^2 | The final answer is $12 square feet$. wrong"#,
        #"2x+1 | \boxed{2} wrong"#,
        #"2\sqrt{3} | \boxed{2} wrong"#,
        #"$11_2$ | \boxed{11} wrong"#,
        #"$\sum_{k=1}^{3} k$ | \boxed{6} wrong"#,
        #"$\lim_{x\to 0} x$ | \boxed{0} wrong"#,
    ]

    @Test func formats() throws {
        let rows = try rows("format")
        let answers = rows.map { completion($0[0].stringValue ?? "") }
        #expect(FormatReward().rewards(of: answers) == rows.map { $0[1].doubleValue })
        #expect(ReActFormat().rewards(of: answers) == rows.map { $0[2].doubleValue })
        #expect(rows.count { $0[1].doubleValue == 1 } > 5 && rows.count { $0[2].doubleValue == 1 } > 5)
    }

    @Test func repetitions() throws {
        var other = RewardOptions()
        (other.repetitionNGrams, other.repetitionMaxPenalty) = (2, -0.7)
        let rows = try rows("repetition")
        let answers = rows.map { completion($0[0].stringValue ?? "") }
        for (column, options) in [(1, RewardOptions()), (2, other)] {
            let rewards = try RepetitionPenalty(options).rewards(of: answers)
            for (row, reward) in zip(rows, rewards) {
                let (ours, theirs) = (try #require(reward), try #require(row[column].doubleValue))
                #expect(abs(ours - theirs) < 1e-15, "\(row)")
            }
        }
    }

    @Test func lengths() throws {
        var options = RewardOptions()
        (options.cosineMaxLen, options.softMaxLength, options.softCacheLength) = (200, 100, 20)
        for row in try rows("lengths") {
            let count = try #require(row[0].intValue)
            let right = completion(#"\boxed{5}"#, tokens: count, solution: "5")
            let wrong = completion(#"\boxed{6}"#, tokens: count, solution: "5")
            let cosine = try CosineReward(options).rewards(of: [right, wrong])
            let overlong = try SoftOverlong(options).rewards(of: [right])
            for (ours, theirs) in zip(cosine + overlong, row.dropFirst()) {
                let (ours, theirs) = (try #require(ours), try #require(theirs.doubleValue))
                #expect(abs(ours - theirs) < 1e-15, "\(row)")
            }
        }
    }

    @Test func toolCalls() throws {
        for row in try rows("toolbench") {
            let answer = completion(row[0].stringValue ?? "", solution: row[1].stringValue)
            #expect(try ToolCallReward().rewards(of: [answer]) == [row[2].doubleValue], "\(row)")
        }
    }

    /// Texts are compared where they are no JSON; in ms-swift they are never the same.
    @Test func toolCallsInWords() throws {
        func reward(_ answer: String, _ solution: String) throws -> Double? {
            let (answer, solution) = ("Action: a\nAction Input: \(answer)", "Action: a\nAction Input: \(solution)")
            return try ToolCallReward().rewards(of: [completion(answer, solution: solution)])[0]
        }
        #expect(try reward("two cats", "two cats") == 1)
        #expect(try reward("two cats in a house", "two dogs") == 1)
        #expect(try reward("a b c d e f g h i", "two dogs i") == 0)
        #expect(try reward("two cats", "{}") == 0)
    }

    @Test func names() throws {
        var options = RewardOptions()
        (options.cosineMaxLen, options.softMaxLength, options.softCacheLength) = (200, 100, 20)
        let all = try RewardFunctions.named(RewardFunctions.names, options: options)
        #expect(
            all.map(\.name) == [
                "MathAccuracy", "MathORM", "Format", "ReActFormat", "ReactORM", "CosineReward", "RepetitionPenalty",
                "SoftOverlong",
            ])
    }

    @Test(arguments: [
        (["acuracy"], "there is no reward \"acuracy\"; there are accuracy, math, format"),
        (["format", "format"], "format: is given twice"), (["cosine"], "Give --cosine_max_len"),
        (["soft_overlong"], "give --soft_max_length and --soft_cache_length"),
    ])
    func wrongNames(_ names: [String], _ message: String) {
        let error = #expect(throws: RewardError.self) { try RewardFunctions.named(names, options: RewardOptions()) }
        #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test func wrongOptions() {
        var options = RewardOptions()
        (options.softMaxLength, options.softCacheLength) = (20, 20)
        #expect(throws: RewardError.self) { try RewardFunctions.named(["soft_overlong"], options: options) }
        options.repetitionNGrams = 0
        #expect(throws: RewardError.self) { try RewardFunctions.named(["repetition"], options: options) }
        (options.repetitionNGrams, options.repetitionMaxPenalty) = (3, 1)
        #expect(throws: RewardError.self) { try RewardFunctions.named(["repetition"], options: options) }
    }

    @Test func solutionsThatAreNone() throws {
        let missing = #expect(throws: RewardError.self) { try MathAccuracy().rewards(of: [completion("1")]) }
        #expect(missing?.description.contains("no column \"solution\"") == true)
        func rewards(_ solution: JSONValue) throws -> [Double?] {
            try MathAccuracy().rewards(of: [
                Completion(messages: [], text: #"\boxed{72}"#, tokens: [], columns: ["solution": solution])
            ])
        }
        #expect(try rewards(72) == [1])
        #expect(try rewards(72.5) == [0])
        #expect(try rewards(.null) == [nil])
        #expect(throws: RewardError.self) { try rewards([1, 2]) }
    }
}
