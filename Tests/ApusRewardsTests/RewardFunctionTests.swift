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
}
