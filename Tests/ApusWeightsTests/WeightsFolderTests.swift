import ApusTorch
import Foundation
import Testing

@testable import ApusWeights

/// Which files of a folder are a model's weights, and what is said of folders that hold something else.
struct WeightsFolderTests {
    private static func tensors(_ names: [String]) -> [WeightSource] {
        names.map { WeightSource(name: $0, dtype: .uint8, shape: [1], bytes: [7]) }
    }

    /// A folder with safetensors files of one tensor each, and other files with their text.
    private static func folder(
        _ files: [String: [String]], texts: [String: String] = [:]
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, names) in files {
            try SafetensorsWriter.write(tensors(names), to: "\(folder.path)/\(name)")
        }
        for (name, text) in texts { _ = try folder.file(name, Array(text.utf8)) }
        return folder
    }

    private static func open(_ folder: TemporaryFolder) throws -> any TensorStore {
        try WeightsFolder(folder.path).open()
    }

    private static func error(_ folder: TemporaryFolder) -> String {
        #expect(throws: WeightsError.self) { try open(folder) }?.description ?? ""
    }

    private static let index = #"{"weight_map": {"a": "model-1.safetensors"}}"#

    @Test(arguments: [
        (["model.safetensors": ["a"], "other.safetensors": ["b"], "consolidated.safetensors": ["c"]], ["a"]),
        (["model.fp16.safetensors": ["a"]], ["a"]),
        (["model.fp16.safetensors": ["a"], "consolidated.safetensors": ["c"]], ["a"]),
        (["weights-of-mine.safetensors": ["a"], "adapter_model.safetensors": ["b"]], ["a"]),
        (["weights.safetensors": ["a"], "optimizer.safetensors": ["b"], "._weights.safetensors": ["c"]], ["a"]),
        (["model-00001-of-00002.safetensors": ["a"], "model-00002-of-00002.safetensors": ["b"]], ["a", "b"]),
        (["consolidated.safetensors": ["model.norm.weight"]], ["model.norm.weight"]),
    ])
    func takesWhatIsTheModels(files: [String: [String]], names: [String]) throws {
        let folder = try Self.folder(files)
        #expect(try Self.open(folder).tensorNames.sorted() == names)
        #expect(try WeightsFolder(folder.path).holdsWeights)
    }

    @Test func saysWhichPartsAreMissing() throws {
        let text = try Self.error(Self.folder(["model-00001-of-00003.safetensors": ["a"]]))
        #expect(text.contains("1 of the 3 parts") && text.contains("part 2") && text.contains("download"))
    }

    @Test func asksForOneOfSeveral() throws {
        let text = try Self.error(Self.folder(["a.safetensors": ["a"], "b.safetensors": ["b"]]))
        #expect(text.contains("a.safetensors, b.safetensors") && text.contains("several"))
    }

    @Test(
        arguments: [
            ([:], ["tf_model.h5": "x"], "TensorFlow"),
            ([:], ["flax_model.msgpack": "x"], "Flax"),
            ([:], ["model.safetensors.incomplete": "x"], "has not ended"),
            ([:], ["adapter_config.json": "{}"], "--adapters"),
            (["adapter_model.safetensors": ["a"]], [:], "--adapters"),
            ([:], ["a.gguf": "x", "b.gguf": "x"], "a.gguf, b.gguf"),
            ([:], ["notes.txt": "x"], "neither model.safetensors"),
            ([:], ["model.safetensors": ""], "empty"),
            (
                [:], ["model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 99\n"],
                "git lfs pull"
            ),
            ([:], ["pytorch_model.bin": "version https://git-lfs.github.com/spec/v1\nsize 99\n"], "git-lfs pointer"),
            ([:], ["model.safetensors": "<!DOCTYPE html><title>Sign in</title>"], "web page"),
            ([:], ["model.safetensors": #"{"error": "Repository not found"}"#], "JSON"),
            ([:], ["model.safetensors.index.json": "version https://git-lfs.github.com/spec/v1\n"], "git-lfs pointer"),
            ([:], ["model.safetensors": "GGUF\u{3}\0\0\0and more"], "GGUF file"),
            (["model.safetensors": ["tok_embeddings.weight"]], [:], "Mistral"),
            (["model.safetensors": ["model.layers.0.q.base_layer.weight"]], [:], "merge_and_unload"),
            (["model.safetensors": ["base_model.model.q.lora_A.weight"]], [:], "--adapters"),
            (["model.safetensors": ["model.layers.0.q.qweight"]], [:], "GPTQ"),
            (["model.safetensors": ["q.weight", "q.scales", "q.biases"]], [:], "MLX"),
        ] as [([String: [String]], [String: String], String)])
    func namesWhatIsThereInstead(files: [String: [String]], texts: [String: String], word: String) throws {
        let text = try Self.error(Self.folder(files, texts: texts))
        #expect(text.contains(word), "\(text)")
        #expect(text.contains("; "), "a way out: \(text)")
    }

    @Test func wrappersLeaveTheNames() throws {
        let folder = try Self.folder(["model.safetensors": ["module._orig_mod.a.b", "module._orig_mod.c"]])
        let store = try Self.open(folder)
        #expect(store.tensorNames.sorted() == ["a.b", "c"])
        #expect(try store.shape(of: "a.b") == [1])
        #expect(try store.dtype(of: "c") == .uint8)
        #expect(throws: WeightsError.self) { try store.shape(of: "absent") }
        // Where names would fall together they stay as they are.
        let twins = try Self.folder(["model.safetensors": ["_orig_mod.a", "a"]])
        #expect(try Self.open(twins).tensorNames.sorted() == ["_orig_mod.a", "a"])
        // "model." belongs to most models; only a second one behind it makes the first a wrapper's.
        let plain = try Self.folder(["model.safetensors": ["model.embed_tokens.weight", "model.norm.weight"]])
        #expect(try Self.open(plain).tensorNames.sorted() == ["model.embed_tokens.weight", "model.norm.weight"])
    }

    @Test func namesOfTiedWeightsAreKept() throws {
        let folder = try TemporaryFolder()
        let metadata = ["format": "pt", "_orig_mod.tied": "_orig_mod.kept", "gone": "absent", "_orig_mod.kept": "x"]
        try SafetensorsWriter.write(
            Self.tensors(["_orig_mod.kept", "_orig_mod.x"]), metadata: metadata, to: "\(folder.path)/model.safetensors")
        #expect(
            try SafetensorsFile(path: "\(folder.path)/model.safetensors").aliases
                == ["_orig_mod.tied": "_orig_mod.kept"])
        #expect(try ModelWeights(folder: folder.path).aliases == ["_orig_mod.tied": "_orig_mod.kept"])
        #expect(try Self.open(folder).aliases == ["tied": "kept"])
    }

    @Test func ggufFilesAreModelsNotParts() throws {
        let names = [
            "m-Q4.gguf", "m-Q8-00001-of-00002.gguf", "m-Q8-00002-of-00002.gguf", "mmproj-m.gguf", "._m-Q4.gguf",
        ]
        let folder = try Self.folder([:], texts: Dictionary(uniqueKeysWithValues: names.map { ($0, "x") }))
        #expect(try WeightsFolder(folder.path).ggufFiles == ["m-Q4.gguf", "m-Q8-00001-of-00002.gguf"])
        #expect(try !WeightsFolder(folder.path).holdsWeights)
    }
}

