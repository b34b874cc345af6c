import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

/// One file for each situation that users of labels and pairs were seen in.
@Suite("Situations: labels and pairs")
struct LabelSituationTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// `regression [0.5]`, with the targets of all rows, or the error without its path.
    private func targets(_ name: String, _ text: String, _ problem: ProblemType? = nil) throws -> String {
        let path = try folder.write(text, to: name)
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        do {
            let rows = try loader.load([path], as: LabelledRecognizer()).train
            let scheme = try LabelScheme(problemType: problem, inferredFrom: rows)
            let targets = try (0..<rows.count).compactMap { index in
                try rows.recognized(at: index).label.map { try scheme.target(of: $0) }
            }
            let shown = targets.map { target in
                switch target {
                case .classID(let id): scheme.map?.names[Int(id)] ?? "\(id)"
                case .values(let values): values.map { "\($0)" }.joined(separator: " ")
                }
            }
            return "\(scheme.problemType.rawValue) \(scheme.labelCount): " + shown.joined(separator: ", ")
        } catch {
            return "\(error)".replacing(path, with: "")
        }
    }

    @Test(arguments: [
        (["true", "false"], "single_label_classification 2: 1, 0"),
        (["1", "5", "3"], "single_label_classification 6: 1, 5, 3"),
        ([#""0""#, #""1""#, #""2""#], "single_label_classification 3: 0, 1, 2"),
        ([#""体育""#, #""财经""#, #""体育　""#], "single_label_classification 2: 体育, 财经, 体育"),
        ([#""1.5""#, #""3""#, #"" 5 ""#], "regression 1: 1.5, 3.0, 5.0"),
        (["0.8", "0.2", "1.0"], "regression 1: 0.8, 0.2, 1.0"),
        (["[0.8, 0.2]", "[0.1, 0.9]"], "regression 2: 0.8 0.2, 0.1 0.9"),
        (["[0]", "[1]", "[0, 1]", "[]"], "multi_label_classification 2: 1.0 0.0, 0.0 1.0, 1.0 1.0, 0.0 0.0"),
        (["[0, 1]", "[1, 0]", "[1, 1]"], "multi_label_classification 2: 0.0 1.0, 1.0 0.0, 1.0 1.0"),
        (["[0, 1, 1]", "[1, 0, 0]"], "multi_label_classification 3: 0.0 1.0 1.0, 1.0 0.0 0.0"),
    ])
    func labels(_ labels: [String], _ expected: String) throws {
        let rows = labels.map { #"{"text": "a", "label": \#($0)}"# + "\n" }
        #expect(try targets("x.jsonl", rows.joined()) == expected)
    }

    @Test func tablesHoldScores() throws {
        #expect(try targets("x.csv", "text,label\na,0.0\nb,1.0\nc,2.0\n") == "regression 1: 0.0, 1.0, 2.0")
        #expect(try targets("y.csv", "hello,0.5\nbye,0.9\n") == "regression 1: 0.5, 0.9")
    }

    /// A first line that may be names nobody knows or the first row, and what tells.
    @Test func firstLinesThatMayBeHeadersAreAskedAbout() throws {
        let rows = "good,positive\nbad,negative\nfine,positive\n"
        let classes = "single_label_classification 2: positive, negative, positive"
        #expect(try targets("rows.csv", rows) == classes)
        #expect(try targets("known.csv", "text,label\n\(rows)") == classes)
        let doubt = ":1: the first line may be a header or a row: no other has \"sentiment\" for a label. "
        for name in ["x.csv", "x.tsv", "x.txt"] {
            let text = "comment,sentiment\n\(rows)".replacing(",", with: name == "x.csv" ? "," : "\t")
            let error = try targets(name, text)
            #expect(error.hasPrefix(doubt))
            #expect(error.contains(#"--columns '{"comment": "text", "sentiment": "label"}'"#))
        }
        #expect(try targets("scores.csv", "comment,sentiment\ngood,0.5\n").hasPrefix(doubt))
        #expect(
            try targets("pairs.txt", "left_text||right_text||gold\na||b||same\nc||d||other\ne||f||same\n").contains(
                #"--columns '{"left_text": "sentence1", "right_text": "sentence2", "gold": "label"}'"#))
        // A class comes again, however late, and a number is no name.
        let late = "first,rare\n" + (0..<30).map { "t\($0),\($0 % 2 == 0 ? "a" : "b")\n" }.joined() + "last,rare\n"
        #expect(try targets("late.csv", late).hasPrefix("single_label_classification 3: rare, a, b"))
        #expect(try targets("numbers.csv", "hello,0.5\nbye,0.9\nso,0.1\n") == "regression 1: 0.5, 0.9, 0.1")
    }

    @Test func unclearLabelsAreAskedAbout() throws {
        let names = "text,label\na,\"体育,财经\"\nb,体育\nc,科技\n"
        #expect(try targets("comma.csv", names).hasPrefix(":2: the label \"体育,财经\" may be one class or several"))
        #expect(
            try targets("comma.csv", names, .multiLabel)
                == "multi_label_classification 3: 1.0 0.0 1.0, 1.0 0.0 0.0, 0.0 1.0 0.0")
        let ids = "text,label\na,\"0,2\"\nb,\"[1]\"\nc,1\n"
        #expect(
            try targets("ids.csv", ids).contains("take each for a list with --problem_type multi_label_classification"))
        #expect(
            try targets("ids.csv", ids, .multiLabel)
                == "multi_label_classification 3: 1.0 0.0 1.0, 0.0 1.0 0.0, 0.0 1.0 0.0")
        let decimal = #"{"text": "a", "label": "1,5"}"#
        #expect(try targets("decimal.jsonl", decimal).contains("a number with a decimal comma"))
        #expect(try targets("decimal.jsonl", decimal, .regression).contains("wanted is a number with a decimal point"))
        let european = "text;label\na;1,5\nb;2,25\n"
        #expect(try targets("european.csv", european).hasPrefix(":2: the label \"1,5\" may be a number with a decimal"))
        let hot = "{\"text\": \"a\", \"label\": [0, 1]}\n{\"text\": \"b\", \"label\": [1, 0]}\n"
        #expect(try targets("hot.jsonl", hot).contains("--multi_label_format ids or --multi_label_format multi_hot"))
    }

    @Test func missingLabelsNameTheLine() throws {
        let rows = "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"id\": 2}\n"
        #expect(try targets("x.jsonl", rows).hasPrefix(":2: the row has no label; it has columns text, id"))
        let answer = #"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "3.5"}]}"#
        #expect(try targets("y.jsonl", answer).hasPrefix(":1: the row has no label; it has columns messages"))
        let empty = "{\"text\": \"\", \"label\": 0}\n{\"text\": null, \"label\": 1}\n{\"text\": \"c\", \"label\": 1}\n"
        #expect(try targets("z.jsonl", empty) == "single_label_classification 2: 0, 1")
    }

    @Test(arguments: [
        (#"{"query": "s1", "response": "s2", "label": 0.8}"#, "s1 + s2 -"),
        (#"{"query": "s1", "response": "s2", "rejected_response": ["n1", "n2"]}"#, "s1 + s2 - n1 n2"),
        (
            #"{"messages": [{"role": "user", "content": "s1"}], "positive_messages": [[{"role": "user", "content": "s2"}]], "negative_messages": [[{"role": "user", "content": "s3"}]]}"#,
            "s1 + s2 - s3"
        ),
        (#"{"query": "a", "positive": "b", "negative": "e"}"#, "a + b - e"),
        (#"{"query": "a", "positive": ["b"], "negative": []}"#, "a + b -"),
        (#"{"query": "a", "positive": ["b", "c"]}"#, "several positives for one text"),
        (#"{"query": "a"}"#, "no positive to compare with"),
    ])
    func pairs(_ row: String, _ expected: String) throws {
        do {
            let row = try EmbeddingRecognizer().recognize(JSONValue(parsing: row)).row
            let texts = ([row.anchor.text, "+", row.positive?.text ?? "", "-"] + row.negatives.map(\.text))
            #expect(texts.joined(separator: " ") == expected)
        } catch let rejection as RowRejection {
            #expect(rejection.reason == expected)
        }
    }
}
