import ApusJSON
import ApusNN
import ApusText
import ApusTorch

/// The logarithm of a token's probability, and of the likeliest ones' at its place, by the model itself: before temperature
/// and whatever else chooses.
struct TokenProbability {
    struct Named {
        let token: String
        let logarithm: Float

        /// As OpenAI's programs write it.
        var json: JSONObject {
            [
                "token": .string(token), "logprob": .double(Double(logarithm)),
                "bytes": .array(token.utf8.map { .int(Int($0)) }),
            ]
        }
    }

    let chosen: Named
    let likeliest: [Named]?

    /// - Parameters:
    ///   - scores: [V].
    ///   - count: How many of the likeliest are named; nil names none.
    init(_ token: Int32, among scores: Tensor, naming count: Int?, _ tokenizer: Tokenizer) throws {
        let logarithms = try logSoftmax(scores.to(.float32))
        func named(_ id: Int32, _ logarithm: Float) -> Named {
            Named(token: tokenizer.decode([id]), logarithm: logarithm)
        }
        chosen = named(token, Float(try logarithms.selected(0, Int(token)).item()))
        likeliest = try count.map { count in
            guard count > 0 else { return [] }
            let (values, ids) = try logarithms.top(min(count, logarithms.count))
            let numbers: [Float] = try values.values()
            return zip(try ids.values() as [Int32], numbers).map(named)
        }
    }

    var json: JSONValue {
        var object = chosen.json
        object["top_logprobs"] = .array((likeliest ?? []).map { .object($0.json) })
        return .object(object)
    }
}
