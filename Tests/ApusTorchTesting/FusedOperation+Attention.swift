import ApusTorch
import Foundation

/// What a test asks of attention, with its formula.
struct AttentionCase: Sendable {
    let name: String
    var isCausal = true
    var queries: [Int32] = [0, 7, 8, 20]
    /// The keys of each sequence, in rows of `keyRows`; nil for those of the queries.
    var keys: (starts: [Int32], lengths: [Int32])?
    var keyRows = 20
    var options = AttentionOptions(scale: 0.3)
    /// Whether each head has a score beside those of the keys, the last input.
    var hasSinks = false

    init(_ name: String, _ change: (inout Self) -> Void) {
        self.name = name
        change(&self)
    }

    private static let key: UInt64 = 5

    var operation: FusedOperation {
        let more = (options.buckets.map { [[$0.count, 4]] } ?? []) + (hasSinks ? [[4]] : [])
        let (case_, querySpans) = (self, queries)
        return FusedOperation(
            name, [[Int(queries[queries.count - 1]), 4, 8], [keyRows, 2, 8], [keyRows, 2, 8]] + more
        ) {
            let own = SequenceSpans(querySpans)
            let spans = case_.keys.map { SequenceSpans(starts: $0.starts, lengths: $0.lengths) } ?? own
            return try attention(
                $0[0], $0[1], $0[2], queries: own, keys: spans, isCausal: case_.isCausal, case_.options,
                biases: case_.options.buckets == nil ? nil : $0[3], sinks: case_.hasSinks ? $0.last : nil, key: Self.key
            )
        } formula: {
            try case_.formula($0)
        }
    }

    /// One sequence after the other, with an explicit mask.
    private func formula(_ x: [Tensor]) throws -> Tensor {
        let own = SequenceSpans(queries)
        let spans = keys ?? (own.starts, own.lengths)
        let parts = try own.starts.indices.map { index in
            let (t, s) = (Int(own.lengths[index]), Int(spans.lengths[index]))
            func heads(_ x: Tensor, _ start: Int32, _ length: Int, _ repeats: Int) throws -> Tensor {
                let part = try x.narrowed(0, start: Int(start), length: length).transposed(0, 1)
                return try stacked(Array(repeating: part, count: repeats), axis: 1).reshaped([-1, length, x.shape[2]])
            }
            let q = try heads(x[0], own.starts[index], t, 1)  // [H, t, E]
            let (k, v) = (try heads(x[1], spans.starts[index], s, 2), try heads(x[2], spans.starts[index], s, 2))
            var scores = try matmul(q, k.transposed(1, 2)) * options.scale  // [H, t, s]
            if let cap = options.softCap { scores = try tanh(scores / cap) * cap }
            /// How far key j is behind query i.
            func places<Element>(_ value: (Int) -> Element) -> [Element] {
                (0..<t).flatMap { i in (0..<s).map { j in value(j - (i + s - t)) } }
            }
            func tensor(_ values: [Double], _ shape: [Int]) throws -> Tensor {
                try Tensor(values, shape: shape, device: scores.device).to(scores.dtype)
            }
            if let slopes = options.slopes, options.roundsSlopes {
                let gains = slopes.flatMap { slope in
                    (0..<s).map { Double(Self.short(Self.short(slope) * Self.short(Float($0)))) * options.scale }
                }
                scores = try scores + tensor(gains, [4, 1, s])
            } else if let slopes = options.slopes {
                scores =
                    try scores - tensor(places { Double(Swift.abs($0)) }, [1, t, s])
                    * tensor(slopes.map(Double.init), [4, 1, 1])
            }
            if let buckets = options.buckets {
                let rows = try Tensor(places { Int64(Self.bucket($0, buckets)) }, device: scores.device)
                scores = try scores + x[3].indexed(0, rows).reshaped([t, s, 4]).permuted([2, 0, 1])
            }
            let window = options.window ?? .max
            let hidden = places { isCausal ? $0 > 0 || -$0 >= window : Swift.abs($0) >= window }
            scores = try scores.masked(by: Tensor(hidden, shape: [1, t, s], device: scores.device), with: -.infinity)
            if hasSinks, let sinks = x.last {
                scores = try concatenated([scores, sinks.reshaped([4, 1, 1]).expanded([4, t, 1])], axis: 2)
            }
            var weights = try softmax(scores).narrowed(2, start: 0, length: s)
            if options.dropout > 0 {
                let part = Self.key ^ (0x9E37_79B9_7F4A_7C15 &* UInt64(index + 1))
                weights = try dropout(weights, probability: options.dropout, key: part)
            }
            return try matmul(weights, v).transposed(0, 1)
        }
        return try concatenated(parts)
    }

