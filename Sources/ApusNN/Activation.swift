package import ApusTorch

/// The functions between two linear layers, by the names of `hidden_act` in `config.json`.
package enum Activation: String, Sendable, CaseIterable {
    case gelu
    case geluFast = "gelu_fast"
    case geluNew = "gelu_new"
    case geluTanh = "gelu_pytorch_tanh"
    case relu
    case silu
    case tanh

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        switch self {
        case .gelu: try ApusTorch.gelu(x)
        case .geluFast, .geluNew, .geluTanh: try ApusTorch.gelu(x, approximatesByTanh: true)
        case .relu: try ApusTorch.relu(x)
        case .silu: try ApusTorch.silu(x)
        case .tanh: try ApusTorch.tanh(x)
        }
    }
}
