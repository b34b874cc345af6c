import ApusJSON
import ApusNN
package import ApusTorch
package import ApusWeights
import Foundation

/// PEFT's two files.
package enum AdapterFiles {
    package static let configurationName = "adapter_config.json"
    package static let weightsName = "adapter_model.safetensors"
    private static let olderWeightsName = "adapter_model.bin"

    /// The path of a file of an adapter: in its folder, or where ms-swift's own methods have it.
    package static func located(_ name: String, in folder: String) -> String {
        let inner = "\(folder)/default/\(name)"
        let outer = "\(folder)/\(name)"
        let files = FileManager.default
        return !files.fileExists(atPath: outer) && files.fileExists(atPath: inner) ? inner : outer
    }

    /// Reads `adapter_config.json` of a folder.
    package static func method(in folder: String) throws -> any AdapterMethod {
        let path = located(configurationName, in: folder)
        var method = try AdapterMethods.read(configuration(at: path, of: folder), file: path)
        // A configuration alone can be asked too, such as by a run that is planned.
        if holdsWeights(folder) { try method.read(weights(in: folder).store) }
        return method
    }

    private static func holdsWeights(_ folder: String) -> Bool {
        [located(weightsName, in: folder), "\(folder)/\(olderWeightsName)"]
            .contains(where: FileManager.default.fileExists(atPath:))
    }

    /// What a configuration says.
    static func configuration(at path: String, of folder: String) throws -> JSONValue {
        guard let data = FileManager.default.contents(atPath: path) else {
            let isModel = FileManager.default.fileExists(atPath: "\(folder)/config.json")
            throw missing(
                configurationName, in: folder,
                isModel
                    ? "it is a whole model; give it with --model \(folder)"
                    : "give the folder of a PEFT adapter or a checkpoint")
        }
        do {
            return try JSONValue(parsing: data)
        } catch let error as JSONError {
            if let other = data.withUnsafeBytes({ FileSort.error($0, path: path, wanted: .json) }) { throw other }
            throw AdapterError("\(path): \(error)")
        }
    }

    /// The tensors of an adapter in a folder: as PEFT writes them, or as it did before its version 0.7.
    package static func weights(in folder: String) throws -> (store: any TensorStore, path: String) {
        let path = located(weightsName, in: folder)
        if FileManager.default.fileExists(atPath: path) {
            let store = try SafetensorsFile(path: path)
            // ms-swift's own methods have names of their own.
            return (path.hasSuffix("/default/\(weightsName)") ? store : try checked(store, path), path)
        }
        let older = "\(folder)/\(olderWeightsName)"
        if FileManager.default.fileExists(atPath: older) {
            return (try checked(PyTorchFile(path: older), older), older)
        }
        throw missing(weightsName, in: folder, "give the folder of a complete PEFT adapter or a checkpoint")
    }

    private static func missing(_ name: String, in folder: String, _ advice: String) -> AdapterError {
        let isThere = FileManager.default.fileExists(atPath: folder)
        return AdapterError(
            (isThere ? "\(folder) holds no \(name)" : "\(folder): there is no such folder") + "; \(advice)")
    }

    /// The store, if there is anything of an adapter in it.
    private static func checked(_ store: some TensorStore, _ path: String) throws -> any TensorStore {
        let marks = ["base_model.", "lora_", "modules_to_save", "prompt_embeddings", ".adapter_"]
        guard store.tensorNames.contains(where: { name in marks.contains(where: name.contains) }) else {
            throw AdapterError(
                "\(path) holds no tensors of an adapter"
                    + (store.tensorNames.first.map { ", but others, such as \($0)" } ?? "")
                    + ". Give the folder of an adapter; a whole model is given with --model.")
        }
        return store
    }
}

