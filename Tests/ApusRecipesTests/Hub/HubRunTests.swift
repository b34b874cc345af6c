import ApusDatasets
import ApusHub
import ApusHubTesting
import ApusJSON
import ApusLanguageModel
import Foundation
import Testing

@testable import ApusRecipes

/// Runs whose model, data and adapters are ids of a hub.
@Suite(.serialized) struct HubRunTests {
    private static let pairs = (0..<24).map {
        #"{"sentence1": "a man \#($0)", "sentence2": "a person \#($0)", "score": 0.\#($0 % 10)}"#
    }.joined(separator: "\n")
    private static let card = """
        ---
        configs:
        - config_name: default
          data_files:
          - split: train
            path: data/train-*
          - split: test
            path: data/test-*
        ---
        """

    /// A hub with a tiny model and the sentence pairs, and how a program reaches it.
    private static func hub(_ run: TinyRun) throws -> (server: HubServer, surroundings: Surroundings) {
        let server = try HubServer()
        for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
            let data = try Data(contentsOf: URL(fileURLWithPath: "\(run.folder.path)/model/\(name)"))
            try server.write(data, to: "models/Qwen/Qwen2.5-0.5B/\(name)")
        }
        try server.write("not weights", to: "models/Qwen/Qwen2.5-0.5B/pytorch_model.bin")
        try server.write(pairs, to: "datasets/sentence-transformers/stsb/data/train-00000-of-00001.jsonl")
        try server.write("{}", to: "datasets/sentence-transformers/stsb/data/test-00000-of-00001.jsonl")
        try server.write(card, to: "datasets/sentence-transformers/stsb/README.md")
        var surroundings = Surroundings(environment: server.environment)
        surroundings.reachesHubs = true
        return (server, surroundings)
    }

    @Test(arguments: [false, true])
    func theTutorialsRegressionRunsWithItsIds(usesHuggingFace: Bool) throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        var settings = run.settings
        settings.model.name = "Qwen/Qwen2.5-0.5B"
        settings.model.numLabels = 1
        settings.data.dataset = ["sentence-transformers/stsb:reg#20"]
        settings.hub.useHuggingFace = usesHuggingFace
        settings.hub.token = "hf_good"
        settings.optimization.maxSteps = 2
        settings.encoding.useChatTemplate = false
        settings.encoding.truncationStrategy = .right
        try server.rules()
        let outcome = try FineTuning(settings, surroundings: surroundings)()
        let fetched = try server.log().compactMap { $0["path"]?.stringValue }
        #expect(!fetched.contains { $0.contains("pytorch_model.bin") || $0.contains("test-00000") })
        let checkpoint = try #require(outcome.lastCheckpoint)
        let adapter = try String(contentsOfFile: "\(checkpoint)/adapter_config.json", encoding: .utf8)
        #expect(
            adapter.contains(#""base_model_name_or_path": "Qwen/Qwen2.5-0.5B""#), "the id, not a path of this machine")
        let arguments = try String(contentsOfFile: "\(checkpoint)/args.json", encoding: .utf8)
        #expect(!arguments.contains("hf_good"))
        // With what is there now, nobody is asked for the model.
        try server.rules()
        let folder = try surroundings.reaching(settings.hub).modelFolder("Qwen/Qwen2.5-0.5B", need: .weights)
        #expect(try folder.contains(usesHuggingFace ? "/hf/hub/models--" : "/ms/models/") && server.log().isEmpty)
        // Data sets serve from the cache where nobody answers.
        var alone = settings
        alone.output.outputDirectory = "\(run.folder.path)/alone"
        var away = surroundings
        away.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
        away.environment["MODELSCOPE_ENDPOINT"] = "http://127.0.0.1:9"
        #expect(try FineTuning(alone, surroundings: away)().lastCheckpoint != nil)
    }

    @Test func aDataSetOfAHubIsStreamed() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        defer { withExtendedLifetime(server) {} }
        var settings = run.settings
        settings.model.name = "hf::Qwen/Qwen2.5-0.5B"
        let rows = (0..<12).map { #"{"query": "a \#($0)", "response": "b"}"# }.joined(separator: "\n")
        try server.write(rows, to: "datasets/tester/short/data/train-00000-of-00001.jsonl")
        settings.data.dataset = ["hf::tester/short#10"]
        settings.batches.streaming = true
        settings.optimization.maxSteps = 2
        #expect(try FineTuning(settings, surroundings: surroundings)().lastCheckpoint != nil)
        // What only pairs are is no conversation.
        settings.data.dataset = ["hf::sentence-transformers/stsb:reg"]
        #expect(throws: (any Error).self) { try FineTuning(settings, surroundings: surroundings)() }
    }

    @Test(arguments: [true, false])
    func anAdapterIsPublishedAndUsedByItsId(onHuggingFace: Bool) throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        var settings = run.settings
        settings.model.name = "hf::Qwen/Qwen2.5-0.5B"
        settings.optimization.maxSteps = 1
        settings.hub.useHuggingFace = onHuggingFace
        settings.hub.token = "hf_good"
        settings.hub.push = true
        settings.hub.modelID = "my-adapter"
        _ = try FineTuning(settings, surroundings: surroundings)()
        let published = try FileManager.default.contentsOfDirectory(atPath: "\(server.root)/models/tester/my-adapter")
        #expect(
            Set(published).isSuperset(of: [
                "README.md", "adapter_config.json", "adapter_model.safetensors", "args.json",
            ]))
        #expect(published.contains("configuration.json") == !onHuggingFace)
        #expect(!published.contains { $0.hasPrefix("optimizer") || $0 == "MANIFEST.json" || $0 == "apus_state.json" })

        let line = try ArgumentLine(["--adapters", "\(onHuggingFace ? "hf" : "ms")::tester/my-adapter"], for: .infer)
        let fetched = try HubAdapters.fetched(line, environment: server.environment)
        var folders: [String] = []
        if case .list(let list)? = fetched["adapters"] { folders = list }
        #expect(folders.count == 1 && FileManager.default.fileExists(atPath: "\(folders[0])/adapter_model.safetensors"))
        var notices: [String] = []
        let infer = try InferSettings(fetched, notices: &notices)
        #expect(throws: Never.self) { try Inference(infer, surroundings: surroundings) }
    }

    /// What a download that was broken off has left is not taken for the whole where no hub is reached: by what the hub
    /// listed, else by the numbers of parts and by files that are being fetched.
    @Test(arguments: [true, false]) func aPartOfADataSetIsNotTheWhole(onHuggingFace: Bool) throws {
        let server = try HubServer()
        // It ends with the value.
        defer { withExtendedLifetime(server) {} }
        let id = "\(onHuggingFace ? "hf" : "ms")::owner/shards"
        let names = (0..<3).map { "data/train-0000\($0)-of-00003.jsonl" }
        for name in names { try server.write(#"{"query": "a", "response": "b"}"#, to: "datasets/owner/shards/\(name)") }
        var surroundings = Surroundings(environment: server.environment)
        surroundings.reachesHubs = true
        func rows(offline: Bool) throws -> Int {
            var away = surroundings
            if offline { away.environment["HF_HUB_OFFLINE"] = "1" }
            var loader = DatasetLoader()
            let fetcher = try DatasetFetcher(away.reaching(HubSettings()), files: [])
            loader.fetching = { try fetcher($0) }
            return try loader.load([id]).train.count
        }
        func refusal() -> String? {
            let error = #expect(throws: DatasetError.self) { try rows(offline: true) }
            return error?.description
        }
        #expect(try rows(offline: false) == 3)
        #expect(try rows(offline: true) == 3)
        let root = server.scratch(onHuggingFace ? "hf/hub/datasets--owner--shards" : "ms/datasets/owner--shards")
        let snapshots = try FileManager.default.contentsOfDirectory(atPath: "\(root)/snapshots")
        let snapshot = "\(root)/snapshots/\(try #require(snapshots.first))"
        try FileManager.default.removeItem(atPath: "\(snapshot)/\(names[1])")
        #expect(refusal()?.contains("`apus download --dataset \(id)` fetches the rest") == true)
        if onHuggingFace {
            #expect(refusal()?.contains("of 3 files that are wanted 1 are not there in full (\(names[1]))") == true)
            try FileManager.default.removeItem(atPath: server.scratch("cache/apus/listings"))
        }
        #expect(refusal()?.contains("there are 2 of 3 files data/train-…-of-00003.jsonl") == true)
        // With the part there again, only what is being fetched says so.
        try Data(#"{"query": "a", "response": "b"}"#.utf8).write(to: URL(fileURLWithPath: "\(snapshot)/\(names[1])"))
        #expect(try rows(offline: true) == 3)
        let partial = onHuggingFace ? "\(root)/blobs/0a.incomplete" : "\(snapshot)/data/more.jsonl.incomplete"
        try Data("{".utf8).write(to: URL(fileURLWithPath: partial))
        #expect(refusal()?.contains("\(partial) is a file that was not fetched to its end") == true)
        try FileManager.default.removeItem(atPath: partial)
        guard onHuggingFace else { return }
        // huggingface_hub 2 fetches under a name for each try, and one that was killed leaves its own.
        let part = URL(fileURLWithPath: "\(root)/blobs/0a.1b2c3d4e.incomplete")
        try Data("{".utf8).write(to: part)
        #expect(refusal()?.contains("\(part.path) is a file that was not fetched to its end") == true)
        try Data("{}".utf8).write(to: URL(fileURLWithPath: "\(root)/blobs/0a"))
        #expect(try rows(offline: true) == 3)
    }

    /// A folder of the user's may lack what it likes, but not hold a file that is being fetched.
    @Test func aFolderThatIsBeingFetchedIsNotRead() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/.cache/huggingface/download", withIntermediateDirectories: true)
        try folder.write(#"{"query": "a", "response": "b"}"#, to: "train-00001-of-00002.jsonl")
        let partial = ".cache/huggingface/download/train-00000-of-00002.jsonl.0a.incomplete"
        try folder.write("{", to: partial)
        let fetcher = try DatasetFetcher(Surroundings(), files: [])
        var loader = DatasetLoader()
        loader.fetching = { try fetcher($0) }
        let error = #expect(throws: DatasetError.self) { try loader.load([folder.path]) }
        #expect(error?.description.contains("was not fetched to its end: there is \(folder.path)/\(partial)") == true)
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(partial)")
        #expect(try loader.load([folder.path]).train.count == 1)
        // huggingface_hub names parts by base64url(SHA-1("<file>.metadata")): here that of the file that is there, as of
        // a try that was killed, then that of the other.
        let state = ".cache/huggingface/download"
        try folder.write("{", to: "\(state)/kLmX54dUgrcKVF9QPZvPSjhsOgY=.0a.1b2c3d4e.incomplete")
        #expect(try loader.load([folder.path]).train.count == 1)
        for word in ["", ".1b2c3d4e"] {
            let other = "\(state)/7IX-Jzy7VYI2QRLs3CTb77D7bpM=.0a\(word).incomplete"
            try folder.write("{", to: other)
            let error = #expect(throws: DatasetError.self) { try loader.load([folder.path]) }
            #expect(error?.description.contains("there is \(folder.path)/\(other)") == true)
            try FileManager.default.removeItem(atPath: "\(folder.path)/\(other)")
        }
    }

    @Test func whatCannotBeHadIsSaidBeforeAnythingIsWritten() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        // It ends with the value.
        defer { withExtendedLifetime(server) {} }
        func message(_ change: (inout SFTSettings) -> Void) -> String {
            var settings = run.settings
            change(&settings)
            do {
                _ = try FineTuning(settings, surroundings: surroundings)()
                return ""
            } catch {
                return "\(error)"
            }
        }
        var text = message { $0.model.name = "Qwen/Qwen9" }
        #expect(text.contains("--model Qwen/Qwen9: there is no such folder") && text.contains("--use_hf true"))
        text = message { $0.model.name = "Qwen9" }
        #expect(text.contains("no such file or folder") && text.contains("has an owner"))
        text = message { $0.data.dataset = ["owner/nothing"] }
        #expect(text.contains("--dataset owner/nothing") && text.contains("no such data set"))
        text = message { $0.data.dataset = ["sentence-transformers/stsb:nope"] }
        #expect(text.contains("no subset \"nope\""))
        text = message { $0.data.dataset = ["simpleai/HC3"] }
        #expect(text.contains("rewrites by a program"))
        text = message { $0.hub.push = true }
        #expect(text.contains("MODELSCOPE_API_TOKEN"))
        text = message {
            $0.hub.push = true
            $0.hub.useHuggingFace = true
        }
        #expect(text.contains("HF_TOKEN"))
        #expect(!FileManager.default.fileExists(atPath: run.output))
    }

    @Test func ofAModelWhoseWeightsAreNotNeededTheTextsCome() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        var settings = TokenizeSettings(model: "Qwen/Qwen2.5-0.5B")
        settings.hub.useHuggingFace = true
        try server.rules()
        #expect(try TokenizeTool(settings, surroundings: surroundings).encoded("a").hasPrefix("["))
        #expect(try !server.log().contains { $0["path"]?.stringValue?.contains("safetensors") == true })
    }

    @Test func theCommandFetchesWhatItIsTold() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        var notices: [String] = []
        let line = try ArgumentLine(
            ["hf::Qwen/Qwen2.5-0.5B", "--include", "*.json", "--local_dir", server.scratch("mine")], for: .download)
        let settings = try DownloadSettings(line, notices: &notices)
        #expect(settings.ids == ["hf::Qwen/Qwen2.5-0.5B"])
        let folders = try Download(settings, surroundings: surroundings)()
        #expect(folders == [server.scratch("mine")])
        let names = try FileManager.default.contentsOfDirectory(atPath: server.scratch("mine")).sorted()
        #expect(names == [".cache", "config.json", "tokenizer.json", "tokenizer_config.json"])
        #expect(throws: UsageError.self) { try DownloadSettings(ArgumentLine([], for: .download), notices: &notices) }
        let behind = try DownloadSettings(
            ArgumentLine(["--use_hf", "true", "a/b", "--repo_type", "dataset"], for: .download), notices: &notices)
        #expect(behind.ids == ["a/b"] && behind.hub.useHuggingFace == true && behind.kind == .dataset)
    }

    /// Where the hubs are not to be asked, what lies in a cache is shown all the same.
    @Test func theCommandShowsWhatIsThereWithoutTheNetwork() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        let settings = DownloadSettings(["hf::Qwen/Qwen2.5-0.5B"])
        var away = surroundings
        away.environment["HF_HUB_OFFLINE"] = "1"
        let nowhere = #expect(throws: HubError.self) { try Download(settings, surroundings: away)() }
        #expect(nowhere?.description.contains("not on this machine") == true)
        let folders = try Download(settings, surroundings: surroundings)()
        try server.rules()
        #expect(try Download(settings, surroundings: away)() == folders)
        // An id without a hub is looked for in both caches.
        #expect(try Download(DownloadSettings(["Qwen/Qwen2.5-0.5B"]), surroundings: away)() == folders)
        var elsewhere = settings
        elsewhere.localDirectory = server.scratch("mine")
        let refused = #expect(throws: HubError.self) { try Download(elsewhere, surroundings: away)() }
        #expect(refused?.description.contains("lies in \(folders[0])") == true)
        #expect(try server.log().isEmpty)
    }

    /// Without the network, files that are wanted and not there are no success.
    @Test func theCommandTellsWhatIsNotThere() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        var away = surroundings
        away.environment["HF_HUB_OFFLINE"] = "1"
        func refusal(_ settings: DownloadSettings) -> String {
            let error = #expect(throws: HubError.self) { try Download(settings, surroundings: away)() }
            #expect(error?.kind == .offline)
            return error?.description ?? ""
        }
        var rows = DownloadSettings()
        rows.datasets = ["hf::sentence-transformers/stsb"]
        rows.include = ["*.md", "data/train-*"]
        let folders = try Download(rows, surroundings: surroundings)()
        #expect(try Download(rows, surroundings: away)() == folders)
        // In the cache of Hugging Face, whichever hub is looked at first.
        rows.datasets = ["sentence-transformers/stsb"]
        #expect(try Download(rows, surroundings: away)() == folders)
        rows.include = []
        let test = "data/test-00000-of-00001.jsonl"
        #expect(refusal(rows).contains("wanted 1 are not in \(folders[0]) in full (\(test))"))
        rows.exclude = ["data/test-*"]
        #expect(try Download(rows, surroundings: away)() == folders)
        var model = DownloadSettings(["hf::Qwen/Qwen2.5-0.5B"])
        let whole = try Download(model, surroundings: surroundings)()
        model.include = ["config.json"]
        #expect(try Download(model, surroundings: away)() == whole)
        model.include = ["nothere.bin"]
        #expect(refusal(model).contains("none of the files in \(whole[0]) is wanted"))
        withExtendedLifetime(server) {}
    }

    @Test func ofAModelInSeveralGGUFFilesOneHasToBeChosen() throws {
        let run = try TinyRun()
        let (server, surroundings) = try Self.hub(run)
        for name in ["a-Q4_K_M.gguf", "a-Q8_0.gguf"] { try server.write("GGUF", to: "models/owner/a-GGUF/\(name)") }
        var settings = run.settings
        settings.model.name = "owner/a-GGUF"
        let error = #expect(throws: HubError.self) { try FineTuning(settings, surroundings: surroundings) }
        #expect(error?.description.contains("--include 'a-Q4_K_M.gguf'") == true)
    }
}
