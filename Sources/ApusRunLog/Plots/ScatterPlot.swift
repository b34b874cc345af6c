import Foundation

/// A picture of predictions against labels: on the line of identity lies what is right.
///
/// Up to a few thousand rows are dots that shine through each other; more become a density, in cells whose colour grows
/// with the logarithm of their count. Both axes show one range. Rows that are not finite are counted in a note.
package struct ScatterPlot {
    package let title: String
    package let labels: [Double]
    package let predictions: [Double]
    /// Written into the emptier of two corners.
    package let metrics: [(name: String, value: Double)]

    private static let side = 700
    private static let area = (left: 84.0, top: 46.0, right: 676.0, bottom: 638.0)
    private static let mostDots = 3000
    private static let cell = 4.0
    private static let alarm = Canvas.Color(0xD50000)
    private static let ink = Canvas.Color(0x333333)
    private static let grid = Canvas.Color(0xE6E6E6)

    /// - Precondition: As many predictions as labels.
    package init(title: String, labels: [Double], predictions: [Double], metrics: [(name: String, value: Double)] = [])
    {
        precondition(labels.count == predictions.count, "every prediction needs a label")
        (self.title, self.labels, self.predictions, self.metrics) = (title, labels, predictions, metrics)
    }

    /// The picture as a PNG file; nil when Cairo cannot draw it.
    package func png() -> [UInt8]? {
        let canvas = Canvas(width: Self.side, height: Self.side)
        // An axis shows nothing beyond this magnitude.
        let rows = zip(labels, predictions).filter { $0.magnitude < 1e100 && $1.magnitude < 1e100 }
        let axis = Axis(showing: rows.flatMap { [$0, $1] })
        let points = rows.map { Self.position($0, $1, axis) }
        drawFrame(on: canvas, axis)
        if points.count <= Self.mostDots { drawDots(points, on: canvas) } else { drawDensity(points, on: canvas) }
        // Above the points, which would hide it where the model is good.
        canvas.line(
            [(Self.area.left, Self.area.bottom), (Self.area.right, Self.area.top)], Canvas.Color(0x333333, alpha: 0.5),
            width: 1.2)
        drawNotes(points, on: canvas)
        return canvas.png()
    }

    private static func position(_ label: Double, _ prediction: Double, _ axis: Axis) -> Canvas.Point {
        (
            area.left + axis.fraction(label) * (area.right - area.left),
            area.bottom - axis.fraction(prediction) * (area.bottom - area.top)
        )
    }

    private func drawFrame(on canvas: Canvas, _ axis: Axis) {
        let area = Self.area
        for tick in axis.ticks {
            let (x, y) = Self.position(tick, tick, axis)
            let (column, row) = (x.rounded() + 0.5, y.rounded() + 0.5)
            canvas.line([(column, area.top), (column, area.bottom)], Self.grid, width: 1)
            canvas.line([(area.left, row), (area.right, row)], Self.grid, width: 1)
            canvas.text(axis.label(tick), at: (column, area.bottom + 20), .center, size: 12.5, Self.ink)
            canvas.text(axis.label(tick), at: (area.left - 8, row + 4.5), .trailing, size: 12.5, Self.ink)
        }
        if axis.exponent != 0 {
            let power = "×1e\(axis.exponent)".replacing("-", with: "\u{2212}")
            canvas.text(power, at: (area.left, area.top - 8), .leading, size: 12.5, Self.ink)
            canvas.text(power, at: (area.right, area.bottom + 40), .trailing, size: 12.5, Self.ink)
        }
        let axes = [(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)]
        canvas.line(axes.map { ($0.0 - 0.5, $0.1 + 0.5) }, Self.ink, width: 1)
        let middle = (x: (area.left + area.right) / 2, y: (area.top + area.bottom) / 2)
        let heading = canvas.shortened(title, toWidth: Double(Self.side) - 40, size: 15, bold: true)
        canvas.text(heading, at: (Double(Self.side) / 2, 28), .center, size: 15, Self.ink, bold: true)
        canvas.text("label", at: (middle.x, Double(Self.side) - 14), .center, size: 13, Self.ink)
        canvas.text("prediction", at: (22, middle.y), .center, size: 13, Self.ink, isUpward: true)
    }

    private func drawDots(_ points: [Canvas.Point], on canvas: Canvas) {
        // A hundred dots are nearly solid; of thousands each is a breath, so that crowds stand out.
        let alpha = min(0.8, max(0.2, 12 / Double(max(1, points.count)).squareRoot()))
        let color = Canvas.Color(0xFF7043, alpha: alpha)
        for point in points { canvas.dot(point, color, radius: 3.2) }
    }

    private func drawDensity(_ points: [Canvas.Point], on canvas: Canvas) {
        struct Cell: Hashable { let column, row: Int }
        var counts: [Cell: Int] = [:]
        for point in points {
            let cell = Cell(
                column: Int((point.x - Self.area.left) / Self.cell), row: Int((point.y - Self.area.top) / Self.cell))
            counts[cell, default: 0] += 1
        }
        let most = log(Double(counts.values.max() ?? 1))
        for (cell, count) in counts {
            canvas.box(
                x: Self.area.left + Double(cell.column) * Self.cell, y: Self.area.top + Double(cell.row) * Self.cell,
                width: Self.cell, height: Self.cell,
                fill: HeatColor.color(0.15 + 0.85 * (most > 0 ? log(Double(count)) / most : 0)))
        }
    }

    /// The metric values, and how many rows could not be drawn.
    private func drawNotes(_ points: [Canvas.Point], on canvas: Canvas) {
        let hidden = labels.count - points.count
        var lines = metrics.map { metric in (metric.name, Self.text(metric.value), Self.ink) }
        lines.append(("rows", "\(labels.count)", Self.ink))
        if hidden > 0 { lines.append(("not finite", "\(hidden)", Self.alarm)) }
        let names = lines.map { canvas.measure($0.0, size: 12.5) }.max() ?? 0
        let values = lines.map { canvas.measure($0.1, size: 12.5) }.max() ?? 0
        let (width, height) = ((names + values + 36).rounded(), Double(lines.count) * 19 + 10)

        // Below and above the line of identity.
        let corners: [Canvas.Point] = [
            (Self.area.left + 10.5, Self.area.top + 10.5),
            (Self.area.right - width - 10.5, Self.area.bottom - height - 10.5),
        ]
        let covered = corners.map { corner in
            points.count { (0...width).contains($0.x - corner.x) && (0...height).contains($0.y - corner.y) }
        }
        let corner = corners[covered[0] <= covered[1] ? 0 : 1]
        canvas.box(
            x: corner.x, y: corner.y, width: width, height: height, fill: Canvas.Color(0xFFFFFF, alpha: 0.85),
            border: Self.grid)
        for (index, line) in lines.enumerated() {
            let baseline = corner.y + 19 + 19 * Double(index)
            canvas.text(line.0, at: (corner.x + 10, baseline), .leading, size: 12.5, line.2)
            canvas.text(line.1, at: (corner.x + width - 10, baseline), .trailing, size: 12.5, line.2)
        }
    }

    private static func text(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "NaN" : value > 0 ? "∞" : "\u{2212}∞" }
        let isPlain = value == 0 || (1e-3..<1e6).contains(value.magnitude)
        return String(format: isPlain ? "%.4f" : "%.3e", value).replacing("-", with: "\u{2212}")
    }
}

/// Colours from white over orange to dark red, for shares from 0 to 1.
enum HeatColor {
    private static let stops: [(red: Double, green: Double, blue: Double)] = [
        (255, 255, 255), (255, 204, 188), (255, 112, 67), (191, 54, 12), (110, 20, 5),
    ]

    static func color(_ share: Double) -> Canvas.Color {
        let place = min(max(share, 0), 1) * Double(stops.count - 1)
        let index = min(Int(place), stops.count - 2)
        let (low, high, part) = (stops[index], stops[index + 1], place - Double(index))
        func mixed(_ a: Double, _ b: Double) -> UInt32 { UInt32((a + (b - a) * part).rounded()) }
        return Canvas.Color(
            mixed(low.red, high.red) << 16 | mixed(low.green, high.green) << 8 | mixed(low.blue, high.blue))
    }
}
