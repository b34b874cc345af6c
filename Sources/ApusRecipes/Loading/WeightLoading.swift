import ApusJSON
import ApusLanguageModel
import ApusNN
import ApusQuantization
import ApusTorch
import ApusWeights

/// The weights of a model, and how its matrices are read: in full, into fewer bits, or in the bits that the files have.
struct WeightLoading {
    let store: any TensorStore
    /// Nil where everything is read in full.
    let matrices: MatrixReader?
    /// What a user should know of it.
    let notice: String?

    /// - Parameters:
    ///   - dtype: The type of what stays in full.
    ///   - wholeModules: Modules that an adapter trains whole.
    /// - Throws: `WeightsError` for files that are not what `config.json` says.
    init(
        _ source: ModelSource, config: JSONValue, options: QuantizationOptions = QuantizationOptions(), dtype: DType,
        device: Device, wholeModules: [String] = []
    ) throws {
        if let stored = try source.bitsAndBytes(config) {
            let store = try BitsAndBytesStore(
                source.weights(), computeType: stored.computeType, path: "\(source.path)/config.json")
            self.store = store
            matrices = MatrixReader(wholeModules: wholeModules, shape: store.quantizedShape) { name, _, _ in
                try store.matrix(name, dtype: dtype, device: device)
            }
            notice =
                options.method == nil
                ? nil
                : "--quant_method: without effect, because the model's files are quantised already (\(stored.bits) bits)"
            return
        }
        let store = try source.weights()
        self.store = store
        notice = nil
        matrices = options.settings(for: dtype).map { settings in
            MatrixReader(wholeModules: wholeModules) { name, layer, isWhole in
                guard !isWhole else { return nil }
                let stored = try store.tensor(name, dtype: dtype, device: device).tensor
                let matrix = layer.layout == .outputsFirst ? stored : try stored.transposed(0, 1).contiguous()
                let quantized = try QuantizedWeight(matrix, as: settings, name: name)
                // Pages of the file that were read would count as memory as long as the file is open.
                store.forget(name)
                return quantized
            }
        }
    }
}

extension ModelSource {
    /// What `config.json` says of weights that bitsandbytes has quantised; nil for others.
    func bitsAndBytes(_ config: JSONValue) throws -> BitsAndBytesConfiguration? {
        guard case .folder = form else { return nil }
        return try BitsAndBytesConfiguration(config, path: "\(path)/config.json")
    }
}

/// The matrices of a model that are kept in fewer bits.
enum QuantizedLayers {
    /// By the names of the weights that they stand for.
    static func all(of model: any TextModel) -> [String: QuantizedWeight] {
        model.modules().reduce(into: [:]) { found, part in
            guard let weight = (part.module as? Linear)?.storage as? QuantizedWeight else { return }
            found[Module.joined(part.path, "weight")] = weight
        }
    }

    /// Brings every matrix that may be into fewer bits.
    static func quantize(_ model: any TextModel, as settings: QuantizationSettings) throws {
        for (path, layer) in model.layersToQuantize {
            layer.quantize(
                try QuantizedWeight(layer.matrix.contiguous(), as: settings, name: Module.joined(path, "weight")))
        }
    }

    /// What 4-bit matrices add to a count of elements as PEFT makes it: two for each byte, so one too many where a
    /// matrix has an odd count.
    static func addedCount(_ model: any TextModel, bits: Int?) -> Int {
        bits == 4 ? model.layersToQuantize.filter { $0.layer.inputs * $0.layer.outputs % 2 == 1 }.count : 0
    }

    /// The bytes of a model's weights, adapters left out.
    static func byteCount(of model: any TextModel, dtype: DType) -> Int {
        let quantized = all(of: model)
        return model.parameters().reduce(0) { bytes, parameter in
            bytes + (quantized[parameter.name]?.byteCount ?? parameter.slot.count * dtype.size)
        }
    }

    /// The numbers of the largest matrix that is made anew for a product.
    static func largestCount(of model: any TextModel) -> Int {
        all(of: model).values.map { $0.numbers.rows * $0.numbers.columns }.max() ?? 0
    }
}
