package import ApusJSON

/// What a turn of a data row says about its training.
///
/// `loss` (ms-swift), `train` and `training` (axolotl) say whether a turn is trained, whatever the strategy;
/// `loss_scale` (ms-swift), `weight` (OpenAI, axolotl) and `loss_weight` what its loss is multiplied by: 0 leaves the
/// turn out, 1 changes nothing.
package struct TurnTraining: Sendable, Equatable {
    /// nil leaves it to the strategy.
    package private(set) var isTrained: Bool?
    package private(set) var weight: Float = 1

    private static let switches = ["loss", "train", "training"]
    private static let weights = ["loss_scale", "weight", "loss_weight"]
    /// Marks of single spans inside a turn, which would be trained differently from what they ask for.
    private static let details = ["train_detail", "training_detail"]

    /// Takes the keys out of a message; null is as good as absent.
    ///
    /// - Throws: `MessageError` naming the key for a value that is neither, and for keys that contradict each other.
    package init(takenFrom fields: inout JSONObject) throws {
        for key in Self.switches {
            guard let value = fields.removeValue(key) else { continue }
            let flag: Bool
            switch value {
            case .bool(let isTrue): flag = isTrue
            case .int(0), .double(0): flag = false
            case .int(1), .double(1): flag = true
            case .int, .double:
                throw MessageError(
                    "\"\(key)\" is \(value.serialized()); it takes true or false, and \"loss_scale\" takes a number")
            default: throw MessageError("\"\(key)\" is \(value.serialized()); it takes true or false")
            }
            guard isTrained == nil || isTrained == flag else {
                throw MessageError("\"loss\" and \"\(key)\" contradict each other")
            }
            isTrained = flag
        }
        var given: Float?
        for key in Self.weights {
            guard let value = fields.removeValue(key) else { continue }
            guard let number = value.doubleValue ?? value.boolValue.map({ $0 ? 1 : 0 }), number >= 0,
                Float(number).isFinite
            else { throw MessageError("\"\(key)\" is \(value.serialized()); it takes a number from 0") }
            guard given == nil || given == Float(number) else {
                throw MessageError("\"loss_scale\" and \"\(key)\" contradict each other")
            }
            given = Float(number)
        }
        if let key = Self.details.first(where: { fields[$0].map { !$0.isNull } ?? false }) {
            throw MessageError("\"\(key)\" marks parts of a turn, which is not supported; mark turns with \"train\"")
        }
        if given == 0 { isTrained = false } else { weight = given ?? 1 }
    }
}

extension JSONObject {
    /// Takes a member out; nil when it is null or absent.
    fileprivate mutating func removeValue(_ key: String) -> JSONValue? {
        guard let value = self[key] else { return nil }
        self[key] = nil
        return value.isNull ? Optional.none : value
    }
}
