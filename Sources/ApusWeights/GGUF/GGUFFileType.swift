/// The mixture of types that a file's tensors are brought into, by llama.cpp's names.
// swift-format-ignore: AlwaysUseLowerCamelCase
package enum GGUFFileType: String, Sendable, CaseIterable {
    case f16 = "F16"
    case bf16 = "BF16"
    case f32 = "F32"
    case q8_0 = "Q8_0"
    case q4_0 = "Q4_0"
    case q4_1 = "Q4_1"
    case q5_0 = "Q5_0"
    case q5_1 = "Q5_1"
    case q4_K_M = "Q4_K_M"
    case q5_K_M = "Q5_K_M"
    case q6_K = "Q6_K"

    /// `general.file_type`.
    package var number: UInt32 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q4_0: 2
        case .q4_1: 3
        case .q8_0: 7
        case .q5_0: 8
        case .q5_1: 9
        case .q4_K_M: 15
        case .q5_K_M: 17
        case .q6_K: 18
        case .bf16: 32
        }
    }

    /// The type of most matrices.
    package var matrix: GGUFTensorType {
        switch self {
        case .f32: .f32
        case .f16: .f16
        case .bf16: .bf16
        case .q8_0: .q8_0
        case .q4_0: .q4_0
        case .q4_1: .q4_1
        case .q5_0: .q5_0
        case .q5_1: .q5_1
        case .q4_K_M: .q4_K
        case .q5_K_M: .q5_K
        case .q6_K: .q6_K
        }
    }

    /// Whether values come back as they were, but for the rounding of a float.
    package var isFloat: Bool { matrix.block.elements == 1 }

    /// What the choice for a tensor depends on beside its name and shape.
    package struct Facts: Sendable {
        package let layers: Int
        /// Whether the table of words is the head too.
        package let isTied: Bool
        /// Whether several queries share a key.
        package let sharesKeys: Bool
        /// How many experts a layer has.
        package let experts: Int
        package let isFalcon: Bool

        package init(layers: Int, isTied: Bool, sharesKeys: Bool, experts: Int = 0, isFalcon: Bool = false) {
            (self.layers, self.isTied, self.sharesKeys) = (layers, isTied, sharesKeys)
            (self.experts, self.isFalcon) = (experts, isFalcon)
        }
    }

    /// The type of one tensor, as llama.cpp chooses it without an importance matrix.
    ///
    /// Vectors, norms, positions and what chooses experts stay in F32. The head gets at least six bits, and in the
    /// mixtures `_M` so do the values of attention and the last matrix of the feed-forward part in some layers.
    ///
    /// - Parameter name: In the file.
    package func type(of name: String, shape: [Int], _ facts: Facts) -> GGUFTensorType {
        guard shape.count > 1, name.hasSuffix("weight"), !name.hasSuffix("_norm.weight"),
            name != "position_embd.weight", name != "token_types.weight", !name.contains(".ffn_gate_inp"),
            let columns = shape.last
        else { return .f32 }
        guard !isFloat else { return matrix }
        // A vector, to llama.cpp.
        guard shape.dropLast().contains(where: { $0 != 1 }) else { return .f32 }
        // The biases of distances.
        if name.hasSuffix("attn_rel_b.weight") { return .f16 }
        return Self.fitting(mixed(name, columns: columns, facts), columns: columns)
    }

    private func mixed(_ name: String, columns: Int, _ facts: Facts) -> GGUFTensorType {
        let fields = name.split(separator: ".")
        if name == "output.weight" || facts.isTied && name == "token_embd.weight" {
            return self == .q8_0 || facts.isFalcon || columns % matrix.block.elements != 0 ? .q8_0 : .q6_K
        }
        guard self == .q4_K_M || self == .q5_K_M, fields.count == 4, let layer = Int(fields[1]) else { return matrix }
        // Beside eight experts, attention is small.
        if facts.experts == 8, fields[2] == "attn_v" || fields[2] == "attn_k" { return .q8_0 }
        switch fields[2] {
        case "attn_output": return facts.experts == 8 ? .q5_K : matrix
        case "attn_v", "attn_qkv":
            if Self.takesMoreBits(layer, of: facts.layers) { return .q6_K }
            // Models of 70B have values so small that more bits cost nothing; they are known by their depth.
            return matrix == .q4_K && facts.layers == 80 && facts.sharesKeys ? .q5_K : matrix
        case "ffn_down" where facts.isFalcon && matrix == .q4_K:
            if layer < facts.layers / 16 { return .q6_K }
            return Self.takesMoreBits(layer, of: facts.layers) ? .q5_K : matrix
        case "ffn_down", "ffn_down_exps", "ffn_down_shexp":
            return Self.takesMoreBits(layer, of: facts.layers) ? .q6_K : matrix
        default: return matrix
        }
    }

    /// The first and the last eighth of the layers, and every third between.
    private static func takesMoreBits(_ layer: Int, of layers: Int) -> Bool {
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
    }

    /// A type whose blocks do not span rows of this length.
    private static func fitting(_ type: GGUFTensorType, columns: Int) -> GGUFTensorType {
        guard columns % type.block.elements != 0 else { return type }
        let smaller: GGUFTensorType =
            switch type {
            case .q4_K: .q5_0
            case .q5_K: .q5_1
            case .q6_K: .q8_0
            default: .f16
            }
        return columns % smaller.block.elements == 0 ? smaller : .f16
    }
}
