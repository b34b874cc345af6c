import ApusJSON
import ApusNN

/// Pieces of a model's layers that follow one another and may overlap, as PEFT's `layer_replication` gives them.
///
/// `[[0, 4], [2, 5]]` makes of five layers seven: 0 1 2 3 2 3 4. Copies share their weights, and each has its own adapter.
/// Kim et al. 2023, <https://arxiv.org/abs/2312.15166>, stack layers so.
struct LayerReplication: Sendable, Equatable {
    private let pieces: [[Int]]
    private let place: String

    init(text: String, place: String) throws {
        guard let value = try? JSONValue(parsing: text) else {
            throw AdapterError("\(place): \(text) is not JSON; write it such as [[0, 4], [2, 5]]")
        }
        try self.init(value, place: place)
    }

    init(_ value: JSONValue, place: String) throws {
        let pieces = (value.arrayValue ?? []).map { ($0.arrayValue ?? []).compactMap(\.intValue) }
        guard !pieces.isEmpty, pieces.count == value.arrayValue?.count,
            pieces.allSatisfy({ $0.count == 2 && $0[0] >= 0 && $0[0] < $0[1] && $0[1] <= 1024 })
        else {
            throw AdapterError(
                "\(place) must be a list of pairs, the first layer of a piece and the one behind its last, it is "
                    + value.serialized())
        }
        (self.pieces, self.place) = (pieces, place)
    }

    static func == (a: LayerReplication, b: LayerReplication) -> Bool { a.pieces == b.pieces }

    /// - Parameter layers: Layers of the model.
    func plan(layers: Int) throws -> LayerPlan {
        if let piece = pieces.first(where: { $0[1] > layers }) {
            throw AdapterError("\(place): the piece \(piece) reaches beyond the \(layers) layers of the model")
        }
        let sources = pieces.flatMap { Array($0[0]..<$0[1]) }
        guard sources.count <= 1024 else {
            throw AdapterError("\(place): \(sources.count) layers are more than the 1024 there can be")
        }
        return LayerPlan(sources: sources)
    }

    var json: JSONValue { .array(pieces.map { .array($0.map(JSONValue.int)) }) }
}
