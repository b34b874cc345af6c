import ApusTorch

/// What one layer remembers of several sequences from pass to pass: keys and values, or whatever else its kind needs.
package protocol LayerState: AnyObject {
    init(sequences: Int)

    /// Goes on with some sequences, in a new order; one may be named several times.
    func keep(_ sequences: [Int]) throws
}

/// What a model remembers of several sequences between the passes of a generation: the states of its layers.
///
/// A layer asks for the state of its own kind and is given an empty one at first.
package final class ModelState {
    private struct Key: Hashable {
        let layer: Int
        let kind: ObjectIdentifier
    }

    private var layers: [Key: any LayerState] = [:]
    /// How many tokens of each sequence have been seen.
    package private(set) var lengths: [Int]
    /// Where the tokens of each sequence lie in every storage that keeps a row for each.
    private var rooms: [Range<Int>]
    private var rowCount = 0
    private var places: TokenPlaces?
    private var placedBounds: [Int32] = []
    /// The rows that prompts take in front of each sequence; known from the first pass on.
    private var front: Int?
    /// What a second pass over the same tokens remembers.
    private var second: ModelState?

    package init(sequences: Int) {
        lengths = Array(repeating: 0, count: sequences)
        rooms = Array(repeating: 0..<0, count: sequences)
    }

    /// The state of a layer.
    package func of<State: LayerState>(_ layer: Int, make: (_ sequences: Int) -> State) -> State {
        let key = Key(layer: layer, kind: ObjectIdentifier(State.self))
        if let state = layers[key] as? State { return state }
        let state = make(lengths.count)
        layers[key] = state
        return state
    }

    /// The state of a second pass over the same tokens, by a model that looks at them twice.
    func beside() -> ModelState {
        let state = second ?? ModelState(sequences: lengths.count)
        second = state
        return state
    }

    /// Goes on with some sequences, in a new order; one that is named several times goes on in several ways.
    package func keep(_ sequences: [Int]) throws {
        try second?.keep(sequences)
        lengths = sequences.map { lengths[$0] }
        // Rooms follow each other in the order of the sequences, and each has one sequence.
        let isInOrder = zip(sequences, sequences.dropFirst()).allSatisfy { $0 < $1 }
        rooms = sequences.map { isInOrder ? rooms[$0] : 0..<0 }
        places = nil
        for state in layers.values { try state.keep(sequences) }
    }

    /// Notes the tokens of a pass once all layers have seen them.
    package func advance(over bounds: [Int32]) {
        for index in lengths.indices { lengths[index] += Int(bounds[index + 1] - bounds[index]) }
        places = nil
    }

    /// Where a pass's tokens are put, behind those of before; all layers of the pass are told the same.
    ///
    /// - Parameter count: The rows in front of each sequence's tokens.
    /// - Precondition: The same count in every pass.
    func places(adding bounds: [Int32], behind count: Int = 0) -> TokenPlaces {
        precondition(front == nil || front == count, "a state goes on with other prompts than it began with")
        if let places, placedBounds == bounds { return places }
        (front, placedBounds) = (count, bounds)
        let added = lengths.indices.map { Int(bounds[$0 + 1] - bounds[$0]) }
        func needed(_ index: Int) -> Int { count + lengths[index] + added[index] }
        if lengths.indices.contains(where: { needed($0) > rooms[$0].count }) {
            // Room for as much as there is keeps the copying linear in the length of the text.
            let total = lengths.indices.reduce(0) { $0 + needed($1) }
            let room = max(64, total / max(lengths.count, 1))
            rowCount = 0
            for index in rooms.indices {
                let end = rowCount + needed(index) + room
                rooms[index] = rowCount..<end
                rowCount = end
            }
        }
        let made = TokenPlaces(
            starts: rooms.map(\.lowerBound), lengths: lengths.map { count + $0 }, added: added, rowCount: rowCount)
        places = made
        return made
    }
}