extension AttachedAdapter {
    /// Reads the adapter's tensors from a folder, strictly: every tensor used, every slot filled.
    ///
    /// The base model's own weights come to be what the method's training began with; tables of words that the file
    /// holds replace the model's.
    package func load(from folder: String, dtype: DType = .float32, device: Device) throws {
        let (store, path) = try AdapterFiles.weights(in: folder)
        guard isStoredAsTrained else {
            throw AdapterError(
                "\(path) holds what was trained amounts to, not what was trained; training cannot go on from it. With the "
                    + "checkpoint's whole state it can: --resume_from_checkpoint without --resume_only_model")
        }
        let all = parameters
        var trained = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
        // Older files say nothing of base layers.
        for one in all where one.name.contains(".base_layer.") {
            let plain = one.name.replacingOccurrences(of: ".base_layer.", with: ".")
            if trained[plain] == nil { trained[plain] = one }
        }
        let needed = parts.filter(\.adapter.storesConstants).flatMap { part in
            part.adapter.constants().map { (name: part.prefix + $0.name, slot: $0.slot) }
        }
        let constants = Dictionary(uniqueKeysWithValues: needed.map { ($0.name, $0) })
        let repeated = Set(parts.flatMap { part in part.adapter.repeatedNames.map { part.prefix + $0 } })
        var sources: [String: String] = [:]
        var tablesInFile: [(stored: String, slot: ParameterSlot)] = []
        var faults: [String] = []
        for stored in store.tensorNames {
            let names = spellings(stored)
            let shape = try store.shape(of: stored)
            if let (name, slot) = names.lazy.compactMap({ trained[$0] ?? constants[$0] }).first {
                if shape != slot.shape {
                    faults.append("\(stored) has the shape \(shape), this model wants \(slot.shape ?? [])")
                }
                sources[name] = stored
            } else if let table = tables.first(where: { names.contains(type(of: method).modelPrefix + $0.path) }) {
                if shape != table.slot.shape {
                    faults.append(
                        "\(stored) has the shape \(shape), the base model \(table.slot.shape ?? []): tokens were added to the model that this adapter was trained on"
                    )
                }
                tablesInFile.append((stored, table.slot))
            } else if !names.contains(where: repeated.contains), !isOriginal(stored) {
                faults.append("not part of this model: \(stored)")
            }
        }
        let absent = absentBiases(sources)
        faults =
            (all + needed).filter { one in sources[one.name] == nil && !absent.contains { $0 === one.slot } }
            .map { "missing: \($0.name)" } + faults
        guard faults.isEmpty else {
            throw AdapterError(
                "\(path) does not fit the base model:\n  " + faults.prefix(8).joined(separator: "\n  ")
                    + (faults.count > 8 ? "\n  … and \(faults.count - 8) more" : "")
                    + "\nIs it an adapter of another model\(faults[0].hasPrefix("missing") ? ", or of another method than its adapter_config.json says (\(type(of: method).peftType))" : "")?"
            )
        }
        for (stored, slot) in tablesInFile {
            let type = slot.tensor?.dtype ?? .float32
            let (tensor, isBorrowed) = try store.tensor(stored, dtype: type, device: device)
            try slot.fill(tensor, isBorrowed: isBorrowed)
        }
        for part in parts {
            for (_, slot) in part.adapter.parameters() {
                try slot.fill(Tensor.zeros(slot.shape ?? [], dtype: dtype, device: device))
            }
        }
        try drawConstants(dtype: dtype, device: device)
        for (name, slot) in needed {
            guard let stored = sources[name] else { continue }
            let drawn = try slot.tensor?.dtype ?? store.dtype(of: stored)
            let kept = drawn.isFloatingPoint ? dtype : slot.tensor == nil ? .int64 : drawn
            let (tensor, isBorrowed) = try store.tensor(stored, dtype: kept, device: device)
            try slot.fill(isBorrowed ? tensor.cloned() : tensor)
        }
        for part in parts {
            if let fault = try part.adapter.faultOfConstants() {
                throw AdapterError("\(path): \(part.path): \(fault). The file is damaged, or not of this adapter")
            }
        }
        try method.prepareBase(parts)
        for slot in absent {
            guard let own = slot.tensor else { continue }
            // A copy: the values may lie in a mapped file, which training must not write to.
            try slot.fill(own.dtype == dtype ? own.cloned() : own.to(dtype))
        }
        let prefix = type(of: method).modelPrefix
        for (name, slot) in parameters {
            guard let stored = sources[name] else { continue }
            let own = isOwn(String(name.dropFirst(prefix.count))) ? slot.tensor?.dtype : nil
            let (tensor, isBorrowed) = try store.tensor(stored, dtype: own ?? dtype, device: device)
            try slot.fill(isBorrowed ? tensor.cloned() : tensor)
        }
    }

