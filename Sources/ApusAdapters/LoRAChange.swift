import ApusJSON
import ApusNN
package import ApusTorch

extension AttachedAdapter {
    /// The plain LoRA adapter that what has changed since the start of training amounts to, for adapters whose start was
    /// taken out of the base matrices: `W_res + s B A - W = s (B A - B₀ A₀)`.
    ///
    /// Its ranks and alphas are twice as large. It goes with the base model as it was, and beside other adapters.
    ///
    /// - Throws: `AdapterError` for other methods, which leave the base as it is.
    package func change() throws -> (tensors: [(name: String, tensor: Tensor)], configuration: String) {
        guard let lora = method as? LoRAConfiguration, lora.takesFromBase else {
            let start = (method as? LoRAConfiguration).map {
                ", init_lora_weights \($0.initialization.json.serialized())"
            }
            throw AdapterError(
                "--convert_to_lora: this adapter (\(type(of: method).tunerType)\(start ?? "")) leaves the base model as it is "
                    + "and needs no conversion; it is for PiSSA and OLoRA")
        }
        let tensors = try parts.flatMap { part -> [(name: String, tensor: Tensor)] in
            let own = try (part.adapter as? LoRA)?.change() ?? part.adapter.stored()
            return own.map { (part.prefix + $0.name, $0.tensor) }
        }
        guard saved.isEmpty else {
            throw AdapterError(
                "--convert_to_lora: this adapter stores parts of the model whole (modules_to_save, bias), in PEFT not "
                    + "converted either; merge it instead (apus merge-lora)")
        }
        let plain = lora.ofChange.json(parts).serialized(indent: 2, sortedKeys: true, escapeNonASCII: true)
        return (tensors, plain)
    }
}

extension LoRAConfiguration {
    /// Whether the start is taken out of the base matrices.
    var takesFromBase: Bool {
        switch initialization {
        case .pissa, .olora: true
        // Their files are converted as they are written.
        case .corda, .gradients: false
        case .standard, .gaussian, .random, .loftq, .eva, .stored: false
        }
    }
}
