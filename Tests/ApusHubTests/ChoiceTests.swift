import ApusHub
import ApusHubTesting
import ApusJSON
import Foundation
import Testing

@Suite struct ChoiceTests {
    private func chosen(_ paths: [String], _ choice: FileChoice = FileChoice(.model)) -> [String] {
        choice.chosen(of: paths.map { RemoteFile(path: $0, size: 1, digest: .none) }).map(\.path).sorted()
    }

    @Test func oneFormOfTheWeightsIsEnough() {
        let texts = ["config.json", "tokenizer.model", "vocab.txt", "chat_template.jinja"]
        let foreign = [
            "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "model.onnx_data", "modeling_x.py",
            ".gitattributes",
        ]
        let training = ["optimizer.pt", "training_args.bin", "rng_state_0.pth", "runs/events.out.tfevents.1"]
        #expect(
            chosen(texts + foreign + training + ["model.safetensors", "pytorch_model.bin"])
                == (texts + ["model.safetensors"]).sorted())
        #expect(chosen(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"])
        #expect(chosen(["a.gguf", "model.safetensors"]) == ["model.safetensors"])
        #expect(chosen(["a.gguf"]) == ["a.gguf"])
        // The parts of a sentence encoder choose for themselves.
        #expect(
            chosen(["model.safetensors", "2_Dense/pytorch_model.bin", "1_Pooling/config.json"])
                == ["1_Pooling/config.json", "2_Dense/pytorch_model.bin", "model.safetensors"])
        #expect(
            chosen(["consolidated.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
                == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
        #expect(chosen(["model.fp16.safetensors", "model.safetensors"]) == ["model.safetensors"])
        #expect(chosen(texts + ["model.safetensors"], FileChoice(.texts)) == texts.sorted())
        #expect(
            chosen(["adapter_model.safetensors", "adapter_config.json", "checkpoint-5/adapter_model.safetensors"]).count
                == 2)
    }

    @Test(arguments: [
        ("*.json", "a/b.json", true), ("a/", "a/b/c", true), ("a?c", "abc", true), ("a?c", "ac", false),
        ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false), ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxaxxcxxb", false),
        ("data/**", "data/x/y.json", true), ("", "", true), ("[", "[", true),
    ])
    func patterns(_ pattern: String, _ path: String, _ fits: Bool) {
        #expect(Glob.fits(pattern, path) == fits)
    }

    @Test func patternsChooseAmongFiles() {
        let paths = ["a.json", "b.json", "data/c.csv"]
        #expect(chosen(paths, FileChoice(.all, include: ["*.json"], exclude: ["b*"])) == ["a.json"])
        #expect(chosen(paths, FileChoice(.all, exclude: ["data/*"])) == ["a.json", "b.json"])
    }

    @Test func idsAreToldFromOtherWords() {
        #expect(Repository("Qwen/Qwen2.5-0.5B", kind: .model, on: .modelScope) != nil)
        #expect(Repository("gpt2", kind: .model, on: .huggingFace) != nil)
        for word in ["gpt2", "a/b/c", "../b", "/a", "a/", "", "a b/c", "./x/y", "a/..", "a/.b"] {
            #expect(Repository(word, kind: .model, on: .modelScope) == nil, "\(word)")
        }
        #expect(Hub.split("hf::a/b").hub == .huggingFace && Hub.split("ms::a/b").id == "a/b")
        #expect(Hub.split("a/b").hub == nil)
    }

    @Test func theEnvironmentSaysWhereHubsAndCachesAre() throws {
        var configuration = HubConfiguration(environment: [:], home: "/home/u")
        #expect(configuration.huggingFace.cache == "/home/u/.cache/huggingface/hub")
        #expect(configuration.modelScope.cache == "/home/u/.cache/modelscope")
        #expect(configuration.defaultHub == .modelScope && configuration.offlineReason == nil)
        configuration = HubConfiguration(
            environment: [
                "HF_HOME": "~/h", "HF_ENDPOINT": "mirror.example/", "HF_TOKEN": " t ",
                "MODELSCOPE_DOMAIN": "ms.example",
                "MODELSCOPE_CACHE": "/c", "USE_HF": "1", "HF_HUB_OFFLINE": "true", "MODELSCOPE_API_TOKEN": "m",
            ], home: "/home/u")
        #expect(configuration.huggingFace.cache == "/home/u/h/hub")
        #expect(configuration.huggingFace.endpoint == "https://mirror.example")
        #expect(configuration.huggingFace.token == "t" && configuration.huggingFace.tokenOrigin == "HF_TOKEN")
        #expect(configuration.modelScope.endpoint == "https://ms.example" && configuration.modelScope.token == "m")
        #expect(configuration.defaultHub == .huggingFace && configuration.offlineReason == "HF_HUB_OFFLINE=true")
    }

    /// The folder of the user is that of `HOME`, whatever the system has on record.
    @Test func theFolderOfTheUserIsHOME() {
        let configuration = HubConfiguration(environment: ["HOME": "/home/v", "MODELSCOPE_CACHE": "~/ms"])
        #expect(configuration.huggingFace.cache == "/home/v/.cache/huggingface/hub")
        #expect(configuration.modelScope.cache == "/home/v/ms")
    }
}
