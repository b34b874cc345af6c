import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Rows with labels")
struct LabelTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func recognize(
        _ json: String, _ change: (inout LabelledRecognizer.Options) -> Void = { _ in }
    ) throws -> LabelledRow {
        var options = LabelledRecognizer.Options()
        change(&options)
        return try LabelledRecognizer(options).recognize(JSONValue(parsing: json)).row
    }

    private func label(_ json: String) throws -> RowLabel? {
        try recognize(#"{"text": "a", "label": \#(json)}"#).label
    }

    /// Rows with these labels, as JSON, in a file.
    private func dataset(_ labels: [String], name: String = "x.jsonl") throws -> LabelledDataset {
        let lines = labels.enumerated().map { #"{"text": "\#($0)", "label": \#($1)}"# + "\n" }
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        return try loader.load([folder.write(lines.joined(), to: name)], as: LabelledRecognizer()).train
    }

    @Test(arguments: [
        (#"{"text": "a", "label": 1}"#, LabelledRow.Content.text("a")),
        (#"{"Query": "a", "Score": 1}"#, .text("a")),
        (#"{"sentence": "a", "text": "b", "label": 1}"#, .text("b")),
        (
            #"{"text": "a", "system": "", "label": 1}"#,
            .messages([Message(role: "system", content: ""), Message(role: "user", content: "a")])
        ),
        (#"{"sentence1": "a", "sentence2": "b", "score": 1}"#, .pair("a", "b")),
        (##"{"Quality": "1", "#1 ID": "2", "#2 ID": "3", "#1 String": "a", "#2 String": "b"}"##, .pair("a", "b")),
        (#"{"premise": "a", "hypothesis": "b", "label": 1}"#, .pair("a", "b")),
        (#"{"question1": "a", "question2": "b", "label": 1}"#, .pair("a", "b")),
        (#"{"query": "a", "document": "b", "label": 1}"#, .pair("a", "b")),
        (
            #"{"messages": [{"role": "user", "content": "a"}], "system": "s", "label": 1}"#,
            .messages([Message(role: "system", content: "s"), Message(role: "user", content: "a")])
        ),
        (
            #"{"query": "a", "response": "b", "label": 1}"#,
            .messages([Message(role: "user", content: "a"), Message(role: "assistant", content: "b")])
        ),
        (
            #"{"query": "a", "system": "s", "label": 1}"#,
            .messages([Message(role: "system", content: "s"), Message(role: "user", content: "a")])
        ),
    ])
    func textsHaveManyNames(_ json: String, _ content: LabelledRow.Content) throws {
        let row = try recognize(json)
        #expect(row.content == content)
        #expect(row.label == .integer(1))
    }

    @Test func columnsAreRenamedFirst() throws {
        let row = try recognize(#"{"5": "a", "6": "b", "4": "2.5", "0": "genre"}"#) {
            $0.columns = ["5": "sentence1", "6": "sentence2", "4": "score"]
        }
        #expect(row == LabelledRow(.pair("a", "b"), label: .number(2.5), otherColumns: ["0": "genre"]))
    }

    @Test(arguments: [
        (#"{"question": "a", "sentence": "b", "label": 1}"#, "several columns could be the text"),
        (#"{"sentence1": "a", "label": 1}"#, "a first text without a second"),
        (#"{"sentence2": "a", "label": 1}"#, "a second text without a first"),
        (#"{"label": 1}"#, "no text"), (#"{"text": 5, "label": 1}"#, "the text is not a text"),
        (#"{"text": "a", "score": 1, "class": 1}"#, "several columns could be the label"),
        (#"["a", 1]"#, "a row is not a JSON object"),
        (#"{"text": "a", "images": ["x.png"], "label": 1}"#, "images, video and audio are not supported yet"),
    ])
    func unclearTextsAreDropped(_ json: String, _ reason: String) {
        #expect((#expect(throws: RowRejection.self) { try recognize(json) })?.reason == reason)
    }

    @Test func labelsAreRead() throws {
        let expected: [(String, RowLabel)] = [
            ("3", .integer(3)), ("-1", .integer(-1)), ("true", .integer(1)), ("0.5", .number(0.5)), ("2.0", .number(2)),
            (#"" 4""#, .integer(4)), (#""4.000""#, .number(4)), (#""1e3""#, .number(1000)), (#""good""#, .name("good")),
            (#""0x10""#, .name("0x10")), (#""infinite""#, .name("infinite")), (#""-inf""#, .number(-.infinity)),
            ("[0, 2]", .integers([0, 2])), ("[]", .integers([])), ("[1, 0.5]", .numbers([1, 0.5])),
            (#"["a", "b"]"#, .names(["a", "b"])), (#""[0, 2]""#, .integers([0, 2])),
            (#""['a', 'b']""#, .names(["a", "b"])),
            (#""[note] a""#, .name("[note] a")),
        ]
        for (json, label) in expected { #expect(try self.label(json) == label, "\(json)") }
        #expect(try recognize(#"{"text": "a", "label": "NaN"}"#).label?.excerpt == "nan")
        for json in ["{}", "[[1]]", "[null]", "[1, \"a\"]"] { #expect(throws: RowFault.self) { try label(json) } }
    }

    @Test func missingLabelsEndARun() throws {
        for json in ["null", #""""#, #"" ""#] {
            #expect(throws: RowFault.self) { try label(json) }
            #expect(try recognize(#"{"text": "a", "label": \#(json)}"#) { $0.requiresLabel = false }.label == nil)
        }
        let path = try folder.write("text,label\na,1\nb,\n", to: "x.csv")
        let error = #expect(throws: DatasetError.self) { try DatasetLoader().load([path], as: LabelledRecognizer()) }
        #expect(
            error?.description.hasPrefix("\(path):3: the row has no label; it has columns text, label. Add ") == true)
    }

    @Test(
        arguments: [
            (["0.5", "3"], nil, ProblemType.regression, 1), (["0.5"], 1, .regression, 1),
            (["1", "0"], 1, .regression, 1),
            (["0", "2"], nil, .singleLabel, 3), (["0", "1"], 4, .singleLabel, 4), (["1.0", "0.0"], 2, .singleLabel, 2),
            ([#""b""#, #""a""#], nil, .singleLabel, 2), (["[0, 3]", "[]"], nil, .multiLabel, 4),
            ([#"["b"]"#, #"["a", "b"]"#], nil, .multiLabel, 2), (["[0.5, 1]", "[2.5, 0.0]"], nil, .regression, 2),
            (["[0.5, 1]"], 2, .regression, 2), (["[1.0]", "[0.0, 2.0]"], 3, .multiLabel, 3),
            (["[1.5]"], 1, .regression, 1),
        ] as [([String], Int?, ProblemType, Int)])
    func theProblemIsInferred(_ labels: [String], _ count: Int?, _ problem: ProblemType, _ outputs: Int) throws {
        let scheme = try LabelScheme(labelCount: count, inferredFrom: dataset(labels))
        #expect(scheme.problemType == problem)
        #expect(scheme.labelCount == outputs)
    }

    @Test func targetsAreWhatAModelGives() throws {
        let regression = try LabelScheme(problemType: .regression, labelCount: 2)
        #expect(try regression.target(of: .integers([1, 2])) == .values([1, 2]))
        let single = try LabelScheme(problemType: .singleLabel, labelCount: 3)
        #expect(try single.target(of: .number(2)) == .classID(2))
        let map = try LabelMap(names: ["a", "b", "c"])
        let multiple = try LabelScheme(problemType: .multiLabel, labelCount: 3, map: map)
        #expect(try multiple.target(of: .names(["c", "a", "c"])) == .values([1, 0, 1]))
        #expect(try multiple.target(of: .integers([])) == .values([0, 0, 0]))
        #expect(try multiple.target(of: .name("b")) == .values([0, 1, 0]))
    }

    @Test(
        arguments: [
            (.regression, 1, #""bad""#, #"the label "bad" is a text; wanted is a number"#),
            (.regression, 2, "0.5", "the label 0.5 is one number; wanted is 2 numbers (--num_labels 2)"),
            (.regression, 1, "[1, 2]", "the label [1, 2] is 2 numbers; wanted is one number (--num_labels 1)"),
            (.regression, 1, #""nan""#, "the label nan is not a finite number; wanted is a number that fits 32 bits"),
            (.regression, 1, "1e60", "the label 1e+60 is not a finite number; wanted is a number that fits 32 bits"),
            (.singleLabel, 3, "3", "the label 3 is out of range; wanted is a class from 0 to 2 (--num_labels 3)"),
            (.singleLabel, 3, "-1", "the label -1 is out of range; wanted is a class from 0 to 2 (--num_labels 3)"),
            (
                .singleLabel, 3, "0.5",
                "the label 0.5 is not a whole number; wanted is a class from 0 to 2 (--num_labels 3); "
                    + "numbers are learned with --problem_type regression"
            ),
            (
                .singleLabel, 3, "[0]",
                "the label [0] is a list; wanted is one class; several need --problem_type multi_label_classification"
            ),
            (
                .singleLabel, 3, #""b""#,
                #"the label "b" is a text; wanted is a class from 0 to 2 (--num_labels 3), by number: no class has a name"#
            ),
            (
                .multiLabel, 2, "[0, 5]",
                "the label [0, 5] is out of range; wanted is a class from 0 to 1 (--num_labels 2)"
            ),
        ] as [(ProblemType, Int, String, String)])
    func wrongLabelsAreErrors(_ problem: ProblemType, _ count: Int, _ json: String, _ message: String) throws {
        let rows = try dataset(["0", json])
        let scheme = try LabelScheme(problemType: problem, labelCount: count)
        let fault = #expect(throws: RowFault.self) { try scheme.target(of: #require(rows.recognized(at: 1).label)) }
        #expect(fault?.description == message)
        guard count != 2 else { return }
        let error = #expect(throws: DatasetError.self) { try rows.tokenized(scheme: scheme, encode: byteLabelEncoding) }
        #expect(error?.description == "\(rows.place(of: 1)): \(message)")
    }

    @Test func labelsThatDoNotFitEachOtherAreErrors() throws {
        func message(_ labels: [String], _ problem: ProblemType? = nil, _ count: Int? = nil) throws -> String {
            let rows = try dataset(labels)
            let error = #expect(throws: DatasetError.self) {
                try LabelScheme(problemType: problem, labelCount: count, inferredFrom: rows)
            }
            return error?.description.replacing(rows.place(of: 0).dropLast(2), with: "x") ?? ""
        }
        #expect(
            try message(["1", #""a""#])
                == "the labels are both whole numbers (first: x:1) and class names (first: x:2); give all of them in one form"
        )
        #expect(try message(["1", "[1]"]).hasPrefix("the labels are both whole numbers"))
        #expect(try message([#""a""#, #""b""#], nil, 1).hasPrefix("regression (--num_labels 1) needs numbers"))
        #expect(try message([#""a""#, #""b""#], nil, 3).contains("the labels have 2 class names: 0 = a, 1 = b"))
        #expect(try message([#""a""#, #""a""#]).hasPrefix(#"every label is "a" (first: x:1)"#))
        #expect(try message(["0", "0"]).hasPrefix("every label is 0"))
        #expect(try message(["0", "1"], .singleLabel, 1).contains("nothing to learn"))
        #expect(try message(["0", "1"], nil, 0).hasPrefix("--num_labels must be between 1"))
        #expect(try message(["0", "99999999"]).hasPrefix("--num_labels must be between 1"))
        #expect(try message(["[]", "[]"]).hasPrefix("no row has a label"))
    }

    /// The targets of rows with these labels, or the error without its path.
    private func targets(
        _ labels: [String], _ problem: ProblemType? = nil, _ count: Int? = nil, _ format: MultiLabelFormat? = nil
    ) throws -> [LabelTarget] {
        let rows = try dataset(labels)
        let scheme = try LabelScheme(
            problemType: problem, labelCount: count, format: format, inferredFrom: rows)
        return try rows.tokenized(scheme: scheme, encode: byteLabelEncoding).dataset.indices.compactMap {
            try rows.recognized(at: $0).label.map { try scheme.target(of: $0) }
        }
    }

    @Test func listsAreWhatTheLabelsShow() throws {
        // Of different lengths, or with a number above 1: classes.
        #expect(
            try targets(["[0]", "[1]", "[0, 1]", "[]"]) == [[1, 0], [0, 1], [1, 1], [0, 0]].map(LabelTarget.values))
        #expect(try targets(["[0, 2]", "[1, 2]"]) == [[1, 0, 1], [0, 1, 1]].map(LabelTarget.values))
        // No class is in a row twice: 0 or 1 for each class.
        #expect(
            try targets(["[0, 1]", "[1, 0]", "[1, 1]", "[0, 0]"])
                == [[0, 1], [1, 0], [1, 1], [0, 0]].map(LabelTarget.values))
        #expect(try targets(["[0, 1, 1]", "[1, 0, 0]"]) == [[0, 1, 1], [1, 0, 0]].map(LabelTarget.values))
        #expect(
            try targets([#""[0, 1, 1]""#, "[1, 0, 0]"], nil, 3) == [[0, 1, 1], [1, 0, 0]].map(LabelTarget.values))
        // Nothing shows it: a flag, or another number of classes.
        let ambiguous = #expect(throws: DatasetError.self) { try targets(["[0, 1]", "[1, 0]"]) }
        #expect(ambiguous?.description.contains(":1: every label is a list of one 0 and one 1") == true)
        #expect(try targets(["[0, 1]", "[1, 0]"], nil, nil, .multiHot) == [[0, 1], [1, 0]].map(LabelTarget.values))
        #expect(try targets(["[0, 1]", "[1, 0]"], nil, nil, .ids) == [[1, 1], [1, 1]].map(LabelTarget.values))
        #expect(try targets(["[0, 1]", "[1, 0]"], nil, 3) == [[1, 1, 0], [1, 1, 0]].map(LabelTarget.values))
        // A class twice where lists are classes.
        let twice = #expect(throws: DatasetError.self) { try targets(["[0, 2]", "[2, 2]"]) }
        #expect(twice?.description.contains(":2: the label [2, 2] is a list with class 2 twice") == true)
        #expect(throws: DatasetError.self) { try targets(["[0, 1]", "[1, 2]"], nil, nil, .multiHot) }
        #expect(throws: DatasetError.self) { try targets(["[0, 1]", "[1]"], nil, nil, .multiHot) }
    }

    @Test func modelsFromElsewhereReadListsRowByRow() throws {
        let three = try LabelScheme(problemType: .multiLabel, labelCount: 3)
        #expect(try three.target(of: .integers([0, 1, 1])) == .values([0, 1, 1]))
        #expect(try three.target(of: .integers([0, 1])) == .values([1, 1, 0]))
        let two = try LabelScheme(problemType: .multiLabel, labelCount: 2)
        #expect(try two.target(of: .integers([1, 1])) == .values([1, 1]))
        #expect(throws: RowFault.self) { try two.target(of: .integers([1, 0])) }
    }

    @Test func textsOfSeveralClassesAreAskedAbout() throws {
        let labels = [#""体育,财经""#, #""体育""#, #""科技 、 体育""#]
        let error = #expect(throws: DatasetError.self) { try targets(labels) }
        #expect(error?.description.contains(":1: the label \"体育,财经\" may be one class or several") == true)
        let several = try targets(labels, .multiLabel)
        #expect(several == [[1, 0, 1], [1, 0, 0], [1, 1, 0]].map(LabelTarget.values))
        #expect(try targets(labels, .singleLabel) == [1, 0, 2].map(LabelTarget.classID))
        let decimal = #expect(throws: DatasetError.self) { try targets([#""1,5""#, #""3,25""#]) }
        #expect(decimal?.description.contains("may be a number with a decimal comma") == true)
        #expect(throws: DatasetError.self) { try targets([#""1,5""#], .regression) }
        #expect(
            try targets([#""0,2""#, #""[1]""#, "1"], .multiLabel)
                == [[1, 0, 1], [0, 1, 0], [0, 1, 0]].map(LabelTarget.values)
        )
        #expect(throws: DatasetError.self) { try targets([#""0,2""#, #""[1]""#, "1"]) }
        #expect(try targets([#"["a", "b,c"]"#, #"["a"]"#]) == [[1, 1], [1, 0]].map(LabelTarget.values))
    }

    @Test func invisibleSpacesMakeNoClass() throws {
        let labels = ["体育", "体育　", "\u{A0}体育", "\u{FEFF}体育\u{200B}", "财经\t"].map {
            "\"\($0.replacing("\t", with: "\\t"))\""
        }
        #expect(try targets(labels) == [0, 0, 0, 0, 1].map(LabelTarget.classID))
        #expect(try label("\"　3\u{A0}\"") == .integer(3))
        #expect(throws: RowFault.self) { try label("\"　\u{A0}\"") }
    }

    @Test func mapsNameClasses() throws {
        let map = try LabelMap(id2label: ["1": "good", "0": "bad"])
        #expect(map.names == ["bad", "good"])
        #expect(map.description == "0 = bad, 1 = good")
        #expect(try LabelMap(id2label: .object(map.id2label)) == map)
        #expect(map.label2id == ["bad": 0, "good": 1])
        #expect(try LabelMap(names: ["LABEL_0", "LABEL_1"]).isPlaceholder)
        for bad: JSONValue in [
            [], [:], ["1": "a"], ["0": "a", "00": "b"], ["0": 1], ["0": "a", "1": "a"], ["x": "a"],
        ] {
            #expect(throws: DatasetError.self) { try LabelMap(id2label: bad) }
        }
        let rows = try dataset([#""good""#, #""bad""#])
        #expect(try LabelScheme(map: map, inferredFrom: rows).target(of: .name("good")) == .classID(1))
        let placeholder = try LabelMap(names: ["LABEL_0", "LABEL_1"])
        let inferred = try LabelScheme(map: placeholder, inferredFrom: rows)
        #expect(inferred.map?.names == ["bad", "good"])
        // Validation data uses the map of the training data.
        let validation = try dataset([#""bad""#, #""so-so""#], name: "val.jsonl")
        let error = #expect(throws: DatasetError.self) {
            try validation.tokenized(scheme: inferred, encode: byteLabelEncoding)
        }
        #expect(
            error?.description == "\(validation.place(of: 1)): the label \"so-so\" is an unknown class; "
                + "wanted is one of 0 = bad, 1 = good")
        #expect(throws: DatasetError.self) { try LabelScheme(labelCount: 3, map: map, inferredFrom: rows) }
    }

    @Test func rowsAreChosenAsConversationsAre() throws {
        let lines = (0..<100).map {
            #"{"query": "\#($0)", "response": "r", "text": "\#($0)", "label": \#($0 % 3)}"# + "\n"
        }
        let word = try folder.write(lines.joined(), to: "x.jsonl") + "#30"
        var loader = DatasetLoader()
        loader.splitRatio = 0.1
        loader.threads = 3
        let (conversations, labelled) = try (loader.load([word]), loader.load([word], as: LabelledRecognizer()))
        #expect(labelled.train.count == 27)
        #expect((0..<27).map(labelled.train.place) == (0..<27).map(conversations.train.place))
        #expect((0..<3).map(labelled.validation.place) == (0..<3).map(conversations.validation.place))
    }

    @Test func subsetsOfPairsAreKnown() throws {
        let pairs = try folder.write("sentence1,sentence2,score\na,b,0.5\n", to: "pairs.csv")
        for subset in ["reg", "default"] {
            #expect(try DatasetLoader().load(["\(pairs):\(subset)#4"], as: LabelledRecognizer()).train.count == 4)
            #expect(throws: DatasetError.self) { try DatasetLoader().load(["\(pairs):\(subset)"]) }
        }
        func message(_ word: String) -> String? {
            (#expect(throws: DatasetError.self) { try DatasetLoader().load([word], as: LabelledRecognizer()) })?
                .description
        }
        #expect(message("\(pairs):generate")?.contains("\"generate\" writes the score as a text") == true)
        #expect(message("\(pairs):other")?.contains("a file has no subsets") == true)
        #expect(message("\(pairs):reg/default")?.contains("2 times") == true)
        let texts = try folder.write("text,label\na,1\n", to: "texts.csv")
        #expect(message("\(texts):reg")?.hasPrefix("\(texts):2: the subset \"reg\" is one of pairs") == true)
        let named = try folder.write("sentence1,sentence2,label\na,b,same\n", to: "named.csv")
        #expect(message("\(named):reg")?.hasPrefix("\(named):2: the subset") == true)
    }
}
