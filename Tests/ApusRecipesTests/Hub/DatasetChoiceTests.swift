import ApusDatasets
import ApusHub
import ApusJSON
import ApusText
import Foundation
import Synchronization
import Testing

@testable import ApusRecipes

/// Which files a data set's name, subset and split stand for.
@Suite struct DatasetChoiceTests {
    private func files(
        _ paths: [String], card: String = "", split: String = "train", subset: String? = nil
    ) throws -> [String] {
        try chosen(paths, card: card, split: split, subset: subset).files
    }

    private func chosen(
        _ paths: [String], card: String = "", split: String = "train", subset: String? = nil
    ) throws -> DataFileChoice.Chosen {
        try DataFileChoice(paths: paths, card: DatasetCard(card)).files(split: split, subset: subset)
    }

    /// A card with one subset.
    private func card(_ lines: String...) -> String {
        "---\nconfigs:\n- config_name: default\n" + lines.map { "  \($0)\n" }.joined() + "---\n"
    }

    @Test func theCardSaysWhichFiles() throws {
        let card = """
            ---
            license: mit
            configs:
            - config_name: en
              data_files:
              - split: train
                path: [en/train-*, en/more.jsonl]
              - split: dev
                path: "en/dev*"
            - config_name: zh
              data_dir: zh
              data_files: "*.csv"
            - config_name: all
              data_files: "**/*.jsonl"
            ---
            # A data set
            """
        let paths = ["README.md", "en/train-0.jsonl", "en/more.jsonl", "en/dev.jsonl", "zh/a.csv", "zh/b.csv"]
        #expect(try files(paths, card: card, subset: "en") == ["en/train-0.jsonl", "en/more.jsonl"])
        #expect(try files(paths, card: card, split: "validation", subset: "en") == ["en/dev.jsonl"])
        #expect(try files(paths, card: card, subset: "zh") == ["zh/a.csv", "zh/b.csv"])
        #expect(try files(paths, card: card, subset: "all").count == 3)
        for (subset, words) in [(nil, "one has to be named behind a colon: en, zh, all"), ("fr", "no subset \"fr\"")] {
            let error = #expect(throws: DatasetChoiceError.self) { try files(paths, card: card, subset: subset) }
            #expect(error?.description.contains(words) == true)
        }
        let error = #expect(throws: DatasetChoiceError.self) {
            try files(paths, card: card, split: "test", subset: "en")
        }
        #expect(error?.description.contains("no split \"test\"") == true)
    }

    /// The rules of fsspec, by which `datasets` looks for files.
    @Test(arguments: [
        ("*.jsonl", "a.jsonl", true), ("*.jsonl", "test/a.jsonl", false), ("data/*", "data/a", true),
        ("data/*", "data/test/a", false), ("sub/*.jsonl", "sub/deep/a.jsonl", false), ("*/a", "b/a", true),
        ("*/a", "b/c/a", false), ("*/a", "a", false), ("a?c", "a/c", false), ("a[!b]c", "a/c", false),
        ("a?c", "abc", true), ("a?.b", "a.b", false), ("p-[0-1].x", "p-1.x", true), ("p-[0-1].x", "p-2.x", false),
        ("p[!0-1]", "p1", false), ("p[]a]", "p]", true), ("p[^a]", "pb", false), ("p[a", "p[a", true),
        ("[]", "[]", true),
        ("[z-a]", "m", false), ("**", "a/b/c", true), ("data/**", "data/a", true), ("data/**", "data/a/b", true),
        ("data/**", "database", false), ("**/*.jsonl", "a.jsonl", true), ("**/*.jsonl", "b/c/a.jsonl", true),
        ("**/train/*", "train/a", true), ("**/train/*", "b/train/a", true), ("**/train/*", "strain/a", false),
        ("a/**/b", "a/b", true), ("a/**/b", "a/c/d/b", true), ("a/**/b", "a/cb", false), ("{a,b}", "a", false),
        ("a/**/c/*.x", "a/c/b/c/d.x", true), ("a*b*c", "abbcbc", true), ("a*b*c", "abbcb", false), ("", "a", false),
        ("data", "data/a", false), ("a.jsonl", "axjsonl", false), ("ü*", "über", true),
        // Refused by newer ones; of earlier ones it is this.
        ("**.csv", "a/b.csv", true), ("train**", "train/a", true),
    ])
    func starsEndAtAFolder(pattern: String, path: String, fits: Bool) {
        #expect(PathGlob(pattern).fits(path) == fits)
    }

    @Test func patternsOfACardDoNotReachIntoFolders() throws {
        let card = """
            ---
            configs:
            - config_name: default
              data_files:
              - split: train
                path: [a.jsonl, "data/*", ./sub/*.jsonl]
              - split: test
                path: data/test/*
            ---
            """
        let paths = ["a.jsonl", "b.jsonl", "data/c.jsonl", "data/test/d.jsonl", "sub/e.jsonl", "sub/deep/f.jsonl"]
        #expect(try files(paths, card: card) == ["a.jsonl", "data/c.jsonl", "sub/e.jsonl"])
        #expect(try files(paths, card: card, split: "test") == ["data/test/d.jsonl"])
    }

    @Test(arguments: ["data", "./data", "data/"]) func namesSayWhatIsInTheFolderOfASubset(folder: String) throws {
        let paths = ["data/test.jsonl", "data/train.jsonl", "other.jsonl", "train.jsonl"]
        #expect(try files(paths, card: card("data_dir: \(folder)")) == ["data/train.jsonl"])
        #expect(try files(paths, card: card("data_dir: \(folder)"), split: "test") == ["data/test.jsonl"])
        #expect(
            try files(paths, card: card("data_dir: \(folder)", "data_files: ./tr*.jsonl")) == ["data/train.jsonl"])
        #expect(try files(paths, card: card()) == ["data/train.jsonl", "train.jsonl"])
        let error = #expect(throws: DatasetChoiceError.self) { try files(["train.csv"], card: card("data_dir: data")) }
        #expect(error?.description.contains("in the folder data/") == true)
    }

    /// The format is looked at inside of a split alone, and texts are the last of all.
    @Test func textsAreDataWhereNothingElseIs() throws {
        #expect(try files(["notes.txt", "train.jsonl", "x.txt"]) == ["train.jsonl"])
        #expect(try files(["a.jsonl", "notes.txt", "x.txt"]) == ["a.jsonl"])
        #expect(try files(["a.txt", "b.txt"]) == ["a.txt", "b.txt"])
        #expect(try files(["more.jsonl", "test.jsonl", "test2.jsonl", "train.csv"]) == ["train.csv"])
        #expect(try files(["a.json", "b.jsonl", "c.csv"]) == ["a.json", "b.jsonl"], "one reader reads both")
        #expect(try files(["a.json", "b.jsonl", "c.csv", "d.csv"]) == ["c.csv", "d.csv"])
        #expect(try files(["a.jsonl.bz2"]) == ["a.jsonl.bz2"])
        let star = card("data_files: [c.csv, \"data/*\"]")
        let paths = ["c.csv", "data/a.jsonl", "data/b.jsonl", "data/notes.txt", "data/x.txt", "data/y.txt"]
        #expect(try files(paths, card: star) == ["c.csv", "data/a.jsonl", "data/b.jsonl"])
    }

    /// The order of the rules is that of `datasets`: shards in `data`, then folders, then files.
    @Test func namesOfShardsSayTheSplitExactly() throws {
        func shard(_ split: String) -> String { "data/\(split)-00000-of-00001.parquet" }
        #expect(try files([shard("train"), shard("train_gen"), "extra.parquet"]) == [shard("train")])
        #expect(try files([shard("train"), shard("train_gen")], split: "train_gen") == [shard("train_gen")])
        #expect(try files([shard("test"), shard("train"), shard("training")]) == [shard("train")])
        #expect(try files([shard("train"), shard("val")], split: "validation") == [shard("val")])
        #expect(
            try chosen([shard("test_sft"), shard("train_sft")])
                == .init(files: [shard("train_sft")], otherName: "train_sft"))
        for other in ["train_sft", "train_gen"] {
            #expect(try chosen([shard("train_gen"), shard("train_sft")], split: other) == .init(files: [shard(other)]))
        }
        let error = #expect(throws: DatasetChoiceError.self) { try files([shard("train_gen"), shard("train_sft")]) }
        #expect(error?.description == "has no split \"train\"; it has train_gen, train_sft")
    }

    @Test func foldersSayTheSplitBeforeFiles() throws {
        #expect(try files(["test/y.jsonl", "train/x.jsonl", "z.jsonl"]) == ["train/x.jsonl"])
        #expect(
            try files(["de/train.jsonl", "en/test.jsonl", "en/train.jsonl"]) == ["de/train.jsonl", "en/train.jsonl"])
        #expect(try files(["my train.jsonl", "b.jsonl", "dev.jsonl"]) == ["my train.jsonl"])
        #expect(
            try files(["training.csv", "x-train.csv", "train2.csv"]) == ["train2.csv", "x-train.csv", "training.csv"])
        for paths in [["constraints.jsonl", "evaluation.jsonl"], ["test.jsonl", "trainval.jsonl"]] {
            let error = #expect(throws: DatasetChoiceError.self) { try files(paths) }
            #expect(error?.description == "has no split \"train\"; it has test")
        }
    }

    @Test func filesFollowTheOrderOfThePatterns() throws {
        let paths = ["a-b.jsonl", "a.jsonl", "b.jsonl", "sub/c.jsonl", "sub.jsonl"]
        #expect(try files(paths, card: card("data_files: [b.jsonl, a.jsonl]")) == ["b.jsonl", "a.jsonl"])
        #expect(
            try files(paths, card: card("data_files: [\"sub/*\", \"a*\", a.jsonl]"))
                == ["sub/c.jsonl", "a-b.jsonl", "a.jsonl"])
        #expect(
            try files(["a/b.csv", "a-b.csv", "a.csv"], card: card("data_files: \"**\"")) == [
                "a-b.csv", "a.csv", "a/b.csv",
            ])
        let error = #expect(throws: DatasetChoiceError.self) {
            try files(paths, card: card("data_files: [a.jsonl, d.jsonl]"))
        }
        #expect(error?.description == "names files that are not there: d.jsonl")
    }

    /// As long as it takes to look each name up, not to compare each with all.
    @Test(.timeLimit(.minutes(1))) func aCardMayNameThousandsOfFiles() throws {
        let paths = (0..<5000).map { "data/\($0).jsonl" }
        #expect(try files(paths, card: card("data_files: [\(paths.joined(separator: ", "))]")) == paths)
    }

    @Test func theSplitOfACardIsThatOfTheName() throws {
        let both = card("data_files:", "- {split: training, path: b.jsonl}", "- {split: train, path: a.jsonl}")
        #expect(try files(["a.jsonl", "b.jsonl"], card: both) == ["a.jsonl"])
        #expect(try files(["a.jsonl", "b.jsonl"], card: both, split: "training") == ["b.jsonl"])
        let one = card("data_files:", "- {split: test_sft, path: b.jsonl}", "- {split: train_sft, path: a.jsonl}")
        #expect(try chosen(["a.jsonl", "b.jsonl"], card: one) == .init(files: ["a.jsonl"], otherName: "train_sft"))
    }

    @Test func hiddenFilesAreThoseOfPatternsThatNameThem() throws {
        let paths = [".a.jsonl", "__b/c.jsonl", "__d.jsonl", "_e.jsonl", "config.json"]
        #expect(try files(paths, card: card("data_files: \"**\"")) == ["__d.jsonl", "_e.jsonl"])
        #expect(
            try files(paths, card: card("data_files: [.*, __b/*, config.json]"))
                == [".a.jsonl", "__b/c.jsonl", "config.json"])
    }

    @Test func withoutACardNamesSay() throws {
        #expect(try files(["data/train-0.parquet", "data/test-0.parquet"]) == ["data/train-0.parquet"])
        #expect(try files(["my_dev.csv", "my_train.csv"], split: "validation") == ["my_dev.csv"])
        #expect(try files(["a.jsonl", "b.jsonl", "dataset_infos.json", ".x.jsonl"]) == ["a.jsonl", "b.jsonl"])
        #expect(try files(["restrained.jsonl"]) == ["restrained.jsonl"], "a word inside another is none")
        #expect(try files(["x/a.jsonl", "y/a.jsonl"], subset: "y") == ["y/a.jsonl"])
        #expect(try files(["a.parquet", "b.parquet", "a.json"]) == ["a.parquet", "b.parquet"])
        let error = #expect(throws: DatasetChoiceError.self) { try files(["set.py", "README.md"]) }
        #expect(error?.description.contains("runs no code") == true)
    }

    @Test func aCardThatIsNoneNamesNothing() {
        for text in ["", "# Only words", "---\n: : :\n---\n", "---\nconfigs: 3\n---", "---\nnever ends"] {
            #expect(DatasetCard(text).subsets.isEmpty)
        }
    }

    /// Lines may end as those of Windows, all of them or some.
    @Test(arguments: ["\n", "\r\n", "\r"], ["\n", "\r\n", "\r"])
    func theLinesOfACardEndInAnyWay(fence: String, line: String) throws {
        let body = ["configs:", "- config_name: default", "  data_files: a.jsonl"].joined(separator: line) + line
        let card = "\(fence)---\(fence)\(body)---\(fence)# A data set"
        #expect(DatasetCard(card).subsets.map(\.name) == ["default"])
        #expect(try files(["a.jsonl", "b.jsonl"], card: card) == ["a.jsonl"])
    }

    @Test func registeredNamesBringTheirColumns() throws {
        let known = try KnownDatasets()
        let stsb = try #require(known["sentence-transformers/stsb"])
        #expect(stsb.subsets.map(\.name) == ["default", "positive", "generate", "reg"])
        #expect(stsb.subsets.map(\.change.rule) == [.positivePair, .nearPair, .scoreAsText, .scoredQuestion])
        #expect(known["self-cognition"]?.ids[.huggingFace] == "modelscope/self-cognition")
        #expect(known["TIGER-Lab/MathInstruct"]?.ids[.modelScope] == "AI-ModelScope/MathInstruct")
        #expect(known["AI-ModelScope/MathInstruct"]?.change.columns == ["instruction": "query", "output": "response"])
        #expect(known["swift/medical_zh"]?.splits == ["train", "val", "test"])
        #expect(known["swift/medical_zh"]?.subsets.first?.change.columns == ["input": "query", "output": "response"])
        #expect(known["nobody/nothing"] == nil)
    }

    @Test func aFileOfTheUsersNamesDataSets() throws {
        let folder = try TemporaryFolder()
        try folder.write(#"{"ask": "2+2", "say": "4", "note": "x"}"#, to: "mine.jsonl")
        try folder.write(
            #"[{"dataset_path": "mine.jsonl", "dataset_name": "mine", "columns": {"ask": "query", "say": "response", "note": "_"}}]"#,
            to: "info.json")
        let fetcher = try DatasetFetcher(Surroundings(), files: ["\(folder.path)/info.json"])
        var loader = DatasetLoader()
        loader.fetching = { try fetcher($0) }
        let rows = try loader.load(["mine"]).train
        #expect(try rows.conversation(at: 0).messages.map(\.role) == ["user", "assistant"])
        #expect(try rows.row(at: 0) == ["query": "2+2", "response": "4"])
        for (text, words) in [
            ("{}", "wanted a list"), ("[{}]", "entry 1 names no data set"),
            ("[{\"dataset_name\": \"a\", \"colums\": {}}]", "\"colums\""),
            ("[", "info.json"),
        ] {
            try folder.write(text, to: "info.json")
            let error = #expect(throws: DatasetError.self) { try KnownDatasets(files: ["\(folder.path)/info.json"]) }
            #expect(error?.description.contains(words) == true, "\(String(describing: error))")
        }
    }

    /// What `messages` of an entry calls the parts of messages; what it cannot say here matters to nobody else.
    @Test func entriesNameThePartsOfMessages() throws {
        let folder = try TemporaryFolder()
        try folder.write(#"{"query": "q", "response": "a"}"#, to: "plain.jsonl")
        try folder.write(
            #"{"dialog": [{"who": "S", "say": "s"}, {"who": "U", "say": "hi"}, {"who": "B", "say": "yo", "content": "no"}]}"#,
            to: "talk.jsonl")
        try folder.write(
            #"{"rule": "s", "messages": {"turns": [{"q": "hi", "a": "yo"}, {"q": "so", "a": "?"}]}}"#, to: "pairs.jsonl"
        )
        try folder.write(
            #"""
            [{"dataset_path": "plain.jsonl", "dataset_name": "plain"},
             {"dataset_path": "talk.jsonl", "dataset_name": "talk", "columns": {"dialog": "messages"}, "messages":
              {"role_key": "who", "content_key": "say", "user_role": "U", "assistant_role": "B", "system_role": "S"}},
             {"dataset_path": "pairs.jsonl", "dataset_name": "pairs", "messages":
              {"user_role": "q", "assistant_role": "a", "system_role": "rule", "inner_key": "turns"}},
             {"dataset_path": "plain.jsonl", "dataset_name": "odd", "messages": {"repair_messages": "f"}}]
            """#, to: "info.json")
        let fetcher = try DatasetFetcher(Surroundings(), files: ["\(folder.path)/info.json"])
        var loader = DatasetLoader()
        loader.fetching = { try fetcher($0) }
        func messages(_ name: String) throws -> [String] {
            try loader.load([name]).train.conversation(at: 0).messages.map { "\($0.role): \($0.text ?? "")" }
        }
        #expect(try messages("plain") == ["user: q", "assistant: a"])
        #expect(try messages("talk") == ["system: s", "user: hi", "assistant: yo"])
        #expect(try messages("pairs") == ["system: s", "user: hi", "assistant: yo", "user: so", "assistant: ?"])
        let error = #expect(throws: DatasetError.self) { try messages("odd") }
        #expect(error?.description.contains("\"repair_messages\" is \"f\", which is not read here") == true)
    }

    @Test func aFolderIsReadAsADataSet() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            atPath: "\(folder.path)/data", withIntermediateDirectories: true)
        try folder.write(#"{"query": "a", "response": "b"}"#, to: "data/train.jsonl")
        try folder.write(#"{"query": "c", "response": "d"}"#, to: "data/test.jsonl")
        let fetcher = try DatasetFetcher(Surroundings(), files: [])
        var loader = DatasetLoader()
        loader.fetching = { try fetcher($0) }
        let rows = try loader.load(["\(folder.path)#3"]).train
        #expect(try (rows.count, rows.row(at: 0)) == (3, ["query": "a", "response": "b"]))
    }

    /// Also where no hub is reached.
    @Test func aSplitOfAnotherNameIsTold() throws {
        let folder = try TemporaryFolder()
        let data = "\(folder.path)/rows"
        try FileManager.default.createDirectory(atPath: "\(data)/data", withIntermediateDirectories: true)
        for split in ["test_sft", "train_sft"] {
            try folder.write(
                #"{"query": "a", "response": "b"}"#, to: "rows/data/\(split)-00000-of-00001.jsonl")
        }
        let told = Mutex<[String]>([])
        let fetcher = try DatasetFetcher(Surroundings(), files: []) { line in told.withLock { $0.append(line) } }
        let fetched = try fetcher(#require(DatasetReference.list(parsing: data).first))
        #expect(fetched?.parts.flatMap(\.files) == ["\(data)/data/train_sft-00000-of-00001.jsonl"])
        #expect(told.withLock { $0 } == ["note: --dataset \(data) has no split \"train\"; \"train_sft\" is read."])
    }

    @Test func rulesRewriteRowsAsTheRegistryDoes() throws {
        let folder = try TemporaryFolder()
        let row = #"{"sentence1": "A.", "sentence2": "B.", "score": 0.74}"#
        try folder.write(row + "\n" + row.replacing("0.74", with: "0.85"), to: "pairs.jsonl")
        func rows(_ rule: RowChange.Rule) throws -> [JSONValue] {
            var loader = DatasetLoader()
            loader.shufflesTraining = false
            let path = "\(folder.path)/pairs.jsonl"
            loader.fetching = { _ in FetchedDataset(parts: [.init(files: [path], change: RowChange(rule: rule))]) }
            let data = try loader.load(["x"], as: AnyRow()).train
            return try (0..<data.count).map { try data.row(at: $0) }
        }
        let question =
            "Task: Based on the given two sentences, provide a similarity score between 0.0 and 1.0.\n"
            + "Sentence 1: A.\nSentence 2: B.\nSimilarity score: "
        #expect(
            try rows(.scoreAsText) == [
                ["query": .string(question), "response": "0.7"], ["query": .string(question), "response": "0.8"],
            ])
        #expect(try rows(.scoredQuestion)[0] == ["query": .string(question), "label": 0.74])
        #expect(try rows(.nearPair).count == 1)
        #expect(try rows(.positivePair)[0]["positive_messages"]?[0]?[0]?["content"] == "B.")
    }

    @Test func aCardIsPublishedWithoutPathsOfThisMachine() {
        let card = "---\nbase_model: /home/me/model\nlibrary_name: peft\n---\n# x\n"
        #expect(HubPublisher.publishable(card) == "---\nlibrary_name: peft\n---\n# x\n")
        #expect(HubPublisher.publishable(card.replacing("/home/me/model", with: "a/b")).contains("base_model: a/b"))
        for id in ["01-ai/Yi-6B", "Qwen/Qwen2.5-0.5B"] {
            let line = "base_model: \(ModelCard.scalar(id))\n"
            #expect(HubPublisher.publishable(card.replacing("base_model: /home/me/model\n", with: line)).contains(line))
            #expect(HubPublisher.publishable(HubPublisher.card(id)).hasPrefix("---\n\(line)library_name: "))
        }
        #expect(HubPublisher.card("01-ai/Yi-6B").contains(#"base_model: "01-ai/Yi-6B""#))
        #expect(!HubPublisher.publishable(HubPublisher.card("/home/a b/c")).contains("base_model"))
        let windows = card.replacing("\n", with: "\r\n")
        #expect(HubPublisher.publishable(windows) == "---\nlibrary_name: peft\n---\n# x\n")
    }
}

/// Takes every row as it is.
private struct AnyRow: RowRecognizer {
    typealias Row = JSONValue
    static let advice = ""
    let mapping = ColumnMapping([:])
    func recognize(_ value: JSONValue) throws -> RecognizedRow<JSONValue> { RecognizedRow(value) }
}
