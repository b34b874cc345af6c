import Foundation
import SwiftProtobuf

/// What is read of a SentencePiece model file, a protocol buffer with the fields of `sentencepiece_model.proto`.
///
/// Only reading is needed, and few of the fields, so these messages are written by hand.
struct SentencePieceMessage: Sendable {
    struct Piece: Sendable {
        var text: String?
        var score: Float?
        var kind: Int32?
        var unknownFields = SwiftProtobuf.UnknownStorage()
        init() {}
    }

    /// How the model was trained, which says what it is.
    struct Trainer: Sendable {
        var modelType: Int32?
        var fallsBackToBytes: Bool?
        var unknownID: Int32?
        var beginningID: Int32?
        var endID: Int32?
        var unknownPiece: String?
        var beginningPiece: String?
        var endPiece: String?
        var unknownFields = SwiftProtobuf.UnknownStorage()
        init() {}
    }

    struct Normalizer: Sendable {
        var characterMap: Data?
        var addsDummyPrefix: Bool?
        var removesExtraSpaces: Bool?
        var escapesSpaces: Bool?
        var unknownFields = SwiftProtobuf.UnknownStorage()
        init() {}
    }

    var pieces: [Piece] = []
    var trainer: Trainer?
    var normalizer: Normalizer?
    var unknownFields = SwiftProtobuf.UnknownStorage()
    init() {}
}

extension SentencePieceMessage: SwiftProtobuf.Message, SwiftProtobuf._MessageImplementationBase {
    static let protoMessageName = "sentencepiece.ModelProto"

    mutating func decodeMessage<D: SwiftProtobuf.Decoder>(decoder: inout D) throws {
        while let field = try decoder.nextFieldNumber() {
            switch field {
            case 1: try decoder.decodeRepeatedMessageField(value: &pieces)
            case 2: try decoder.decodeSingularMessageField(value: &trainer)
            case 3: try decoder.decodeSingularMessageField(value: &normalizer)
            default: break
            }
        }
    }

    func traverse<V: SwiftProtobuf.Visitor>(visitor: inout V) throws {
        if !pieces.isEmpty { try visitor.visitRepeatedMessageField(value: pieces, fieldNumber: 1) }
        if let trainer { try visitor.visitSingularMessageField(value: trainer, fieldNumber: 2) }
        if let normalizer { try visitor.visitSingularMessageField(value: normalizer, fieldNumber: 3) }
        try unknownFields.traverse(visitor: &visitor)
    }

    static func == (left: SentencePieceMessage, right: SentencePieceMessage) -> Bool {
        left.pieces == right.pieces && left.trainer == right.trainer && left.normalizer == right.normalizer
            && left.unknownFields == right.unknownFields
    }
}

extension SentencePieceMessage.Piece: SwiftProtobuf.Message, SwiftProtobuf._MessageImplementationBase {
    static let protoMessageName = "sentencepiece.ModelProto.SentencePiece"

    mutating func decodeMessage<D: SwiftProtobuf.Decoder>(decoder: inout D) throws {
        while let field = try decoder.nextFieldNumber() {
            switch field {
            case 1: try decoder.decodeSingularStringField(value: &text)
            case 2: try decoder.decodeSingularFloatField(value: &score)
            case 3: try decoder.decodeSingularInt32Field(value: &kind)
            default: break
            }
        }
    }

    func traverse<V: SwiftProtobuf.Visitor>(visitor: inout V) throws {
        if let text { try visitor.visitSingularStringField(value: text, fieldNumber: 1) }
        if let score { try visitor.visitSingularFloatField(value: score, fieldNumber: 2) }
        if let kind { try visitor.visitSingularInt32Field(value: kind, fieldNumber: 3) }
        try unknownFields.traverse(visitor: &visitor)
    }

    static func == (left: Self, right: Self) -> Bool {
        left.text == right.text && left.score == right.score && left.kind == right.kind
            && left.unknownFields == right.unknownFields
    }
}

