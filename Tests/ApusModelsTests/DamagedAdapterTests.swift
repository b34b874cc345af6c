import Foundation
import Testing

@testable import ApusAdapters
@testable import ApusJSON
@testable import ApusLanguageModel
@testable import ApusModels
@testable import ApusNN
@testable import ApusTorch
@testable import ApusWeights

/// A damaged file of any method is an error that names the file and what is wrong with it.
struct DamagedAdapterTests {
    /// One case of each method that has files in the fixtures.
    static let cases: [String] = {
        var methods = Set<String>()
        return MethodParityTests.cases.filter { name in
            guard let json = try? Fixture.json("methods/\(name)/expected.json"),
                let tuner = json["tuner"]?.stringValue
            else { return false }
            return methods.insert(tuner).inserted
        }
    }()

    @Test func everyMethodOfPEFTHasACase() {
        let tuners = Set(
            Self.cases.compactMap { try? Fixture.json("methods/\($0)/expected.json")["tuner"]?.stringValue })
        // Those that PEFT does not have, and the one whose file is LoRA's.
        let others: Set = ["reft", "llamapro", "longlora", "xlora"]
        #expect(Set(AdapterMethods.all.map { $0.tunerType }).subtracting(others).subtracting(tuners).isEmpty)
    }

    /// A folder that is not there is not taken for one without files.
    @Test func whatIsNotThereIsSaid() throws {
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-nothing-\(UUID())").path
        let absent = "\(folder): there is no such folder; give"
        #expect(message { _ = try AdapterFiles.method(in: folder) }.hasPrefix(absent))
        #expect(message { _ = try AdapterFiles.weights(in: folder) }.hasPrefix(absent))
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let empty = "\(folder) holds no "
        #expect(message { _ = try AdapterFiles.method(in: folder) }.hasPrefix("\(empty)adapter_config.json; "))
        #expect(message { _ = try AdapterFiles.weights(in: folder) }.hasPrefix("\(empty)adapter_model.safetensors;"))
    }

    /// A copy of a case's folder that can be damaged.
    private struct Copy {
        let test: MethodCase
        let folder: URL
        let weights: URL
        let configuration: URL

        init(_ name: String) throws {
            test = try MethodCase(name)
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-damaged-\(UUID())")
            try FileManager.default.copyItem(at: test.fixture.folder, to: folder)
            weights = URL(fileURLWithPath: AdapterFiles.located(AdapterFiles.weightsName, in: folder.path))
            configuration = URL(
                fileURLWithPath: AdapterFiles.located(AdapterFiles.configurationName, in: folder.path))
        }

        /// Reads the adapter as every command does.
        func read() throws {
            let method = try AdapterFiles.method(in: folder.path)
            let model = try test.model()
            let attached = try method.attach(to: model, heads: model.headNames, trunk: model.trunk.name)
            try attached.load(from: folder.path, dtype: test.dtype, device: .cpu)
        }

        /// The message of reading it.
        func message() -> String {
            do {
                try read()
                return ""
            } catch {
                return "\(error)"
            }
        }

        func tensors() throws -> [WeightSource] {
            let file = try SafetensorsFile(path: weights.path)
            return try file.tensorNames.map { name in
                WeightSource(name, try file.tensor(name, dtype: file.dtype(of: name), device: .cpu).tensor.cloned())
            }
        }

        func write(_ tensors: [WeightSource]) throws { try SafetensorsWriter.write(tensors, to: weights.path) }

        func remove() { try? FileManager.default.removeItem(at: folder) }
    }

