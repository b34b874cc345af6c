import Foundation

/// A picture of a confusion matrix: a row for each true class, a column for each predicted one.
///
/// A cell's colour is its share of its row. Up to 50 classes cells hold their counts, and few classes their shares too;
/// more classes are colours alone. A name that no installed font can draw is replaced by its class's number.
package struct ConfusionMatrixPlot {
    package let title: String
    /// Counts by true class, then by predicted class; C × C.
    package let counts: [[Int]]
    /// The names of the classes by id; a class without one is called by its number.
    package let names: [String]

    private static let mostNumbered = 50
    private static let widestName = 230.0
    private static let ink = Canvas.Color(0x333333)
    private static let grid = Canvas.Color(0xD0D0D0)

    /// - Precondition: `counts` is square.
    package init(title: String, counts: [[Int]], names: [String]) {
        precondition(counts.allSatisfy { $0.count == counts.count }, "a confusion matrix is square")
        (self.title, self.counts, self.names) = (title, counts, names)
    }

    /// The side of a cell: large for few classes, and for many such that the picture stays below 2000 pixels.
    private var cell: Double {
        let classes = Double(max(1, counts.count))
        if counts.count <= Self.mostNumbered { return min(110, max(32, (560 / classes).rounded(.down))) }
        return max(0.5, min(30, (1600 / classes).rounded(classes > 1600 ? .toNearestOrEven : .down)))
    }

    /// The picture as a PNG file; nil when Cairo cannot draw it.
    package func png() -> [UInt8]? {
        let cell = cell
        let fontSize = min(13, max(8, cell * 0.6))
        // Measuring needs a canvas before the size of the picture is known.
        let ruler = Canvas(width: 1, height: 1)
        let shown = counts.indices.map { ruler.shortened(name($0, ruler), toWidth: Self.widestName, size: fontSize) }
        let widest = shown.map { ruler.measure($0, size: fontSize) }.max() ?? 0
        let isUpward = widest > cell - 8

        let side = (cell * Double(counts.count)).rounded(.up)
        let left = 44 + max(widest.rounded(.up), 24) + 8
        // Room for a heading and the scale where there are few cells.
        let right = left + side
        let width = max(right + 96, 420)
        let (top, bottom) = (64.0, 64 + side)
        let namesHeight = isUpward ? widest.rounded(.up) : fontSize
        let height = max(bottom + namesHeight + 56, 260)
        let canvas = Canvas(width: Int(width), height: Int(height))

        drawCells(on: canvas, left: left, top: top, cell: cell)
        canvas.frame(x: left + 0.5, y: top + 0.5, width: side, height: side, Self.ink)
        // Names that would overlap are thinned.
        let stride = max(1, Int(((fontSize + 2) / cell).rounded(.up)))
        for index in Swift.stride(from: 0, to: shown.count, by: stride) {
            let middle = (Double(index) + 0.5) * cell
            let baseline = fontSize * 0.36
            canvas.text(shown[index], at: (left - 8, top + middle + baseline), .trailing, size: fontSize, Self.ink)
            canvas.text(
                shown[index],
                at: isUpward ? (left + middle + baseline, bottom + 8) : (left + middle, bottom + 8 + fontSize),
                isUpward ? .trailing : .center, size: fontSize, Self.ink, isUpward: isUpward)
        }
        let heading = canvas.shortened(title, toWidth: width - 40, size: 15, bold: true)
        canvas.text(heading, at: (width / 2, 30), .center, size: 15, Self.ink, bold: true)
        canvas.text("true class", at: (24, top + side / 2), .center, size: 13, Self.ink, isUpward: true)
        canvas.text("predicted class", at: (left + side / 2, bottom + namesHeight + 36), .center, size: 13, Self.ink)
        drawScale(on: canvas, left: right + 28, top: top, height: max(side, 100))
        return canvas.png()
    }

    private func drawCells(on canvas: Canvas, left: Double, top: Double, cell: Double) {
        for (truth, row) in counts.enumerated() {
            let total = Double(row.reduce(0, +))
            for (prediction, count) in row.enumerated() where count > 0 || counts.count <= 10 {
                let share = total > 0 ? Double(count) / total : 0
                // Without its number a rare mistake must be told from none.
                let tint = counts.count > Self.mostNumbered ? max(share, 0.08) : share
                let (x, y) = (left + Double(prediction) * cell, top + Double(truth) * cell)
                canvas.box(x: x, y: y, width: max(cell, 1), height: max(cell, 1), fill: HeatColor.color(tint))
                guard counts.count <= Self.mostNumbered else { continue }
                let color = share > 0.45 ? Canvas.Color(0xFFFFFF) : count == 0 ? Canvas.Color(0x9E9E9E) : Self.ink
                let (text, size) = Self.fitted(count, into: cell - 4, on: canvas)
                let middle = (x: x + cell / 2, y: y + cell / 2)
                let hasShare = cell >= 56 && total > 0
                canvas.text(
                    text, at: (middle.x, middle.y + size * 0.36 - (hasShare ? 7 : 0)), .center, size: size, color)
                if hasShare {
                    let percent = String(format: "%.1f %%", 100 * share)
                    canvas.text(percent, at: (middle.x, middle.y + 16), .center, size: 11, color)
                }
            }
        }
        guard cell >= 8 else { return }
        let side = cell * Double(counts.count)
        for index in counts.indices.dropFirst() {
            let place = (Double(index) * cell).rounded() + 0.5
            canvas.line([(left + place, top), (left + place, top + side)], Self.grid, width: 0.5)
            canvas.line([(left, top + place), (left + side, top + place)], Self.grid, width: 0.5)
        }
    }

    /// A count that fits into a width, in thousands or millions where it must, and the size of its letters.
    private static func fitted(_ count: Int, into width: Double, on canvas: Canvas) -> (String, Double) {
        let value = Double(count)
        var texts = ["\(count)"]
        if value >= 1e6 {
            texts.append(String(format: value < 1e7 ? "%.1fM" : "%.0fM", value / 1e6))
        } else if value >= 1e3 {
            texts.append(String(format: value < 1e4 ? "%.1fk" : "%.0fk", value / 1e3))
        }
        for text in texts {
            for size in [15.0, 13, 11, 9.5] where size <= width * 0.45 && canvas.measure(text, size: size) <= width {
                return (text, size)
            }
        }
        return (texts[texts.count - 1], 8)
    }

    private func drawScale(on canvas: Canvas, left: Double, top: Double, height: Double) {
        let length = min(height, 300)
        for row in 0..<Int(length) {
            canvas.box(
                x: left, y: top + Double(row), width: 14, height: 1, fill: HeatColor.color(1 - Double(row) / length))
        }
        canvas.frame(x: left + 0.5, y: top + 0.5, width: 14, height: length, Self.grid)
        for share in [0, 0.5, 1.0] {
            canvas.text(
                "\(Int(share * 100)) %", at: (left + 20, top + length * (1 - share) + 4), .leading, size: 11, Self.ink)
        }
        canvas.text("of row", at: (left - 2, top + length + 24), .leading, size: 11, Self.ink)
    }

    /// A class's name on one line, or its number.
    private func name(_ index: Int, _ canvas: Canvas) -> String {
        guard index < names.count else { return "\(index)" }
        let line = names[index].split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return line.isEmpty || !canvas.canDraw(line) ? "#\(index)" : line
    }
}