    /// The biases of adapted layers, where a file has none of them: PEFT trains them and looks for them under names that they
    /// do not have when it writes its files, so that those of the base model count again.
    private func absentBiases(_ sources: [String: String]) -> [ParameterSlot] {
        guard method.base.biases == .adapted else { return [] }
        let prefix = type(of: method).modelPrefix
        let biases = saved.filter { path, _ in
            let layer = path.hasSuffix(".bias") ? String(path.dropLast(5)) : ""
            return parts.contains { $0.path == layer } && !ModulePaths.lies(path, in: method.base.storedModules)
        }
        let isThere = biases.contains { sources[prefix + storedPath($0.path)] != nil }
        return isThere ? [] : biases.map(\.slot)
    }

    /// Whether it is the base model's, of a module that is trained whole; PEFT stores such biases where it trains all.
    private func isOriginal(_ stored: String) -> Bool {
        let plain = stored.replacingOccurrences(of: ".original_module.", with: ".")
        let prefix = type(of: method).modelPrefix
        return plain != stored && saved.contains { prefix + $0.path == plain }
    }

    /// What a tensor of the file may be called in this model: its own name, the layer's below an adapter, and the same
    /// with the trunk's name added or left out, as adapters of sentence encoders are written by some programs.
    private func spellings(_ stored: String) -> [String] {
        let prefix = type(of: method).modelPrefix
        let plain = stored.replacingOccurrences(of: ".token_adapter.base_layer.", with: ".")
            .replacingOccurrences(of: ".base_layer.", with: ".")
            .replacingOccurrences(of: ".modules_to_save.default.", with: ".")
            .replacingOccurrences(of: ".modules_to_save.", with: ".")
        guard plain.hasPrefix(prefix) else { return [stored, plain] }
        let rest = plain.dropFirst(prefix.count)
        // Below an adapter of another weight of the same module there may be a second one.
        var names = plain == stored ? [plain] : [stored, plain]
        if rest.hasPrefix(trunk) { names.append(prefix + rest.dropFirst(trunk.count)) }
        names.append(prefix + trunk + rest)
        // The head of GPT-NeoX: its name in files of models, and in the memory of transformers 5.
        let (head, later) = (ModulePaths.headOfNeoX + ".", ModulePaths.head + ".")
        for (one, other) in [(later, head), (head, later)] where rest.hasPrefix(one) {
            names.append(prefix + other + rest.dropFirst(one.count))
        }
        // So too the part of Mixtral that has the experts.
        return names
            + names.filter { $0.contains(".mlp.") }.map {
                $0.replacingOccurrences(of: ".mlp.", with: ".block_sparse_moe.")
            }
    }

    /// What a file holds, under PEFT's names.
    package func storedTensors() throws -> [(name: String, tensor: Tensor)] {
        let prefix = type(of: method).modelPrefix
        let (old, new) = (prefix + ModulePaths.headOfNeoX + ".", prefix + ModulePaths.head + ".")
        return try parts.flatMap { part in
            let path = part.prefix.hasPrefix(old) ? new + part.prefix.dropFirst(old.count) : part.prefix
            return try part.adapter.stored().map { (path + $0.name, $0.tensor) }
        }
            + (saved + savedHeads).compactMap { path, slot in
                slot.tensor.map { (prefix + ModulePaths.inTransformers(storedPath(path)), $0) }
            }
    }

    /// The heads that are a table which is trained whole: PEFT stores it under their names too.
    private var savedHeads: [(path: String, slot: ParameterSlot)] {
        guard method.base.keepsTies else { return [] }
        return tables.filter { head in saved.contains { $0.slot === head.slot && $0.path != head.path } }
    }

    /// The tensors to be written.
    package func weightSources() throws -> [WeightSource] { try storedTensors().map { WeightSource($0, $1) } }

    /// `adapter_config.json` as PEFT writes it.
    package func configurationText() throws -> String {
        try method.json(parts).serialized(indent: 2, sortedKeys: true, escapeNonASCII: true)
    }
}
