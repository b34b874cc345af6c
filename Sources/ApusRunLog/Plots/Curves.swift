/// The values of every metric over the steps, by TensorBoard tag.
struct Curves {
    private(set) var samples: [String: [LossCurve.Sample]] = [:]

    mutating func add(_ metrics: [(name: String, value: Double)], step: Int) {
        for (name, value) in metrics { samples[Self.tag(of: name), default: []].append((step, value)) }
    }

    /// `eval_loss` → `eval/loss`, `loss` → `train/loss`.
    static func tag(of name: String) -> String {
        for group in ["eval", "test"] where name.hasPrefix(group + "_") {
            return group + "/" + name.dropFirst(group.count + 1)
        }
        return "train/" + name
    }

    /// What says how fast the machine is, and not what was learned.
    private static let untold: Set<String> = [
        "train/epoch", "train/" + RunLog.speedKey, "train/" + RunLog.memoryKey, "eval/runtime",
        "eval/samples_per_second", "eval/steps_per_second",
    ]

    /// One picture for each metric that has something to show: training and evaluation together, the loss always,
    /// others where they are no straight line, and of metrics with the same values the first.
    var pictures: [LossCurve] {
        var pictures: [LossCurve] = []
        var drawn: [[UInt64]] = []
        // Training first: its pictures show evaluations too.
        let tags = samples.keys.filter { !Self.untold.contains($0) }
        for tag in tags.filter({ $0.hasPrefix("train/") }).sorted() + tags.filter({ !$0.hasPrefix("train/") }).sorted()
        {
            let samples = samples[tag] ?? []
            let name = tag.drop { $0 != "/" }.dropFirst()
            let isTraining = tag.hasPrefix("train/")
            if tag.hasPrefix("eval/"), self.samples["train/" + name] != nil { continue }
            let evaluation = isTraining ? self.samples["eval/" + name] ?? [] : []
            guard name == "loss" || !Self.isLine(samples) || !Self.isLine(evaluation) else { continue }
            let series = [samples, evaluation].filter { !$0.isEmpty }.map(Self.identity)
            guard !series.allSatisfy(drawn.contains) else { continue }
            drawn += series
            pictures.append(
                LossCurve(
                    title: tag, samples: samples, evaluation: evaluation, isSmoothed: tag == "train/loss"))
        }
        return pictures
    }

    /// Whether values lie on one line, as fewer than three always do.
    private static func isLine(_ samples: [LossCurve.Sample]) -> Bool {
        let finite = samples.filter { $0.value.magnitude < 1e100 }
        guard finite.count > 2, let first = finite.first, let last = finite.last, last.step > first.step else {
            return true
        }
        let slope = (last.value - first.value) / Double(last.step - first.step)
        let largest = finite.map(\.value.magnitude).max() ?? 0
        return finite.allSatisfy { sample in
            let line = first.value + slope * Double(sample.step - first.step)
            return (sample.value - line).magnitude <= 1e-6 * largest
        }
    }

    private static func identity(_ samples: [LossCurve.Sample]) -> [UInt64] {
        samples.flatMap { [UInt64(bitPattern: Int64($0.step)), $0.value.bitPattern] }
    }
}
