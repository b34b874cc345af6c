import ApusJSON
import Foundation
import Testing

@testable import ApusRewards

/// What the judge of answers in mathematics must not take for right, and how long it may take.
struct MathJudgeTests {
    private let fixture: JSONValue

    init() throws {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Fixtures/rewards/rewards.json")
        fixture = try JSONValue(parsing: String(decoding: Data(contentsOf: url), as: UTF8.self))
    }

    private func rows(_ key: String) throws -> [[JSONValue]] {
        try #require(fixture[key]?.arrayValue).compactMap(\.arrayValue)
    }

    /// Answers of which the fixture script says whether they are right, by hand; math_verify takes many wrong ones for right.
    @Test func truths() throws {
        var (right, wrong, misled): (Int, Int, Int) = (0, 0, 0)
        for row in try rows("truths") {
            let (solution, answer) = (try #require(row[0].stringValue), try #require(row[1].stringValue))
            let isRight = row[2].intValue == 1
            #expect(MathAccuracy.isRight(answer, solution: solution) == isRight, "\(solution) | \(answer)")
            if isRight { right += 1 } else { wrong += 1 }
            if !isRight, row[3].doubleValue == 1 { misled += 1 }
        }
        #expect((right, wrong, misled) == (59, 96, 41))
    }

    /// What math_verify takes for wrong among answers of other kinds and of changed digits, signs and letters.
    @Test func changedAnswers() throws {
        let rows = try rows("wrong")
        let right = rows.filter {
            MathAccuracy.isRight($0[1].stringValue ?? "", solution: $0[0].stringValue ?? "")
        }.map { "\($0[0].stringValue ?? "") | \($0[1].stringValue ?? "")" }
        // These say the same.
        #expect(right.sorted() == [#"$0.50$ | \boxed{\frac12}"#, #"$\pm 3$ | \boxed{-\pm 3}"#])
        #expect(rows.count == 1687)
    }

    /// Amounts of money are no marks of a formula, what cannot be read makes way for a number behind it, and `####` marks the
    /// answer of a row of GSM8K; math_verify 0.9 finds the same in all of them.
    @Test(arguments: [
        ("5 pens at $2 cost $10 in all.\n#### 10", "10"), ("It costs $5 and $7, so\n#### 12", "12"),
        ("Tom has $5 or $7, in all 12.", "12"), ("$x$ apples\n#### 3", "3"), ("She has $3 left. #### 3", "3"),
        ("a $5 \\neq$ b 10", "10"), ("$\\text{yes}$", "\\text{yes}"), ("#### $\\frac12$", "0.5"),
        ("#### 1,234", "1234"), ("so $x\n+ y$ and in all there are 12", "12"),
        ("so $x\r\n+ y$ and in all there are 12", "12"),
    ])
    func amountsAndMarks(_ solution: String, _ answer: String) {
        #expect(MathAccuracy.isRight("\\boxed{\(answer)}", solution: solution))
        #expect(!MathAccuracy.isRight("\\boxed{11}", solution: solution))
        #expect(MathAccuracy.canRead(solution))
    }

    @Test(arguments: ["just words", "", "   ", "<answer></answer>", "####"]) func solutionsWithoutAny(_ text: String) {
        #expect(!MathAccuracy.canRead(text))
        #expect(!MathAccuracy.isRight("\\boxed{\(text)}", solution: text))
    }

    /// Formulas that nobody can read are wrong, in no time and without overflowing a stack.
    @Test(arguments: MathJudgeTests.endless) func endlessFormulas(_ name: String, _ text: String) async {
        for (solution, answer) in [
            ("$5$", "\\boxed{\(text)}"), ("$2\(text)$", "\\boxed{\(text)}"), ("$5$", "The answer is $\(text)$"),
            (text, "\\boxed{5x}"),
        ] {
            let start = ContinuousClock.now
            // Both have the same box.
            let isRight = name == "boxes" && solution.hasPrefix("$2")
            #expect(MathAccuracy.isRight(answer, solution: solution) == isRight, "\(name)")
            let time = ContinuousClock.now - start
            #expect(time < .seconds(Self.seconds), "\(name): \(time)")
        }
    }

    #if DEBUG
        // Without the compiler's optimizations all is slower by far.
        private static let seconds = 20
    #else
        private static let seconds = 1
    #endif

    private static func repeated(_ open: String, _ inner: String, _ close: String = "") -> String {
        String(repeating: open, count: 10_000) + inner + String(repeating: close, count: 10_000)
    }

    static let endless: [(String, String)] = [
        ("brackets", repeated("(", "7", ")")), ("braces", repeated("{", "7", "}")),
        ("sets", repeated("\\{", "7", "\\}")),
        ("roots", repeated("\\sqrt{", "7", "}")), ("bare roots", repeated("\\sqrt", "7")),
        ("fractions", repeated("\\frac{1}{1+", "7", "}")), ("bare fractions", repeated("\\frac", "7")),
        ("powers", repeated("2^{", "2", "}")), ("signs", repeated("-", "7x")), ("factorials", "7" + repeated("!", "")),
        ("percents", "7" + repeated("%", "")), ("quotients", "7" + repeated("/2", "")),
        ("sums", "7" + repeated("+1", "")),
        ("products", repeated("xy", "")), ("words", repeated("zyx ", "")), ("bars", repeated("|x|", "")),
        ("functions", repeated("\\sin", "x")), ("floors", repeated("\\lfloor ", "7", "\\rfloor")),
        ("matrices", repeated("\\begin{pmatrix}", "7", "\\end{pmatrix}")), ("lists", repeated("7x,", "7")),
        ("relations", repeated("x=", "7")), ("memberships", repeated("x\\in ", "7")),
        ("indices", repeated("x_{", "7", "}")),
        ("open boxes", repeated("\\boxed{", "7x")), ("boxes", repeated("\\boxed{7},", "")),
        ("nested boxes", repeated("\\boxed{", "7", "}")), ("open formulas", repeated("\\[ ", "")),
        ("words before formulas", repeated("final answer ", "")), ("signs of numbers", repeated("-(.", "7")),
        ("units", repeated("square ", "")), ("digits", repeated("7", "")),
        ("towers", "9^9^9"), ("braced towers", "9^{9^{9^9}}"), ("large factorials", "99999999999!"),
        ("powers of factorials", "{10^{10^{10}}}!"), ("binomials", "\\binom{1000000000}{500000000}"),
        ("sets of sets", nested(6)), ("terms", (1...300).map { "\\frac{x}{\($0)}" }.joined(separator: "+")),
        ("long lists", (1...300).map { "x+\($0)" }.joined(separator: ",")),
    ]

    private static func nested(_ depth: Int) -> String {
        depth == 0 ? "x" : "\\{\(nested(depth - 1)),\(nested(depth - 1).replacing("x", with: "y"))\\}"
    }
}
