/// A picture of one metric over the steps of a run, of training and evaluation together: 8 × 5 inches at 100 dots per
/// inch, in the colours of ms-swift.
struct LossCurve {
    typealias Sample = (step: Int, value: Double)

    let title: String
    let samples: [Sample]
    /// The same metric of evaluations, if it has one.
    var evaluation: [Sample] = []
    /// Draws the values pale and their moving average (0.9, bias-corrected) on top.
    var isSmoothed = false

    private static let size = (width: 800.0, height: 500.0)
    private static let area = (left: 76.0, top: 46.0, right: 776.0, bottom: 444.0)
    /// Curves of up to this many values show each of them as a dot.
    private static let mostMarked = 30
    private static let pale = Canvas.Color(0xF7B79F)
    private static let strong = Canvas.Color(0xFF7043)
    private static let evaluated = Canvas.Color(0x1565C0)
    private static let alarm = Canvas.Color(0xD50000)
    private static let ink = Canvas.Color(0x333333)
    private static let grid = Canvas.Color(0xE6E6E6)

    /// The name of the picture's file: `train/loss` → `train_loss.png`.
    static func fileName(of tag: String) -> String {
        String(tag.map { "/.\0".contains($0) ? "_" : $0 }) + ".png"
    }

    /// The picture as a PNG file; nil when Cairo cannot draw it.
    func png() -> [UInt8]? {
        let canvas = Canvas(width: Int(Self.size.width), height: Int(Self.size.height))
        let x = Axis(showing: (samples + evaluation).map { Double($0.step) }, integers: true)
        let y = Axis(showing: (samples + evaluation).map(\.value))
        drawFrame(on: canvas, x, y)

        var legend: [(String, Canvas.Color)] = []
        if isSmoothed, samples.count > 1 {
            draw(samples, on: canvas, x, y, Self.pale)
            draw(smoothed, on: canvas, x, y, Self.strong)
            legend = [("train", Self.pale), ("train, smoothed", Self.strong)]
        } else {
            draw(samples, on: canvas, x, y, Self.strong)
            if !evaluation.isEmpty { legend = [("train", Self.strong)] }
        }
        if !evaluation.isEmpty {
            draw(evaluation, on: canvas, x, y, Self.evaluated)
            legend.append(("eval", Self.evaluated))
        }
        let gaps = (samples + evaluation).filter { !$0.value.isFinite }
        for gap in gaps {
            let column = position(Double(gap.step), x)
            canvas.line([(column, Self.area.bottom), (column, Self.area.bottom - 8)], Self.alarm, width: 1.5)
        }
        if !gaps.isEmpty { legend.append(("NaN or infinite", Self.alarm)) }
        draw(legend, on: canvas)
        return canvas.png()
    }

    private var smoothed: [Sample] {
        var average = MovingAverage(decay: 0.9)
        return samples.map { sample in
            guard sample.value.isFinite else { return sample }
            average.add(sample.value)
            return (sample.step, average.value ?? sample.value)
        }
    }

    /// Whether the last third of the curve lies in the upper half of the picture.
    private var endsHigh: Bool {
        let values = (samples + evaluation).filter { $0.value.magnitude < 1e100 }
        let ends = samples.suffix(max(1, samples.count / 3)).map(\.value).filter { $0.magnitude < 1e100 }
        guard let low = values.map(\.value).min(), let high = values.map(\.value).max(), !ends.isEmpty else {
            return false
        }
        return ends.reduce(0, +) / Double(ends.count) > (low + high) / 2
    }

    private func position(_ step: Double, _ x: Axis) -> Double {
        Self.area.left + x.fraction(step) * (Self.area.right - Self.area.left)
    }

    private func position(value: Double, _ y: Axis) -> Double {
        Self.area.bottom - y.fraction(value) * (Self.area.bottom - Self.area.top)
    }

