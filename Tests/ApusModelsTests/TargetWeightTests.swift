import ApusDatasets
import ApusLanguageModel
import ApusTraining
import Testing

/// Weights of turns on their way from the data to the loss.
struct TargetWeightTests {
    private let samples: [TokenizedDataset.Sample] = [
        .init(ids: [1, 2, 3, 4], isTrained: [false, true, false, true], weights: [0, 0.5, 0, 2]),
        .init(ids: [5, 6], isTrained: [false, true]),
    ]

    @Test func targetsHaveTheWeightsOfTheirTokens() {
        let data = TokenizedDataset(samples)
        let batch = data.batch([1, 0], draw: nil)
        #expect(batch.targets.labels == [6, 2, 4])
        #expect(batch.targets.weights == [1, 0.5, 2])
        // A weight changes the sum of losses, not what it is divided by.
        #expect(data.targetCount([1, 0]) == 3)
        #expect(data.batch([1], draw: nil).targets.weights == nil)
    }
}