extension SentencePieceMessage.Trainer: SwiftProtobuf.Message, SwiftProtobuf._MessageImplementationBase {
    static let protoMessageName = "sentencepiece.TrainerSpec"

    mutating func decodeMessage<D: SwiftProtobuf.Decoder>(decoder: inout D) throws {
        while let field = try decoder.nextFieldNumber() {
            switch field {
            case 3: try decoder.decodeSingularInt32Field(value: &modelType)
            case 35: try decoder.decodeSingularBoolField(value: &fallsBackToBytes)
            case 40: try decoder.decodeSingularInt32Field(value: &unknownID)
            case 41: try decoder.decodeSingularInt32Field(value: &beginningID)
            case 42: try decoder.decodeSingularInt32Field(value: &endID)
            case 45: try decoder.decodeSingularStringField(value: &unknownPiece)
            case 46: try decoder.decodeSingularStringField(value: &beginningPiece)
            case 47: try decoder.decodeSingularStringField(value: &endPiece)
            default: break
            }
        }
    }

    func traverse<V: SwiftProtobuf.Visitor>(visitor: inout V) throws {
        if let modelType { try visitor.visitSingularInt32Field(value: modelType, fieldNumber: 3) }
        if let fallsBackToBytes { try visitor.visitSingularBoolField(value: fallsBackToBytes, fieldNumber: 35) }
        for (id, field) in [(unknownID, 40), (beginningID, 41), (endID, 42)] {
            if let id { try visitor.visitSingularInt32Field(value: id, fieldNumber: field) }
        }
        for (piece, field) in [(unknownPiece, 45), (beginningPiece, 46), (endPiece, 47)] {
            if let piece { try visitor.visitSingularStringField(value: piece, fieldNumber: field) }
        }
        try unknownFields.traverse(visitor: &visitor)
    }

    static func == (left: Self, right: Self) -> Bool {
        left.modelType == right.modelType && left.fallsBackToBytes == right.fallsBackToBytes
            && left.unknownID == right.unknownID && left.beginningID == right.beginningID && left.endID == right.endID
            && left.unknownPiece == right.unknownPiece && left.beginningPiece == right.beginningPiece
            && left.endPiece == right.endPiece && left.unknownFields == right.unknownFields
    }
}

extension SentencePieceMessage.Normalizer: SwiftProtobuf.Message, SwiftProtobuf._MessageImplementationBase {
    static let protoMessageName = "sentencepiece.NormalizerSpec"

    mutating func decodeMessage<D: SwiftProtobuf.Decoder>(decoder: inout D) throws {
        while let field = try decoder.nextFieldNumber() {
            switch field {
            case 2: try decoder.decodeSingularBytesField(value: &characterMap)
            case 3: try decoder.decodeSingularBoolField(value: &addsDummyPrefix)
            case 4: try decoder.decodeSingularBoolField(value: &removesExtraSpaces)
            case 5: try decoder.decodeSingularBoolField(value: &escapesSpaces)
            default: break
            }
        }
    }

    func traverse<V: SwiftProtobuf.Visitor>(visitor: inout V) throws {
        if let characterMap { try visitor.visitSingularBytesField(value: characterMap, fieldNumber: 2) }
        for (flag, field) in [(addsDummyPrefix, 3), (removesExtraSpaces, 4), (escapesSpaces, 5)] {
            if let flag { try visitor.visitSingularBoolField(value: flag, fieldNumber: field) }
        }
        try unknownFields.traverse(visitor: &visitor)
    }

    static func == (left: Self, right: Self) -> Bool {
        left.characterMap == right.characterMap && left.addsDummyPrefix == right.addsDummyPrefix
            && left.removesExtraSpaces == right.removesExtraSpaces && left.escapesSpaces == right.escapesSpaces
            && left.unknownFields == right.unknownFields
    }
}
