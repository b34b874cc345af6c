import Foundation
import SwiftProtobuf

/// A SentencePiece model file, `spiece.model` or `tokenizer.model`.
struct SentencePieceModel: Sendable {
    enum Kind: Int32, Sendable {
        case normal = 1
        case unknown = 2
        case control = 3
        case userDefined = 4
        case unused = 5
        case byte = 6
    }

    struct Piece: Sendable {
        var text: String
        var score: Double
        var kind: Kind
    }

    var pieces: [Piece]
    /// Whether the model is Unigram; if not, it is byte-pair encoding.
    var isUnigram = true
    var fallsBackToBytes = false
    var unknownID = 0
    var unknownPiece = "<unk>"
    /// The pieces at the start and at the end of texts, where the model has them.
    var beginningPiece: String? = "<s>"
    var endPiece: String? = "</s>"
    var characterMap: Data?
    var addsDummyPrefix = true
    var removesExtraSpaces = true
    var escapesSpaces = true

    /// The file that errors name.
    let source: String

    init(pieces: [Piece], source: String) {
        self.pieces = pieces
        self.source = source
    }

    /// The file is something else, or damaged.
    struct NoModel: Error {
        let reason: TokenizerError
    }

    /// - Throws: `NoModel`, or `TokenizerError` where a model cannot be used.
    init(_ data: Data, source: String) throws {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        options.messageDepthLimit = 8
        let message: SentencePieceMessage
        do {
            message = try SentencePieceMessage(serializedBytes: data, partial: true, options: options)
        } catch {
            throw NoModel(
                reason: TokenizerError(
                    source, "is no SentencePiece model, or a damaged one (\(error)); download it again"))
        }
        guard !message.pieces.isEmpty else {
            throw NoModel(
                reason: TokenizerError(source, "is a SentencePiece model without pieces; download it again"))
        }
        let trainer = message.trainer ?? .init()
        let kind = trainer.modelType ?? 1
        guard kind == 1 || kind == 2 else {
            let name = [3: "word", 4: "character"][kind] ?? "\(kind)"
            throw TokenizerError(
                source, "is a SentencePiece \(name) model; Unigram and byte-pair encoding are supported")
        }
        self.init(pieces: [], source: source)
        pieces = try message.pieces.enumerated().map { id, piece in
            guard let kind = Kind(rawValue: piece.kind ?? 1) else {
                throw TokenizerError(source, "piece \(id) is of the unknown kind \(piece.kind ?? 0)")
            }
            let score = piece.score ?? 0
            guard score.isFinite else {
                throw TokenizerError(source, "piece \(id) has a score that is not a number; download the file again")
            }
            return Piece(text: piece.text ?? "", score: Double(score), kind: kind)
        }
        guard pieces.count <= Vocabulary.idLimit else {
            throw TokenizerError(source, "\(pieces.count) pieces; at most \(Vocabulary.idLimit) are supported")
        }
        isUnigram = kind == 1
        fallsBackToBytes = trainer.fallsBackToBytes ?? false
        unknownID = Int(trainer.unknownID ?? 0)
        unknownPiece = trainer.unknownPiece ?? unknownPiece
        beginningPiece = trainer.beginningID ?? 1 < 0 ? nil : Self.name(trainer.beginningPiece, or: "<s>")
        endPiece = trainer.endID ?? 2 < 0 ? nil : Self.name(trainer.endPiece, or: "</s>")
        let normalizer = message.normalizer ?? .init()
        characterMap = normalizer.characterMap.flatMap { $0.isEmpty ? nil : $0 }
        addsDummyPrefix = normalizer.addsDummyPrefix ?? true
        removesExtraSpaces = normalizer.removesExtraSpaces ?? true
        escapesSpaces = normalizer.escapesSpaces ?? true
    }

    private static func name(_ given: String?, or usual: String) -> String {
        guard let given, !given.isEmpty else { return usual }
        return given
    }

    func map() throws -> CharacterMap? {
        guard let characterMap else { return nil }
        return try ComponentReader(source: source).characterMap(characterMap)
    }

    /// The pieces that are found in the text before it is cut, in the order of their ids.
    var addedTokens: [AddedToken] {
        pieces.filter { $0.kind == .control || $0.kind == .userDefined }.map {
            AddedToken($0.text, isSpecial: $0.kind == .control, isNormalized: false)
        }
    }

    /// The pieces by their ids; of equal pieces the last counts.
    func vocabulary() throws -> Vocabulary {
        var vocabulary = Vocabulary(expectedCount: pieces.count)
        let files = BytePairFiles(source: source)
        for (id, piece) in pieces.enumerated() {
            try files.insert(Array(piece.text.utf8), Int32(id), into: &vocabulary)
        }
        return vocabulary
    }

    /// The pieces with their scores, by id.
    func scored() throws -> ScoredVocabulary {
        var scored = ScoredVocabulary(expectedCount: pieces.count)
        for piece in pieces { try scored.append(piece.text, score: piece.score, source: source) }
        return scored
    }
}
