import ApusJSON
import Testing

@testable import ApusRewards

/// A reward of somebody else's.
struct RewardFunctionTests {
    private struct Brevity: RewardFunction {
        let name = "Brevity"
        func rewards(of completions: [Completion]) -> [Double?] {
            completions.map { $0.isTruncated ? nil : 1 / Double(1 + $0.tokens.count) }
        }
    }

    @Test func answersAreRewardedInOrder() {
        let answers = [
            Completion(messages: [], text: "a", tokens: [1]), Completion(messages: [], text: "", tokens: []),
            Completion(messages: [], text: "b", tokens: [1], isTruncated: true),
        ]
        #expect(Brevity().rewards(of: answers) == [0.5, 1, nil])
    }

    /// Two rewards of one name have one each in files and logs, and stay in their order.
    @Test func equalNames() throws {
        struct Constant: RewardFunction {
            let name: String
            let value: Double
            func rewards(of completions: [Completion]) -> [Double?] { completions.map { _ in value } }
        }
        let functions = RewardFunctions.distinctlyNamed(
            zip(["score", "score-2", "score", "Format", "score"], 1...).map { Constant(name: $0, value: Double($1)) })
        #expect(functions.map(\.name) == ["score", "score-2", "score-3", "Format", "score-4"])
        let answer = Completion(messages: [], text: "a", tokens: [])
        #expect(try functions.map { try $0.rewards(of: [answer])[0] } == [1, 2, 3, 4, 5])
    }
}
