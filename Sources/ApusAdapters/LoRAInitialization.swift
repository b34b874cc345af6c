import ApusJSON

extension LoRAConfiguration.Initialization {
    /// The word of a command line, ms-swift's or PEFT's.
    init(_ word: String) throws {
        switch word.lowercased() {
        case "eva": self = .eva
        case "corda": self = .corda
        case "lora-ga", "lora_ga": self = .gradients
        default:
            self = try Self(json: .string(word), place: "--init_weights")
            guard case .stored(let name) = self else { return }
            throw AdapterError(
                "--init_weights \(name) is not there yet for training; there are true, false, gaussian, pissa, "
                    + "pissa_niter_N, olora, loftq, eva, corda, lora-ga")
        }
    }

    /// PEFT's `init_lora_weights`.
    ///
    /// - Throws: `AdapterError` for ways that change the base weights and cannot be repeated from the file alone.
    init(json: JSONValue, place: String) throws {
        switch json {
        case .bool(true), .null, .string("true"): self = .standard
        case .bool(false), .string("false"): self = .random
        case .string(let name):
            switch name.lowercased() {
            case "gaussian": self = .gaussian
            case "olora": self = .olora
            case "pissa": self = .pissa(name: name)
            case let name where name.hasPrefix("pissa_niter_") && Int(name.dropFirst(12)) != nil:
                self = .pissa(name: name)
            case "eva", "orthogonal", "mica", "lora_ga": self = .stored(name: name.lowercased())
            case "loftq": self = .loftq
            case "corda":
                throw AdapterError(
                    "\(place) \"\(name)\" has changed the base weights by data, which a file does not let one repeat. Save "
                        + "the adapter from PEFT with path_initial_model_for_weight_conversion, or merge it there.")
            default:
                throw AdapterError(
                    "\(place) \"\(name)\" is not known; known are true, false, gaussian, pissa, pissa_niter_N, olora, loftq, "
                        + "eva, orthogonal, mica, lora_ga")
            }
        default: throw AdapterError("\(place) must be true, false or a name, it is \(json.serialized())")
        }
    }

    var json: JSONValue {
        switch self {
        case .standard: true
        case .gaussian: "gaussian"
        case .random: false
        case .pissa(let name), .stored(let name): .string(name)
        case .olora: "olora"
        case .loftq: "loftq"
        case .eva: "eva"
        // Files hold what has changed since the start, as a plain adapter.
        case .corda, .gradients: true
        }
    }
}