/// `.bin` files in shards and inside what training programs put around them.
struct PyTorchShardsTests {
    private static func folder(_ shards: [String: String], index: String?) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for (name, source) in shards { _ = try folder.file(name, try contents(fixture("pytorch/\(source).bin"))) }
        if let index { _ = try folder.file("pytorch_model.bin.index.json", Array(index.utf8)) }
        return folder
    }

    private static let shards = [
        "pytorch_model-00001-of-00002.bin": "module", "pytorch_model-00002-of-00002.bin": "wrapped-twice",
    ]

    private static func check(_ folder: TemporaryFolder) throws {
        let store = try WeightsFolder(folder.path).open()
        for source in ["module", "wrapped"] {
            let expected = try SafetensorsFile(path: fixture("pytorch/\(source).safetensors"))
            for name in expected.tensorNames {
                let dtype = try expected.dtype(of: name)
                let read = try store.tensor(name, dtype: dtype, device: .cpu).tensor
                #expect(try read.equals(expected.tensor(name, dtype: dtype, device: .cpu).tensor), "\(name)")
            }
        }
    }

    @Test func shardsAreReadByTheirIndexOrByTheirNames() throws {
        let expected = try ["module", "wrapped"].map { try SafetensorsFile(path: fixture("pytorch/\($0).safetensors")) }
        let map =
            expected[0].tensorNames.map { #""\#($0)": "pytorch_model-00001-of-00002.bin""# }
            + expected[1].tensorNames.map { #""\#($0)": "pytorch_model-00002-of-00002.bin""# }
        try Self.check(Self.folder(Self.shards, index: #"{"weight_map": {\#(map.joined(separator: ","))}}"#))
        try Self.check(Self.folder(Self.shards, index: nil))
    }

    @Test(arguments: [
        (#"{"weight_map": {"0.weight": "pytorch_model-00003-of-00002.bin"}}"#, "is missing"),
        (#"{"weight_map": {"0.weight": "../x.bin"}}"#, "not a .bin file in this folder"),
        (#"{"weight_map": {"0.weight": "pytorch_model-00002-of-00002.bin"}}"#, "does not hold this tensor"),
        (#"{"weight_map": {"absent": "pytorch_model-00001-of-00002.bin"}}"#, "does not hold this tensor"),
    ])
    func anIndexThatDoesNotFitIsNamed(index: String, word: String) throws {
        let folder = try Self.folder(Self.shards, index: index)
        let error = #expect(throws: WeightsError.self) { try WeightsFolder(folder.path).open() }
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        "wrapped-state-dict", "wrapped-model", "wrapped-module", "wrapped-twice", "prefixed-module",
        "prefixed-compiled", "prefixed-inside",
    ])
    func whatIsAroundTheTableIsLeftAside(name: String) throws {
        let file = try UnwrappedStore.unwrapping(PyTorchFile(path: fixture("pytorch/\(name).bin")))
        let expected = try SafetensorsFile(path: fixture("pytorch/wrapped.safetensors"))
        #expect(Set(file.tensorNames) == Set(expected.tensorNames))
        for name in expected.tensorNames {
            let read = try file.tensor(name, dtype: .float32, device: .cpu).tensor
            #expect(try read.equals(expected.tensor(name, dtype: .float32, device: .cpu).tensor), "\(name)")
        }
    }
}
