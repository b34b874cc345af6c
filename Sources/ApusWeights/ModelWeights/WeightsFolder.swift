import Foundation

/// Finds the weights of a model in its folder, by the names that programs give them.
package struct WeightsFolder {
    private let folder: String
    /// The files of the folder, sorted; hidden ones (macOS's `._name` among them) are nobody's weights.
    private let names: [String]

    package init(_ folder: String) throws {
        self.folder = folder
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { !$0.hasPrefix(".") }.sorted()
        } catch {
            throw WeightsError(folder, "cannot be listed: \(error.localizedDescription)")
        }
    }

    /// Opens the weights, mapping every file; reads no weights.
    ///
    /// As in transformers, `model.safetensors` comes before its index, and both before `pytorch_model.bin`. Where none of
    /// these is there, weights under another name are taken if no others are beside them.
    ///
    /// - Parameter block: The rows and columns of a block of eight-bit floats, as `config.json` says them; nil where it does
    ///   not.
    /// - Throws: `WeightsError` that says what was found instead.
    package func open(block: [Int]? = nil) throws -> any TensorStore {
        let store = try known() ?? other(.safetensors) ?? other(.pickle)
        guard let store else { throw nothing() }
        let whole = try MicroscaledStore.unpacking(UnwrappedStore.unwrapping(store), path: folder)
        return try checked(ScaledStore.scaling(whole, block: block, path: folder))
    }

    /// The GGUF files, each a whole model; of one in parts the first, or what is there of it.
    package var ggufFiles: [String] {
        var seen: Set<String> = []
        return names.filter { name in
            // Projectors lie beside the language model that they serve.
            guard name.lowercased().hasSuffix(".gguf"), !name.lowercased().contains("mmproj") else { return false }
            return GGUFSplit.parts(of: name).map { seen.insert("\($0.stem)/\($0.count)").inserted } ?? true
        }
    }

    /// Whether there is a file that `open` would read.
    package var holdsWeights: Bool {
        names.contains { Self.isWeights($0, .safetensors) || Self.isWeights($0, .pickle) }
    }

    /// The paths of the files that `open` reads.
    package var files: [String] {
        let isIndexed = names.contains("model.safetensors.index.json")
        if names.contains("model.safetensors") { return [path("model.safetensors")] }
        if !isIndexed, names.contains("pytorch_model.bin") { return [path("pytorch_model.bin")] }
        let isPickled = !isIndexed && names.contains("pytorch_model.bin.index.json")
        let safe = isPickled ? [] : names.filter { Self.isWeights($0, .safetensors) }
        let files = safe.isEmpty ? names.filter { Self.isWeights($0, .pickle) } : safe
        // Mistral's own file lies beside Hugging Face's.
        let others = files.filter { !$0.hasPrefix("consolidated") }
        return (others.isEmpty ? files : others).map(path)
    }

    // MARK: - Names

    private enum Format {
        case safetensors, pickle
    }

    private func path(_ name: String) -> String { folder + "/" + name }

    private func known() throws -> (any TensorStore)? {
        if names.contains("model.safetensors") || names.contains("model.safetensors.index.json") {
            return try ModelWeights(folder: folder)
        }
        if names.contains("pytorch_model.bin") { return try PyTorchFile(path: path("pytorch_model.bin")) }
        let index = "pytorch_model.bin.index.json"
        return names.contains(index) ? try PyTorchShards(index: path(index), folder: folder) : nil
    }

    /// What other files lie in the folders of models and checkpoints: adapters, states of a run.
    private static let others: Set<String> = [
        "adapter_model", "adapters", "optimizer", "scheduler", "scaler", "training_args", "trainer_state", "rng_state",
        "random_states", "tokenizer", "value_head", "ema", "embeddings",
    ]

    private static func isWeights(_ name: String, _ format: Format) -> Bool {
        let endings =
            switch format {
            case .safetensors: [".safetensors"]
            case .pickle: [".bin", ".pt", ".pth", ".ckpt"]
            }
        guard let ending = endings.first(where: name.hasSuffix) else { return false }
        let stem = name.dropLast(ending.count)
        return !others.contains { stem == $0 || stem.hasPrefix($0 + "_") || stem.hasPrefix($0 + "-") }
    }

    /// `model.fp16` in `model.fp16-00001-of-00002.safetensors`, with the number and the count.
    private static func shard(_ name: String) -> (stem: Substring, number: Int, count: Int)? {
        let stem = name[..<(name.lastIndex(of: ".") ?? name.endIndex)]
        let fields = stem.split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count >= 4, fields[fields.count - 2] == "of", fields[fields.count - 3].count == 5,
            let number = Int(fields[fields.count - 3]), let count = Int(fields[fields.count - 1]), number > 0, count > 0
        else { return nil }
        return (stem.dropLast("-00000-of-00000".count), number, count)
    }

    /// Weights that are alone under a name of their own: one file, or all shards of one set.
    private func other(_ format: Format) throws -> (any TensorStore)? {
        var sets: [String: [String]] = [:]
        for name in names where Self.isWeights(name, format) {
            let set = Self.shard(name).map { "\($0.stem)-of-\($0.count)" } ?? name
            sets[set, default: []].append(name)
        }
        // Mistral's own file lies beside Hugging Face's.
        if sets.count > 1 { sets = sets.filter { !$0.key.hasPrefix("consolidated") } }
        guard sets.count <= 1, let files = sets.first?.value else {
            guard !sets.isEmpty else { return nil }
            throw WeightsError(
                folder,
                "holds several files of weights and none under the name of the model's: "
                    + sets.values.compactMap(\.first).sorted().prefix(6).joined(separator: ", "),
                advice: "put the one that is wanted into a folder of its own with config.json and the tokenizer, "
                    + "or name it model.safetensors")
        }
        if let shard = files.first.flatMap(Self.shard), files.count != shard.count {
            let there = Set(files.compactMap { Self.shard($0)?.number })
            let missing = (1...shard.count).first { !there.contains($0) } ?? shard.count
            throw WeightsError(
                folder,
                "holds \(files.count) of the \(shard.count) parts of \(shard.stem); part \(missing) is the first that "
                    + "is missing", advice: "download the others")
        }
        switch format {
        case .safetensors: return try ModelWeights(files: files.map(path))
        case .pickle:
            guard files.count > 1, let first = files.first, Self.shard(first) != nil else {
                return try files.first.map { try PyTorchFile(path: path($0)) }
            }
            return try PyTorchShards(files: files, folder: folder)
        }
    }

    // MARK: - Words

    private static let foreign: [(ending: String, name: String)] = [
        (".h5", "TensorFlow's"), (".msgpack", "Flax's"), (".onnx", "ONNX's"), (".ot", "rust-bert's"),
        (".xml", "OpenVINO's"), (".ckpt.index", "TensorFlow's"), (".npz", "NumPy's"), (".mlpackage", "Core ML's"),
        (".tflite", "TensorFlow Lite's"), (".nemo", "NeMo's"), (".llamafile", "llamafile's"), (".engine", "TensorRT's"),
    ]
    private static let unfinished = [".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".download", ".tmp"]

    private func nothing() -> WeightsError {
        if let name = names.first(where: { name in Self.unfinished.contains(where: name.hasSuffix) }) {
            return WeightsError(
                folder, "holds no weights, but a download that has not ended (\(name))",
                advice: "download the model again to the end")
        }
        if names.contains(where: { $0.hasPrefix("adapter_model.") || $0 == "adapter_config.json" }) {
            return WeightsError(
                folder, "holds an adapter, not a whole model",
                advice: "give this folder to --adapters, and its base model to --model")
        }
        let others = names.compactMap { name in
            Self.foreign.first { name.hasSuffix($0.ending) }.map { "\(name), which is \($0.name)" }
        }
        if let other = others.first {
            return WeightsError(
                folder, "holds no weights in a format that is read; there is \(other)",
                advice: "get the model's safetensors files, or save it from Python with safe_serialization=True")
        }
        let gguf = ggufFiles
        if !gguf.isEmpty {
            return WeightsError(
                folder, "holds GGUF files only (\(gguf.prefix(4).joined(separator: ", ")))",
                advice: "give the path of one of them as the model")
        }
        return WeightsError(
            folder,
            "holds no weights: neither model.safetensors nor model.safetensors.index.json nor pytorch_model.bin",
            advice: "is this the folder of a model, and is its download complete?")
    }

    /// What the names of tensors, or parts of them between points, show to be no plain weights under the names of Hugging
    /// Face.
    private static let marks: [(part: String, problem: String, advice: String)] = [
        (
            "tok_embeddings.weight",
            "these are weights under Meta's or Mistral's own names (consolidated), not those of "
                + "Hugging Face",
            "download the model's files model.safetensors or model-00001-of-….safetensors, or convert it in Python"
        ),
        (
            ".base_layer.", "a model was saved with its adapters beside the weights, not merged",
            "in Python, save merge_and_unload() of it, or the adapter alone with save_pretrained"
        ),
        (
            ".lora_A.", "these are the tensors of a LoRA adapter, not of a model",
            "give this folder to --adapters, and its base model to --model"
        ),
        (".qweight", "the weights are quantised (GPTQ or AWQ), which is not read", unquantised),
        (
            ".weight_scale_inv", "a scale of eight-bit floats (FP8) without the matrix beside it",
            WeightsError.downloadAgain
        ),
        (".weight_packed", "the weights are quantised (compressed-tensors), which is not read", unquantised),
    ]
    package static let unquantised = "give the model in its original precision (bfloat16, float16 or float32)"

    private func checked(_ store: any TensorStore) throws -> any TensorStore {
        let names = store.tensorNames
        for (part, problem, advice) in Self.marks {
            let isWhole = !part.hasPrefix(".")
            guard let name = names.first(where: { isWhole ? $0 == part : $0.contains(part) }) else { continue }
            throw WeightsError(folder, item: name, problem, advice: advice)
        }
        // MLX lays the scales and offsets of a matrix beside it.
        if let scales = names.first(where: { $0.hasSuffix(".scales") }),
            names.contains(String(scales.dropLast(6)) + "biases")
        {
            throw WeightsError(
                folder, item: scales, "the weights are quantised (MLX), which is not read", advice: Self.unquantised)
        }
        return store
    }
}
