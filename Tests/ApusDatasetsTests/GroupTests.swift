import ApusJSON
import ApusText
import Foundation
import Testing

@testable import ApusDatasets

@Suite("Rows for embedding and reranking")
struct GroupTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func embedding(_ json: String, _ label: PairLabel = .none) throws -> EmbeddingRow {
        var options = EmbeddingRecognizer.Options()
        options.label = label
        return try EmbeddingRecognizer(options).recognize(JSONValue(parsing: json)).row
    }

    private func reranker(_ json: String) throws -> RerankerRow {
        try RerankerRecognizer().recognize(JSONValue(parsing: json)).row
    }

    private func user(_ text: String) -> RowText { .messages([Message(role: "user", content: text)]) }

    private func document(_ text: String) -> RowText { .messages([Message(role: "assistant", content: text)]) }

    @Test func pairsHaveScores() throws {
        let flat = try embedding(#"{"sentence1": "a", "sentence2": "b", "score": "0.5"}"#, .score)
        #expect(flat == EmbeddingRow(anchor: .text("a"), positive: .text("b"), label: 0.5))
        let messages = try embedding(
            #"""
            {"messages": [{"role": "user", "content": "a"}], "positive_messages": [[{"role": "user", "content": "b"}]],
             "negative_messages": [[{"role": "user", "content": "c"}], [{"role": "user", "content": "d"}]], "label": 1}
            """#, .binary)
        #expect(
            messages
                == EmbeddingRow(anchor: user("a"), positive: user("b"), negatives: [user("c"), user("d")], label: 1))
        let plain = try embedding(#"{"anchor": "a", "positive": "b", "negative_1": "c", "negative_2": "d", "id": 1}"#)
        #expect(
            plain
                == EmbeddingRow(
                    anchor: .text("a"), positive: .text("b"), negatives: [.text("c"), .text("d")],
                    otherColumns: ["id": 1]))
        #expect(try embedding(#"{"query": "a", "pos": ["b"], "neg": ["c", "d"]}"#).negatives.count == 2)
        #expect(try embedding(#"{"query": "a", "positive": "[b]", "negatives": "['c', 'd']"}"#).negatives.count == 2)
        #expect(try embedding(#"{"query": "a", "positive": "[b]"}"#).positive == .text("[b]"))
    }

    @Test func pairsOfOlderVersionsAreRead() throws {
        let pair = try embedding(#"{"query": "a", "response": "b", "label": 0.8}"#, .score)
        #expect(pair == EmbeddingRow(anchor: .text("a"), positive: .text("b"), label: 0.8))
        let negatives = try embedding(#"{"query": "a", "response": "b", "rejected_response": ["c", "d"]}"#).negatives
        #expect(negatives == [.text("c"), .text("d")])
        let row = try reranker(#"{"query": "a", "response": "b", "rejected_response": "c"}"#)
        #expect(row == RerankerRow(query: .text("a"), positives: [.text("b")], negatives: [.text("c")]))
    }

    @Test func wrongPairsAreNamed() throws {
        let pair = #"{"sentence1": "a", "sentence2": "b", "label": "#
        for (label, use) in [
            ("2", PairLabel.binary), ("0.5", .binary), (#""x""#, .score), ("null", .score), ("1e99", .score),
        ] {
            #expect(throws: RowFault.self) { try embedding(pair + label + "}", use) }
        }
        #expect(try embedding(pair + "null}").label == nil)
        let several = #expect(throws: RowRejection.self) { try embedding(#"{"query": "a", "positive": ["b", "c"]}"#) }
        #expect(several?.reason == "several positives for one text")
        #expect(
            (#expect(throws: RowRejection.self) { try embedding(#"{"query": "a"}"#) })?.reason
                == "no positive to compare with")
        #expect(throws: RowRejection.self) { try embedding(#"{"positive": "a"}"#) }
        #expect(throws: RowRejection.self) { try embedding(#"{"query": "a", "positive": 5}"#) }
        #expect(throws: RowRejection.self) { try embedding(#"{"query": "a", "positive": "b", "negative": [1]}"#) }
    }

    @Test func queriesHaveDocuments() throws {
        let messages = try reranker(
            #"""
            {"messages": [{"role": "user", "content": "q"}],
             "positive_messages": [[{"role": "assistant", "content": "p"}]],
             "negative_messages": [[{"role": "assistant", "content": "n"}], [{"role": "assistant", "content": "m"}]]}
            """#)
        #expect(
            messages
                == RerankerRow(query: user("q"), positives: [document("p")], negatives: [document("n"), document("m")]))
        #expect(
            try reranker(#"{"query": "q", "positive": ["p", "o"], "negative": ["n"]}"#)
                == RerankerRow(query: .text("q"), positives: [.text("p"), .text("o")], negatives: [.text("n")]))
        #expect(
            try reranker(#"{"query": "q", "document": "d", "label": 0}"#)
                == RerankerRow(query: .text("q"), positives: [], negatives: [.text("d")]))
        #expect(try reranker(#"{"query": "q", "document": "d", "label": "1"}"#).positives == [.text("d")])
        #expect(throws: RowFault.self) { try reranker(#"{"query": "q", "document": "d", "label": 2}"#) }
        #expect(throws: RowFault.self) { try reranker(#"{"query": "q", "document": "d"}"#) }
        #expect(throws: RowRejection.self) { try reranker(#"{"query": "q", "negative": ["d"]}"#) }
        #expect(throws: RowRejection.self) { try reranker(#"{"query": "q"}"#) }
    }

    /// What a row tells the chat template is told of the text that it is about, and of no other; with documents it is not.
    @Test func whatRowsTellTheTemplate() throws {
        let kwargs = #""chat_template_kwargs": {"enable_thinking": true}"#
        let path = try folder.write(
            #"{"query": "q", "positive": "p", "negative": ["n", "m"], \#(kwargs)}"#, to: "x.jsonl")
        let train = try DatasetLoader().load([path], as: EmbeddingRecognizer()).train
        let (dataset, _) = try train.tokenized { text, columns in
            EncodedSequence(
                ids: text.text.utf8.map { Int32($0) } + (columns.keys.contains("chat_template_kwargs") ? [1] : []))
        }
        #expect(dataset.sample(0).texts.map(\.ids) == [[113, 1], [112], [110], [109]])

        let told = try RerankerRecognizer().recognize(
            JSONValue(parsing: #"{"query": "q", "positive": "p", \#(kwargs)}"#))
        #expect(told.notes.map { $0.prefix(29) } == ["chat_template_kwargs left out"])
        let empty = #"{"query": "q", "positive": "p", "chat_template_kwargs": null}"#
        #expect(try RerankerRecognizer().recognize(JSONValue(parsing: empty)).notes.isEmpty)
    }

    @Test func groupsAreStoredAndDrawn() throws {
        let lines = (0..<200).map { number in
            let negatives = (0..<10).map { #""n\#(number)-\#($0)""# }.joined(separator: ",")
            return #"{"query": "q\#(number)", "positive": ["p\#(number)", "o"], "negative": [\#(negatives)]}"# + "\n"
        }
        let path = try folder.write(lines.joined(), to: "x.jsonl")
        let train = try DatasetLoader().load(["\(path)#300"], as: RerankerRecognizer()).train
        let (dataset, report) = try train.tokenized(maximumLength: 20, threads: 3) { query, document in
            let (first, second) = (query.text.utf8.map { Int32($0) }, document.text.utf8.map { Int32($0) })
            return EncodedSequence(ids: first + second, segments: first.map { _ in 0 } + second.map { _ in 1 })
        }
        #expect(dataset.count == 300)
        #expect(report.tokenCount == dataset.indices.reduce(0) { $0 + dataset.length(of: $1) })
        for index in dataset.indices {
            let row = try train.recognized(at: index)
            let sample = dataset.sample(index)
            #expect(
                sample.positives.map(\.ids) == row.positives.map { (row.query.text + $0.text).utf8.map { Int32($0) } })
            #expect(sample.negatives.count == 10)
            #expect(sample.texts.allSatisfy { $0.segments?.count == $0.ids.count })
            let groups = dataset.groups(of: index, positives: 2, negatives: 7, seed: 1, epoch: 0)
            #expect(groups.map { $0.positives } == sample.positives.map { [$0] })
            #expect(groups.allSatisfy { $0.negatives.count == 7 && Set($0.negatives.map(\.ids)).count == 7 })
            #expect(groups == dataset.groups(of: index, positives: 2, negatives: 7, seed: 1, epoch: 0))
        }
        #expect(
            (0..<20).contains { dataset.groups(of: 0, seed: 1, epoch: $0) != dataset.groups(of: 0, seed: 1, epoch: 20) }
        )
    }

    @Test func embeddingsKeepTheirLabels() throws {
        let path = try folder.write("sentence1,sentence2,score\na,bb,0.5\nccc,d,1\n", to: "x.csv")
        var options = EmbeddingRecognizer.Options()
        options.label = .score
        var loader = DatasetLoader()
        loader.shufflesTraining = false
        let train = try loader.load(["\(path):default"], as: EmbeddingRecognizer(options)).train
        let encode: @Sendable (RowText, JSONObject) -> EncodedSequence = { text, _ in
            EncodedSequence(ids: text.text.utf8.map { Int32($0) })
        }
        let dataset = try train.tokenized(encode: encode).dataset
        #expect(dataset.indices.map { dataset.sample($0).label } == [0.5, 1])
        #expect(dataset.sample(0).texts.map(\.ids) == [[97], [98, 98]])
        let (short, report) = try train.tokenized(maximumLength: 2, strategy: .delete, encode: encode)
        #expect(short.rows == [0])
        #expect(report.dropped.entries.map(\.example) == ["\(path):3: 3 tokens"])
        let (cut, notes) = try train.tokenized(maximumLength: 2, strategy: .right, encode: encode)
        #expect(cut.count == 2)
        #expect(notes.notes.entries.map(\.example) == ["\(path):3"])
    }
}
