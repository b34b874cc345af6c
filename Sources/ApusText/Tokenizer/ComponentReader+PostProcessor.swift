import ApusJSON

extension ComponentReader {
    func postProcessor(_ value: JSONValue?) throws -> PostProcessor {
        guard let value, !value.isNull else { return PostProcessor() }
        do {
            return try PostProcessor(try steps(value))
        } catch is PostProcessor.TooManyParts {
            throw fault(
                "post_processor \"Sequence\" gives a \"TemplateProcessing\" more than two parts, which `tokenizers` "
                    + "cannot run either")
        }
    }

    private func steps(_ value: JSONValue) throws -> [PostProcessor.Step] {
        switch try type(of: value, "post_processor") {
        case "Sequence": return try list(value, "processors", "post_processor").flatMap { try steps($0) }
        // Its options change offsets alone.
        case "ByteLevel": return []
        case "RobertaProcessing":
            return [
                .roberta(
                    classification: try id(value["cls"]?[1], "cls"), separator: try id(value["sep"]?[1], "sep"))
            ]
        case "BertProcessing":
            return [
                .bert(classification: try id(value["cls"]?[1], "cls"), separator: try id(value["sep"]?[1], "sep"))
            ]
        case "TemplateProcessing":
            let single = try template(value, "single")
            let texts = single.count { if case .text = $0 { true } else { false } }
            guard texts == 1 else {
                throw fault(
                    "post_processor \"TemplateProcessing\" must have the sequence A once in \"single\", "
                        + "not \(texts) times")
            }
            let pair =
                value["pair"] == nil ? [.text(0, segment: 0), .text(1, segment: 1)] : try template(value, "pair")
            return [.template(single: single, pair: pair)]
        case let type:
            throw unsupported(
                "post_processor", type, "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing and Sequence")
        }
    }

    private func template(_ value: JSONValue, _ key: String) throws -> [PostProcessor.Piece] {
        try list(value, key, "post_processor").flatMap { piece -> [PostProcessor.Piece] in
            if let sequence = piece["Sequence"] {
                let segment = try id(sequence["type_id"] ?? 0, "type_id")
                switch sequence["id"]?.stringValue {
                case "A"?: return [.text(0, segment: segment)]
                case "B"? where key == "pair": return [.text(1, segment: segment)]
                default:
                    throw fault(
                        "post_processor \"TemplateProcessing\" has a sequence other than A"
                            + "\(key == "pair" ? " and B" : "") in \"\(key)\"")
                }
            }
            guard let token = piece["SpecialToken"], let name = token["id"]?.stringValue,
                let ids = value["special_tokens"]?[name]?["ids"]?.arrayValue
            else {
                throw fault(
                    "post_processor \"TemplateProcessing\" has a piece in \"\(key)\" that is neither a "
                        + "\"Sequence\" nor a \"SpecialToken\" listed in \"special_tokens\"")
            }
            let segment = try id(token["type_id"] ?? 0, "type_id")
            return try ids.map { .token(try id($0, "special_tokens"), segment: segment) }
        }
    }

    private func id(_ value: JSONValue?, _ key: String) throws -> Int32 {
        guard let id = value?.intValue, id >= 0, id < Vocabulary.idLimit else {
            throw fault("post_processor needs token ids from 0 to \(Vocabulary.idLimit - 1) in \"\(key)\"")
        }
        return Int32(id)
    }
}