    /// Draws a curve that is interrupted where a value is not finite; a value alone becomes a dot.
    private func draw(_ samples: [Sample], on canvas: Canvas, _ x: Axis, _ y: Axis, _ color: Canvas.Color) {
        for part in samples.split(whereSeparator: { !$0.value.isFinite || $0.value.magnitude >= 1e100 }) {
            let points = Self.thinned(part.map { (position(Double($0.step), x), position(value: $0.value, y)) })
            canvas.line(points, color, width: 1.8)
            if points.count == 1 {
                canvas.dot(points[0], color, radius: 4)
            } else if samples.count <= Self.mostMarked {
                for point in points { canvas.dot(point, color, radius: 3) }
            }
        }
    }

    /// At most the lowest and the highest point of each half pixel: long runs have far more points than columns.
    private static func thinned(_ points: [Canvas.Point]) -> [Canvas.Point] {
        guard points.count > 4000 else { return points }
        var result: [Canvas.Point] = []
        var start = 0
        while start < points.count {
            let column = (points[start].x * 2).rounded(.down)
            let end = points[start...].firstIndex { ($0.x * 2).rounded(.down) != column } ?? points.count
            let group = points[start..<end]
            result += [group.min { $0.y < $1.y }, group.max { $0.y < $1.y }].compactMap { $0 }.sorted { $0.x < $1.x }
            start = end
        }
        return result
    }

    private func drawFrame(on canvas: Canvas, _ x: Axis, _ y: Axis) {
        let area = Self.area
        for tick in x.ticks {
            let column = position(tick, x).rounded() + 0.5
            canvas.line([(column, area.top), (column, area.bottom)], Self.grid, width: 1)
            canvas.text(x.label(tick), at: (column, area.bottom + 20), .center, size: 12.5, Self.ink)
        }
        for tick in y.ticks {
            let row = position(value: tick, y).rounded() + 0.5
            canvas.line([(area.left, row), (area.right, row)], Self.grid, width: 1)
            canvas.text(y.label(tick), at: (area.left - 8, row + 4.5), .trailing, size: 12.5, Self.ink)
        }
        if y.exponent != 0 {
            let power = "×1e\(y.exponent)".replacing("-", with: "\u{2212}")
            canvas.text(power, at: (area.left, area.top - 8), .leading, size: 12.5, Self.ink)
        }
        let axes = [(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)]
        canvas.line(axes.map { ($0.0 - 0.5, $0.1 + 0.5) }, Self.ink, width: 1)
        let middle = (area.left + area.right) / 2
        // Of both, the picture is of the metric.
        let heading = evaluation.isEmpty ? title : String(title.drop { $0 != "/" }.dropFirst())
        canvas.text(heading, at: (middle, 28), .center, size: 16, Self.ink, bold: true)
        canvas.text("step", at: (middle, Self.size.height - 14), .center, size: 13, Self.ink)
    }

    private func draw(_ legend: [(name: String, color: Canvas.Color)], on canvas: Canvas) {
        guard let widest = legend.map({ canvas.measure($0.name, size: 12.5) }).max() else { return }
        let (lineHeight, sample) = (20.0, 26.0)
        let width = widest + sample + 30
        let left = (Self.area.right - width - 8).rounded() + 0.5
        let height = lineHeight * Double(legend.count) + 10
        // Where the curves do not end: a loss falls, and a share of right answers rises.
        let top = endsHigh ? (Self.area.bottom - height - 8).rounded() + 0.5 : Self.area.top + 8.5
        canvas.box(
            x: left, y: top, width: width.rounded(), height: height,
            fill: Canvas.Color(0xFFFFFF, alpha: 0.85), border: Self.grid)
        for (index, entry) in legend.enumerated() {
            let row = top + 15 + lineHeight * Double(index)
            canvas.line([(left + 10, row), (left + 10 + sample, row)], entry.color, width: 3)
            canvas.text(entry.name, at: (left + sample + 20, row + 4.5), .leading, size: 12.5, Self.ink)
        }
    }
}
