package import ApusJSON

/// A GGUF file seen as a Hugging Face model: its configuration, and its tensors under their names there.
package final class GGUFModel: Sendable {
    /// A tensor of the model.
    package struct Entry: Sendable {
        /// In the Hugging Face model.
        package let name: String
        package var shape: [Int] {
            switch layout {
            case .transposed: source.shape.reversed()
            case .row where source.shape.count == 1: [1] + source.shape
            case .plain, .permuted, .grouped, .raised, .row: source.shape
            case .latent(let values): [source.shape[0] * (source.shape[2] + values.shape[1]), source.shape[1]]
            }
        }
        package let source: GGUFTensor
        let layout: Layout

        var elementCount: Int { shape.reduce(1, *) }
    }

    /// How the elements of a tensor lie in the file.
    enum Layout: Sendable, Equatable {
        case plain
        /// The rows of each head are permuted.
        case permuted(heads: Int)
        /// Heads lie by their kind, not by their group.
        case grouped(HeadGroups)
        /// Rows are the model's columns.
        case transposed
        /// Every element is one more than the model's.
        case raised
        /// A matrix of one row, which may be a vector in the file.
        case row
        /// Head by head the rows of keys, which are columns in the file, and those of values, which another tensor has.
        case latent(values: GGUFTensor)
    }

    package let file: GGUFFile
    package let architecture: GGUFArchitecture
    /// What the model's `config.json` says.
    package let config: JSONValue
    /// In the order of the file.
    package let entries: [Entry]
    /// Hyperparameters of the file that found no place in `config`, for a notice to the user.
    package let unusedKeys: [String]
    private let positions: [String: Int]

    /// Translates `file`; reads no weights.
    ///
    /// - Throws: `WeightsError` when the architecture is not supported, a hyperparameter is missing or impossible, or
    ///   the file holds a tensor that the architecture does not have.
    package init(_ file: GGUFFile) throws {
        self.file = file
        let name = try file.requiredValue("general.architecture", \.stringValue)
        guard let architecture = GGUFArchitecture.of(file, named: name) else {
            let known = Set(GGUFArchitecture.all.map(\.name)).sorted().joined(separator: ", ")
            throw WeightsError(
                file.path, "the architecture \(WeightsError.printable(name)) is not supported as GGUF (\(known) are)",
                advice: "use the model's safetensors files")
        }
        self.architecture = architecture
        let configuration = try GGUFConfiguration(file, architecture: architecture)
        config = .object(configuration.json)
        unusedKeys = configuration.unusedKeys
        entries = try file.tensors.compactMap { tensor in
            switch architecture.place(of: tensor.name) {
            case .derived?, .tensor(_, .latentValues)?: nil
            case .tensor(let name, let form)?:
                Entry(
                    name: name, source: tensor,
                    layout: try Self.layout(of: tensor, form, configuration, in: file))
            case nil:
                throw WeightsError(
                    file.path, item: tensor.name, "this tensor has no place in a \(architecture.modelClass)",
                    advice: "use the model's safetensors files")
            }
        }
        positions = Dictionary(entries.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func layout(
        of tensor: GGUFTensor, _ form: GGUFArchitecture.Form, _ configuration: GGUFConfiguration, in file: GGUFFile
    ) throws -> Layout {
        let path = file.path
        let heads: Int
        switch form {
        case .plain, .first, .buffer, .latentValues, .lastRows: return .plain
        case .latentKeys:
            let name = tensor.name.replacing("attn_k_b", with: "attn_v_b")
            guard let values = file[name], tensor.shape.count == 3, values.shape.count == 3,
                tensor.shape[0] == values.shape[0], tensor.shape[1] == values.shape[2]
            else {
                throw WeightsError(
                    path, item: tensor.name, "shape \(tensor.shape) does not go with \(name), which makes values",
                    advice: WeightsError.downloadAgain)
            }
            return .latent(values: values)
        case .transposed: return tensor.shape.count == 2 ? .transposed : .plain
        case .raised: return .raised
        case .row: return tensor.name.hasSuffix(".weight") ? .row : .plain
        case .stacked:
            guard tensor.shape.count == 3, tensor.shape[0] == configuration.expertCount else {
                throw WeightsError(
                    path, item: tensor.name,
                    "shape \(tensor.shape) is not that of matrices of \(configuration.expertCount) experts",
                    advice: WeightsError.downloadAgain)
            }
            return .plain
        case .groups:
            let (all, shared) = (configuration.headCount, configuration.keyValueHeadCount)
            guard let rows = tensor.shape.first, rows % (all + 2 * shared) == 0 else {
                throw WeightsError(
                    path, item: tensor.name, "shape \(tensor.shape) does not divide into \(all + 2 * shared) heads")
            }
            return .grouped(HeadGroups(heads: all, groups: shared, width: rows / (all + 2 * shared)))
        case .queries: heads = configuration.headCount
        case .keys: heads = configuration.keyValueHeadCount
        }
        guard let rows = tensor.shape.first, rows % (2 * heads) == 0 else {
            throw WeightsError(path, item: tensor.name, "shape \(tensor.shape) does not divide into \(heads) heads")
        }
        return .permuted(heads: heads)
    }

    /// How a sentence encoder makes one vector of those of tokens, in the words of sentence-transformers; nil where the file
    /// says nothing of it.
    ///
    /// - Throws: `WeightsError` for a way that has no name.
    package func pooling() throws -> String? {
        let key = architecture.name + ".pooling_type"
        guard let number = try file.value(key, \.intValue) else { return nil }
        switch number {
        // None, or a score in the place of a vector.
        case 0, 4: return nil
        case 1: return "mean"
        case 2: return "cls"
        case 3: return "lasttoken"
        default:
            throw WeightsError(
                file.path, item: key, "\(number) is no way to pool vectors that is known",
                advice: "use the model's safetensors files")
        }
    }

    package subscript(name: String) -> Entry? {
        positions[name].map { entries[$0] }
    }

    private func entry(named name: String) throws -> Entry {
        guard let entry = self[name] else {
            throw WeightsError(file.path, item: name, "no such tensor among the \(entries.count) of this model")
        }
        return entry
    }

    /// The elements of the tensor called `name` as numbers, in the order of Hugging Face.
    ///
    /// - Throws: `WeightsError` when there is no such tensor or its type cannot be dequantised.
    package func dequantized(_ name: String) throws -> [Float] {
        let entry = try entry(named: name)
        return try Array(unsafeUninitializedCapacity: entry.elementCount) { buffer, count in
            try write(entry, to: buffer.baseAddress, count: entry.elementCount)
            count = entry.elementCount
        }
    }

    /// Writes the elements of the tensor called `name` to `out`, whose count must be the tensor's.
    package func dequantize(_ name: String, into out: UnsafeMutableBufferPointer<Float>) throws {
        try write(entry(named: name), to: out.baseAddress, count: out.count)
    }

    /// As `dequantize`, rounded to bfloat16 bit patterns (nearest, ties to even).
    package func dequantizeBFloat16(_ name: String, into out: UnsafeMutableBufferPointer<UInt16>) throws {
        let entry = try entry(named: name)
        try out.withMemoryRebound(to: BFloat16Bits.self) {
            try write(entry, to: $0.baseAddress, count: $0.count)
        }
    }

    private func write<Out: DequantizedElement>(
        _ entry: Entry, to out: UnsafeMutablePointer<Out>?, count: Int
    ) throws {
        if case .latent(let values) = entry.layout, let out, count == entry.elementCount {
            return try writeLatent(keys: entry.source, values: values, to: out)
        }
        let isOther = entry.layout == .transposed || entry.layout == .raised
        guard isOther, let out, count == entry.source.elementCount, count > 0 else {
            return try file.dequantize(entry.source, into: out, count: count, sourceRow: entry.sourceRow)
        }
        let values = try file.dequantized(entry.source)
        if entry.layout == .raised {
            for (index, value) in values.enumerated() { out[index] = .rounding(value - 1) }
            return
        }
        let (rows, columns) = (entry.shape[0], entry.shape[1])
        for row in 0..<rows {
            for column in 0..<columns { out[row * columns + column] = .rounding(values[column * rows + row]) }
        }
    }
}

extension GGUFModel {
    /// The matrix of a latent [heads · (k + v), rank] from [heads, rank, k] and [heads, v, rank].
    private func writeLatent<Out: DequantizedElement>(
        keys: GGUFTensor, values: GGUFTensor, to out: UnsafeMutablePointer<Out>
    ) throws {
        let (heads, rank, size) = (keys.shape[0], keys.shape[1], keys.shape[2])
        let own = values.shape[1] * rank
        let (k, v) = (try file.dequantized(keys), try file.dequantized(values))
        var next = 0
        for head in 0..<heads {
            for row in 0..<size {
                for column in 0..<rank {
                    out[next] = .rounding(k[(head * rank + column) * size + row])
                    next += 1
                }
            }
            for value in v[head * own..<(head + 1) * own] {
                out[next] = .rounding(value)
                next += 1
            }
        }
    }
}

extension GGUFModel.Entry {
    /// For each row of the model the row of the file, where they differ.
    fileprivate var sourceRow: (@Sendable (Int) -> Int)? {
        switch layout {
        case .permuted(let heads):
            guard let rows = source.shape.first else { return nil }
            let permutation = HeadPermutation(width: rows / heads)
            return { permutation.rowInFile($0) }
        case .grouped(let groups): return { groups.rowInFile($0) }
        case .plain, .transposed, .raised, .row, .latent: return nil
        }
    }
}

/// The order that llama.cpp gives the rows of queries and keys: row (head, half, i) of the model is row (head, i, half) of
/// the file.
struct HeadPermutation {
    /// Of a head.
    let width: Int

    func rowInFile(_ row: Int) -> Int {
        let (head, place) = row.quotientAndRemainder(dividingBy: width)
        let (half, i) = place.quotientAndRemainder(dividingBy: width / 2)
        return head * width + 2 * i + half
    }

    func rowInModel(_ row: Int) -> Int {
        let (head, place) = row.quotientAndRemainder(dividingBy: width)
        let (i, half) = place.quotientAndRemainder(dividingBy: 2)
        return head * width + half * (width / 2) + i
    }
}

/// The heads of one matrix for queries, keys and values: in the model each group has its queries, its key and its value; in
/// the file all queries come first, then all keys, then all values.
struct HeadGroups: Sendable, Equatable {
    /// Of queries.
    let heads: Int
    /// Of keys, and of values.
    let groups: Int
    /// Of a head.
    let width: Int

    func rowInFile(_ row: Int) -> Int {
        let (head, i) = row.quotientAndRemainder(dividingBy: width)
        let own = heads / groups
        let (group, place) = head.quotientAndRemainder(dividingBy: own + 2)
        let inFile =
            switch place {
            case own: heads + group
            case own + 1: heads + groups + group
            default: group * own + place
            }
        return inFile * width + i
    }

    func rowInModel(_ row: Int) -> Int {
        let (head, i) = row.quotientAndRemainder(dividingBy: width)
        let own = heads / groups
        let inModel =
            switch head {
            case ..<heads: head / own * (own + 2) + head % own
            case ..<(heads + groups): (head - heads) * (own + 2) + own
            default: (head - heads - groups) * (own + 2) + own + 1
            }
        return inModel * width + i
    }
}
