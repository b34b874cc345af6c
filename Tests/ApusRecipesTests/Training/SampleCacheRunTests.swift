import ApusDatasets
import ApusJSON
import ApusLanguageModel
import ApusText
import Foundation
import Testing

@testable import ApusRecipes

/// A second run over the same rows takes their tokens from the cache.
@Suite(.serialized) struct SampleCacheRunTests {
    private func run(_ run: TinyRun, to name: String, _ change: (inout SFTSettings) -> Void = { _ in }) throws {
        var settings = run.settings
        settings.output.outputDirectory = "\(run.folder.path)/\(name)"
        settings.optimization.maxSteps = 2
        settings.data.dataset = ["\(run.folder.path)/rows.jsonl"]
        settings.data.splitDatasetRatio = 0.01
        settings.encoding.useChatTemplate = false
        settings.encoding.maxLength = 8
        settings.data.maxDroppedRatio = 1
        change(&settings)
        let surroundings = Surroundings(environment: ["HF_DATASETS_CACHE": "\(run.folder.path)/cache"])
        _ = try FineTuning(settings, surroundings: surroundings)()
    }

    private func kept(_ run: TinyRun) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "\(run.folder.path)/cache/apus")
        return (names ?? []).filter { !$0.hasPrefix(".") }
    }

    @Test func theSameRunComesOfIt() throws {
        let tiny = try TinyRun(rows: 5300)
        func file(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: "\(tiny.folder.path)/\(name)"))
        }
        try run(tiny, to: "off") { $0.data.loadFromCacheFile = false }
        #expect(kept(tiny).isEmpty)
        try run(tiny, to: "first")
        #expect(kept(tiny).count == 1)
        try run(tiny, to: "second")
        #expect(kept(tiny).count == 1)
        for name in ["dropped.jsonl", "val_dataset.jsonl", "checkpoint-2/adapter_model.safetensors"] {
            #expect(try file("off/\(name)") == file("first/\(name)"))
            #expect(try file("off/\(name)") == file("second/\(name)"))
        }
        #expect(try file("off/dropped.jsonl").count > 1000)
        // What decides about tokens makes another name; what does not keeps it.
        try run(tiny, to: "rate") { $0.optimization.learningRate = 1e-3 }
        #expect(kept(tiny).count == 1)
        try run(tiny, to: "scale") { $0.encoding.lossScale = .all }
        #expect(kept(tiny).count == 2)
        try tiny.folder.write(#"{"eos_token": "<|endoftext|>"}"#, to: "model/tokenizer_config.json")
        try run(tiny, to: "end") { $0.encoding.lossScale = .all }
        #expect(kept(tiny).count == 3)
    }

    /// A name comes of what texts are made of, wherever that lies, and of nothing else.
    @Test func namesComeOfTextsAlone() throws {
        let tiny = try TinyRun()
        let model = "\(tiny.folder.path)/model"
        func digests(_ path: String? = nil) throws -> JSONObject {
            try ModelSource(path ?? model, surroundings: Surroundings()).textDigests()
        }
        let first = try digests()
        #expect(first.map(\.key).sorted() == ["config.json", "tokenizer.json", "tokenizer_config.json"])
        try tiny.folder.write("# A model", to: "model/README.md")
        try tiny.folder.write("{}", to: "model/model.safetensors.index.json")
        try tiny.folder.write("{}", to: "model/trainer_state.json")
        #expect(mkfifo("\(model)/pipe.json", 0o600) == 0)
        try FileManager.default.createSymbolicLink(atPath: "\(model)/gone.json", withDestinationPath: "nowhere")
        #expect(try digests() == first)
        try FileManager.default.removeItem(atPath: "\(model)/pipe.json")
        try FileManager.default.copyItem(atPath: model, toPath: "\(tiny.folder.path)/moved")
        #expect(try digests("\(tiny.folder.path)/moved") == first)
        // Templates of one name in two places are two.
        try FileManager.default.createDirectory(
            atPath: "\(model)/additional_chat_templates", withIntermediateDirectories: true)
        try tiny.folder.write("a", to: "model/chat_template.jinja")
        try tiny.folder.write("b", to: "model/additional_chat_templates/chat_template.jinja")
        let templates = try digests()
        #expect(templates.count == 5)
        try tiny.folder.write("c", to: "model/chat_template.jinja")
        #expect(try digests() != templates)
        // Of the caches of hubs links are followed.
        try FileManager.default.moveItem(atPath: "\(model)/tokenizer.json", toPath: "\(tiny.folder.path)/blob")
        try FileManager.default.createSymbolicLink(
            atPath: "\(model)/tokenizer.json", withDestinationPath: "\(tiny.folder.path)/blob")
        #expect(try digests()["tokenizer.json"] == first["tokenizer.json"])
        #if os(Linux)
            // A file that is there and cannot be read.
            try FileManager.default.createSymbolicLink(
                atPath: "\(model)/broken.json", withDestinationPath: "/proc/self/mem")
            #expect(throws: (any Error).self) { try digests() }
        #endif
    }

    /// The copy of a model that knows new special tokens has another name.
    @Test func newTokensMakeAnotherName() throws {
        let tiny = try TinyRun()
        let source = try ModelSource("\(tiny.folder.path)/model", surroundings: Surroundings())
        func digests(_ tokens: [String]) throws -> JSONObject {
            let copy = try EnlargedModel(source, adding: tokens).written(
                in: tiny.folder.path, task: .causalLanguageModel, tell: { _ in })
            return try ModelSource(copy, surroundings: Surroundings()).textDigests()
        }
        let names = try [[], ["<a>"], ["<b>"], ["<a>", "<b>"]].map { try digests($0)["tokenizer.json"]?.stringValue }
        #expect(Set(names.compactMap(\.self)).count == 4)
    }

    /// A template that shows the day has samples for that day, one that shows the time has them for a second.
    @Test(arguments: [
        ("%d %b %Y", true), ("%-d.%m.%y", true), ("%Y-%m-%d %H:%M", false), ("%c", false), ("' ~ format ~ '", false),
    ])
    func aDateInTextsIsPartOfTheName(format: String, isOfDays: Bool) throws {
        let tiny = try TinyRun()
        try tiny.folder.write(
            "{% if true %}{{ strftime_now('\(format)') }}{%if messages%}{{ messages[0].content }}{%endif%}{% endif %}",
            to: "model/chat_template.jinja")
        let text = try TextParts(ModelSource("\(tiny.folder.path)/model", surroundings: Surroundings()))
        let dates = [1e9, 1e9 + 1, 1e9 + 86400].map { text.with(.fixed(Date(timeIntervalSince1970: $0))).date }
        #expect(
            dates
                == (isOfDays
                    ? ["2001-09-09", "2001-09-09", "2001-09-10"]
                    : ["2001-09-09T01:46:40", "2001-09-09T01:46:41", "2001-09-10T01:46:40"]))
    }
}
