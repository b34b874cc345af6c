import ApusJSON
import ApusNN
package import ApusTorch
package import ApusWeights
import Foundation

/// PEFT's two files.
package enum LoRAFiles {
    package static let configurationName = "adapter_config.json"
    package static let weightsName = "adapter_model.safetensors"

    /// Reads `adapter_config.json` of a folder.
    package static func configuration(in folder: String) throws -> LoRAConfiguration {
        let path = "\(folder)/\(configurationName)"
        guard let data = FileManager.default.contents(atPath: path) else {
            let isModel = FileManager.default.fileExists(atPath: "\(folder)/config.json")
            throw AdapterError(
                "\(folder) holds no \(configurationName); "
                    + (isModel
                        ? "it is a whole model; give it with --model \(folder)"
                        : "give the folder of a PEFT adapter or a checkpoint"))
        }
        do {
            return try LoRAConfiguration(json: JSONValue(parsing: data), file: path)
        } catch let error as JSONError {
            if let other = data.withUnsafeBytes({ FileSort.error($0, path: path, wanted: .json) }) { throw other }
            throw AdapterError("\(path): \(error)")
        }
    }

    /// The tensors of an adapter in a folder: as PEFT writes them, or as it did before its version 0.7.
    package static func weights(in folder: String) throws -> (store: any TensorStore, path: String) {
        let path = "\(folder)/\(weightsName)"
        if FileManager.default.fileExists(atPath: path) {
            return (try checked(SafetensorsFile(path: path), path), path)
        }
        let older = "\(folder)/adapter_model.bin"
        if FileManager.default.fileExists(atPath: older) {
            return (try checked(PyTorchFile(path: older), older), older)
        }
        throw AdapterError(
            "\(folder) holds no \(weightsName); give the folder of a complete PEFT adapter or a checkpoint")
    }

    /// The store, if there is anything of an adapter in it.
    private static func checked(_ store: some TensorStore, _ path: String) throws -> any TensorStore {
        let marks = ["base_model.model.", "lora_", "modules_to_save"]
        guard store.tensorNames.contains(where: { name in marks.contains(where: name.contains) }) else {
            throw AdapterError(
                "\(path) holds no tensors of an adapter"
                    + (store.tensorNames.first.map { ", but others, such as \($0)" } ?? "")
                    + ". Give the folder of an adapter; a whole model is given with --model.")
        }
        return store
    }
}

extension AttachedLoRA {
    /// Reads the adapter's tensors from a folder, strictly: every tensor used, every slot filled.
    package func load(from folder: String, dtype: DType = .float32, device: Device) throws {
        let (store, path) = try LoRAFiles.weights(in: folder)
        let wanted = Dictionary(uniqueKeysWithValues: parameters.map { ($0.name, $0.slot) })
        let present = Set(store.tensorNames)
        var faults = parameters.filter { !present.contains($0.name) }.map { "missing: \($0.name)" }
        for name in store.tensorNames {
            if let slot = wanted[name] {
                let shape = try store.shape(of: name)
                if shape != slot.shape {
                    faults.append("\(name) has the shape \(shape), this model wants \(slot.shape ?? [])")
                }
            } else {
                faults.append("not part of this model: \(name)")
            }
        }
        guard faults.isEmpty else {
            throw AdapterError(
                "\(path) does not fit the base model:\n  " + faults.prefix(8).joined(separator: "\n  ")
                    + (faults.count > 8 ? "\n  … and \(faults.count - 8) more" : "")
                    + "\nIs it an adapter of another model?")
        }
        for (name, slot) in parameters {
            let (tensor, isBorrowed) = try store.tensor(name, dtype: dtype, device: device)
            try slot.fill(isBorrowed ? tensor.cloned() : tensor)
        }
    }

    /// The tensors to be written, under PEFT's names.
    package func weightSources() throws -> [WeightSource] {
        parameters.compactMap { name, slot in slot.tensor.map { WeightSource(name, $0) } }
    }

    /// `adapter_config.json` as PEFT writes it.
    ///
    /// A whole-model choice is written as the names it chose, as PEFT does.
    package func configurationText() -> String {
        var written = configuration
        if case .allLinear = configuration.targets {
            let ends = Set(layers.map { String($0.path.split(separator: ".").last ?? "") })
            written.targets = .names(ends.sorted())
        }
        return written.json.serialized(indent: 2, sortedKeys: true, escapeNonASCII: true)
    }
}
