import ApusJSON
import Foundation
import Testing

@testable import ApusRecipes

/// Which answers are kept, against ms-swift's own sampler (Scripts/fixtures/make_rewards.py).
struct SampleScoresTests {
    @Test func keptAnswers() throws {
        let url = TinyModelFolder.fixtures.appending(path: "rewards/rewards.json")
        let cases = try #require(JSONValue(parsing: Data(contentsOf: url))["sampling"]?.arrayValue)
        var (pairs, left, easy) = (0, 0, 0)
        for test in cases {
            func numbers(_ value: JSONValue?) -> [Double]? { value?.arrayValue?.compactMap(\.doubleValue) }
            let totals = try #require(numbers(test[6]))
            let scores = SampleScores(
                outcomes: numbers(test[0]), processes: numbers(test[1]), count: totals.count,
                threshold: try #require(test[4]?.doubleValue))
            for (ours, theirs) in zip(scores.totals, totals) {
                #expect(abs(try #require(ours) - theirs) < 1e-12)
            }
            // Pairs of answers with the same score say nothing and are not written.
            let theirs = try #require(test[5]?.arrayValue).compactMap { pair -> [Int]? in
                guard let chosen = pair[0]?.intValue, let rejected = pair[1]?.intValue else { return nil }
                return [chosen, rejected]
            }
            let different = theirs.filter { totals[$0[0]] > totals[$0[1]] }
            left += theirs.count - different.count
            if let share = test[3]?.doubleValue, scores.isEasy(share: share, of: totals.count - 1) {
                // ms-swift takes one off for the row's own answer, also where that is not among the right ones.
                let outcomes = try #require(numbers(test[0]))
                let isRight = outcomes.last.map { $0 > (Set(outcomes).count == 1 ? 0 : outcomes.min() ?? 0) } ?? false
                guard isRight else { continue }
                easy += 1
                #expect(theirs.isEmpty, "\(test.serialized())")
                continue
            }
            if test[3]?.isNull == false, test[0]?.isNull == true {
                // For ms-swift every question is too easy where nothing says which answers are right.
                #expect(theirs.isEmpty)
                continue
            }
            // Which of equals comes first is numpy's affair.
            let ours = scores.pairs(keeping: try #require(test[2]?.intValue)).map { [$0.chosen, $0.rejected] }
            func worth(_ pairs: [[Int]]) -> [[Double]] { pairs.map { $0.map { totals[$0] } } }
            #expect(worth(ours) == worth(different), "\(test.serialized())")
            pairs += ours.count
        }
        #expect(cases.count > 80 && pairs > 50 && left > 0 && easy > 5)
    }

    /// What nothing was said of is neither kept nor the worst.
    @Test func unjudgedAnswers() {
        let scores = SampleScores(outcomes: [1, nil, 0.5, -1], processes: nil, count: 4, threshold: 0)
        #expect(scores.pairs(keeping: 5).map { [$0.chosen, $0.rejected] } == [[0, 3], [2, 3]])
        #expect(SampleScores(outcomes: [nil, nil], processes: nil, count: 2, threshold: 0).pairs(keeping: 5).isEmpty)
    }

    /// The share is rounded down, in binary as in Python: 29 % of 100 answers are 28.
    @Test(arguments: [
        (28, 100, 0.29, true), (27, 100, 0.29, false), (1, 2, 0.75, true), (0, 1, 0.5, true), (2, 4, 1, false),
    ])
    func easyQuestions(_ right: Int, _ count: Int, _ share: Double, _ isEasy: Bool) {
        let outcomes = (0..<count).map { $0 < right ? 1.0 : 0 }
        let scores = SampleScores(outcomes: outcomes, processes: nil, count: count, threshold: 0)
        #expect(scores.isEasy(share: share, of: count) == isEasy)
    }
}
