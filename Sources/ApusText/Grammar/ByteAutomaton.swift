/// Reads byte strings by a grammar, and remembers the states that it has been in.
///
/// A state is the set of places in the grammar where the bytes so far may have led to, each with the rules that it goes back
/// to. States are made when they are reached, and numbered, so that going on from a state that was there costs one look-up.
final class ByteAutomaton {
    /// A place in the grammar, and the number of the place that follows the rule it is in; 0 follows the whole.
    private struct Place: Hashable {
        let node: Int32
        let back: Int32
    }

    private struct State: Hashable {
        /// Places before a byte.
        let places: [Place]
        /// Whether the whole may end here.
        let isEnd: Bool
    }

    /// The most rules inside each other, such as JSON objects in objects.
    static let depthLimit = 128

    private let grammar: ByteGrammar
    /// What follows rules, by number − 1, with how many follow each other.
    private var returns: [(place: Place, depth: Int)] = []
    private var returnNumbers: [Place: Int32] = [:]
    private var states: [State] = []
    private var numbers: [State: Int32] = [:]
    /// The state after each byte, 256 a state.
    private var transitions: [Int32] = []

    private static let unknown: Int32 = -2
    /// Where no byte leads.
    static let dead: Int32 = -1

    private(set) var start: Int32 = ByteAutomaton.dead

    init(_ grammar: ByteGrammar) {
        self.grammar = grammar
        start = number(closure(of: [Place(node: grammar.rules[0], back: 0)]))
    }

    func isEnd(_ state: Int32) -> Bool { state >= 0 && states[Int(state)].isEnd }

    /// Whether any byte leads on.
    func goesOn(_ state: Int32) -> Bool { state >= 0 && !states[Int(state)].places.isEmpty }

    func next(_ state: Int32, _ byte: UInt8) -> Int32 {
        guard state >= 0 else { return Self.dead }
        let index = Int(state) << 8 | Int(byte)
        if transitions[index] == Self.unknown {
            let reached = states[Int(state)].places.compactMap { place -> Place? in
                guard case .byte(let range, let next) = grammar.nodes[Int(place.node)], range.contains(byte) else {
                    return nil
                }
                return Place(node: next, back: place.back)
            }
            let found = reached.isEmpty ? Self.dead : number(closure(of: reached))
            transitions[index] = found
        }
        return transitions[index]
    }

    private func number(_ state: State) -> Int32 {
        if state.places.isEmpty, !state.isEnd { return Self.dead }
        if let number = numbers[state] { return number }
        let number = Int32(states.count)
        states.append(state)
        numbers[state] = number
        transitions += Array(repeating: Self.unknown, count: 256)
        return number
    }

    /// Follows everything that needs no byte.
    private func closure(of places: [Place]) -> State {
        var waiting = places
        var seen = Set(places)
        var (before, isEnd) = (Set<Place>(), false)
        func visit(_ place: Place) {
            if seen.insert(place).inserted { waiting.append(place) }
        }
        while let place = waiting.popLast() {
            switch grammar.nodes[Int(place.node)] {
            case .byte: before.insert(place)
            case .split(let nodes): for node in nodes { visit(Place(node: node, back: place.back)) }
            case .call(let rule, let next):
                // A rule that ends with another goes back to where it would go back itself.
                if case .end = grammar.nodes[Int(next)] {
                    visit(Place(node: grammar.rules[rule], back: place.back))
                } else if let back = returning(to: Place(node: next, back: place.back)) {
                    visit(Place(node: grammar.rules[rule], back: back))
                }
            case .end:
                if place.back == 0 { isEnd = true } else { visit(returns[Int(place.back) - 1].place) }
            }
        }
        return State(places: before.sorted { ($0.node, $0.back) < ($1.node, $1.back) }, isEnd: isEnd)
    }

    /// The number of what follows a rule; nil where rules are too deep in each other.
    private func returning(to place: Place) -> Int32? {
        if let number = returnNumbers[place] { return number }
        let depth = place.back == 0 ? 1 : returns[Int(place.back) - 1].depth + 1
        guard depth <= Self.depthLimit else { return nil }
        returns.append((place, depth))
        returnNumbers[place] = Int32(returns.count)
        return Int32(returns.count)
    }
}
