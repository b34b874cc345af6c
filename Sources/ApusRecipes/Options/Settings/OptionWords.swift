import ApusDatasets
import ApusHub
import ApusOptimizers
import ApusText
import ApusTorch
import ApusTraining

// Words of ms-swift for what other targets define: their raw values are the words.

extension DType: OptionChoice {
    /// The types that weights are kept in, the words of `--torch_dtype`.
    static let ofWeights: [DType] = [.bfloat16, .float16, .float32]
}
extension FourBitType: OptionChoice {}
extension Repository.Kind: OptionChoice {}
extension ProblemType: OptionChoice {}
extension MultiLabelFormat: OptionChoice {}
extension TruncationStrategy: OptionChoice {}
extension TemplateBackend: OptionChoice {}
extension StoppingStrategy: OptionChoice {}
extension PackingStrategy: OptionChoice {}
extension ScheduleKind: OptionChoice {}
extension NaNPolicy: OptionChoice {}
extension AnswerMetric: OptionChoice {}

extension LossScale: OptionConvertible {
    package init?(_ value: OptionValue) {
        guard case .text(let text) = value else { return nil }
        self.init(rawValue: text)
    }

    package var optionValue: OptionValue? { .text(rawValue) }
}

extension Device: OptionConvertible {
    /// The words of `--device`; `cuda` is the first one.
    static let words = ["cpu", "cuda", "mps"]

    package init?(_ value: OptionValue) {
        switch value {
        case .text("cpu"): self = .cpu
        case .text("cuda"): self = .cuda(0)
        case .text("mps"): self = .mps
        default: return nil
        }
    }

    package var optionValue: OptionValue? { .text(self == .cuda(0) ? "cuda" : description) }
}