    @Test(arguments: cases) func weightsThatDoNotFitAreNamed(name: String) throws {
        let copy = try Copy(name)
        defer { copy.remove() }
        let file = try SafetensorsFile(path: copy.weights.path)
        let names = file.tensorNames
        func tensor(_ name: String) throws -> Tensor {
            try file.tensor(name, dtype: file.dtype(of: name), device: .cpu).tensor.cloned()
        }
        let all = try names.map { ($0, try tensor($0)) }
        // What a table of words holds beside an adapter may be left out, and what repeats another tensor.
        let needed = try #require(
            names.first { !$0.contains("base_layer") && !$0.contains("randlora_") && !$0.contains("lm_head") })
        func check(_ tensors: [(String, Tensor)], says words: [String], _ what: String) throws {
            try copy.write(tensors.map { WeightSource($0.0, $0.1) })
            let message = copy.message()
            for word in words + [copy.weights.lastPathComponent] {
                #expect(message.contains(word), "\(what): \(message)")
            }
        }
        try check(all.filter { $0.0 != needed }, says: all.count == 1 ? [] : [needed], "missing")
        let prefix = needed.hasPrefix("base_model.model.") ? "base_model.model." : ""
        try check(all + [(prefix + "nowhere.lora_A.weight", try Tensor.zeros([2]))], says: ["nowhere"], "extra")
        let reshaped = try all.map { ($0.0, $0.0 == needed ? try Tensor.zeros($0.1.shape + [2]) : $0.1) }
        try check(reshaped, says: [needed, "shape"], "shape")
        let whole = try Data(contentsOf: test(copy))
        for length in [0, 5, 40, whole.count / 2, whole.count - 1] {
            try whole.prefix(length).write(to: copy.weights)
            let message = copy.message()
            #expect(message.contains(copy.weights.lastPathComponent), "\(length) bytes: \(message)")
        }
    }

    private func test(_ copy: Copy) -> URL {
        URL(
            fileURLWithPath: AdapterFiles.located(AdapterFiles.weightsName, in: copy.test.fixture.folder.path))
    }

    /// Every key of every configuration, with a value of another type: it is refused by its name, or changes nothing.
    @Test(arguments: cases) func configurationsThatMakeNoSenseAreNamed(name: String) throws {
        let copy = try Copy(name)
        defer { copy.remove() }
        let text = try String(contentsOf: copy.configuration, encoding: .utf8)
        let object = try #require(try JSONValue(parsing: Data(text.utf8)).objectValue)
        try copy.read()
        // Keys that describe and decide nothing.
        let idle: Set = [
            "auto_mapping", "inference_mode", "peft_version", "revision", "base_model_name_or_path", "megatron_core",
            "num_transformer_submodules", "num_attention_heads", "num_layers", "qalora_group_size", "task_type",
            "tokenizer_name_or_path", "tokenizer_kwargs", "model_type", "dim", "fan_in_fan_out",
        ]
        for key in object.keys where !idle.contains(key) {
            var changed = object
            changed[key] = ["wrong": [1]]
            try Data(JSONValue.object(changed).serialized().utf8).write(to: copy.configuration)
            let message = copy.message()
            // What names tokens of modules is compared with the model, when the file is read already.
            let isRead = key == "trainable_token_indices"
            let namesFile = isRead || message.contains(AdapterFiles.configurationName)
            #expect(message.isEmpty || namesFile && message.contains(key), "\(key): \(message)")
            if message.isEmpty {
                // Read all the same: then it must be one of those that say nothing here.
                #expect(Self.unread.contains(key), "\(key) takes any value")
            }
        }
        // Numbers that are none, and words that are none of a list.
        for (key, value) in object {
            let isNumber = value.doubleValue != nil && !idle.contains(key) && !Self.unread.contains(key)
            guard isNumber else { continue }
            let pattern = "\"\(key)\": \(value.serialized())"
            guard text.contains(pattern) else { continue }
            let broken = text.replacingOccurrences(of: pattern, with: "\"\(key)\": NaN")
            try Data(broken.utf8).write(to: copy.configuration)
            let message = copy.message()
            #expect(message.contains(AdapterFiles.configurationName), "NaN of \(key): \(message)")
        }
        for key in ["peft_type", "swift_type"] where object[key] != nil {
            var changed = object
            changed[key] = "NOTHING"
            try Data(JSONValue.object(changed).serialized().utf8).write(to: copy.configuration)
            #expect(copy.message().contains("NOTHING"))
        }
        for damage in ["", "{", String(text.prefix(text.count / 2)), "[]", "null"] {
            try Data(damage.utf8).write(to: copy.configuration)
            let message = copy.message()
            #expect(message.contains(AdapterFiles.configurationName), "\(damage.prefix(10)): \(message)")
        }
    }

    /// Keys of PEFT's files that decide nothing in the methods that have them.
    static let unread: Set = [
        "lora_ga_config", "eva_config", "corda_config", "loftq_config", "encoder_hidden_size", "encoder_num_layers",
        "encoder_dropout", "encoder_reparameterization_type", "prefix_projection", "prompt_tuning_init",
        "prompt_tuning_init_text", "prompt_tuning_init_task", "prompt_tuning_init_state_dict_path", "init_weights",
        "token_dim", "total_step", "target_r", "init_r", "tinit", "tfinal", "deltaT", "beta1", "beta2",
        "orth_reg_weight", "r",
    ]
}
