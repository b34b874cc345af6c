/// The losses of short runs and a digest of the weights they end in, by processor family and run.
enum GoldenCurves {
    static let all: [String: [String: (losses: [Double], weights: UInt64)]] = [:]
}