    /// The nearest number of bfloat16.
    private static func short(_ x: Float) -> Float {
        Float(bitPattern: (x.bitPattern &+ 0x7FFF &+ (x.bitPattern >> 16 & 1)) & 0xFFFF_0000)
    }

    /// `T5Attention._relative_position_bucket` for one distance.
    private static func bucket(_ distance: Int, _ buckets: DistanceBuckets) -> Int {
        let count = buckets.ofBothSides ? buckets.count / 2 : buckets.count
        let first = buckets.ofBothSides && distance > 0 ? count : 0
        let far = buckets.ofBothSides ? Swift.abs(distance) : Swift.max(0, -distance)
        let exact = count / 2
        if far < exact { return first + far }
        let grown = Foundation.log(Float(far) / Float(exact)) / Foundation.log(Float(buckets.reach) / Float(exact))
        return first + Swift.min(count - 1, exact + Int(grown * Float(count - exact)))
    }
}

extension FusedOperation {
    static let attentions: [FusedOperation] = [
        AttentionCase("causal attention") { _ in },
        AttentionCase("attention") { $0.isCausal = false },
        AttentionCase("attention in a window") { $0.options.window = 3 },
        AttentionCase("attention in a window of both sides") {
            $0.isCausal = false
            $0.options.window = 3
        },
        AttentionCase("attention over a cache") {
            $0.queries = [0, 2, 3, 4]
            $0.keys = ([0, 7, 8], [7, 1, 12])
        },
        AttentionCase("attention over a cache in a window, with slopes and gaps between sequences") {
            $0.queries = [0, 2, 3, 4]
            $0.keys = ([2, 13, 15], [7, 1, 12])
            $0.keyRows = 30
            $0.options.window = 4
            $0.options.slopes = [0.5, 0.25, 0.125, 0.0625]
        },
        AttentionCase("attention across sequences of other lengths") {
            $0.isCausal = false
            $0.keys = ([0, 4, 15], [4, 11, 5])
        },
        AttentionCase("causal attention with dropout") { $0.options.dropout = 0.2 },
        AttentionCase("attention with dropout in a window") {
            $0.isCausal = false
            $0.options.window = 3
            $0.options.dropout = 0.2
        },
        AttentionCase("attention with a soft cap") { $0.options.softCap = 1.5 },
        AttentionCase("attention with a soft cap over gaps, across") {
            $0.isCausal = false
            $0.keys = ([1, 6, 18], [4, 11, 5])
            $0.keyRows = 25
            $0.options.softCap = 1.5
        },
        AttentionCase("attention with slopes") { $0.options.slopes = [0.5, 0.25, 0.125, 0.0625] },
        AttentionCase("attention with slopes on both sides") {
            $0.isCausal = false
            $0.options.slopes = [0.5, 0.25, 0.125, 0.0625]
        },
        AttentionCase("attention with rounded slopes over a cache") {
            $0.queries = [0, 2, 3, 4]
            $0.keys = ([0, 7, 8], [7, 1, 12])
            $0.options.slopes = [0.7, 0.3, 0.11, 0.05]
            $0.options.roundsSlopes = true
        },
        AttentionCase("attention with rounded slopes on both sides") {
            $0.isCausal = false
            $0.options.slopes = [0.7, 0.3, 0.11, 0.05]
            $0.options.roundsSlopes = true
        },
        AttentionCase("causal attention with a bias table") {
            $0.options.buckets = DistanceBuckets(count: 6, reach: 9, ofBothSides: false)
        },
        AttentionCase("attention with a bias table") {
            $0.isCausal = false
            $0.options.buckets = DistanceBuckets(count: 12, reach: 9, ofBothSides: true)
        },
        AttentionCase("attention with all of it") {
            $0.options.window = 6
            $0.options.softCap = 2
            $0.options.slopes = [0.5, 0.25, 0.125, 0.0625]
            $0.options.buckets = DistanceBuckets(count: 6, reach: 9, ofBothSides: false)
            $0.options.dropout = 0.2
        },
        AttentionCase("causal attention with sinks") { $0.hasSinks = true },
        AttentionCase("attention with sinks over a cache in a window") {
            $0.queries = [0, 2, 3, 4]
            $0.keys = ([2, 13, 15], [7, 1, 12])
            $0.keyRows = 30
            $0.options.window = 4
            $0.hasSinks = true
        },
        AttentionCase("attention with sinks and all of it") {
            $0.options.window = 6
            $0.options.softCap = 2
            $0.options.slopes = [0.5, 0.25, 0.125, 0.0625]
            $0.options.buckets = DistanceBuckets(count: 6, reach: 9, ofBothSides: false)
            $0.options.dropout = 0.2
            $0.hasSinks = true
        },
    ].map(\.operation)
}
