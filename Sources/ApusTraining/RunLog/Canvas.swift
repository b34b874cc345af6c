import CCairo

/// A bitmap to draw on, in pixels from the top left corner; a thin cover over Cairo.
final class Canvas {
    struct Color {
        let red, green, blue: Double
        var alpha = 1.0

        init(_ hex: UInt32, alpha: Double = 1) {
            red = Double(hex >> 16 & 0xFF) / 255
            green = Double(hex >> 8 & 0xFF) / 255
            blue = Double(hex & 0xFF) / 255
            self.alpha = alpha
        }
    }

    enum Alignment: Double {
        case leading = 0
        case center = 0.5
        case trailing = 1
    }

    typealias Point = (x: Double, y: Double)

    private let surface: OpaquePointer?
    private let context: OpaquePointer?

    /// A white canvas.
    ///
    /// Cairo's objects record failures themselves: drawing on a failed one does nothing, and `png()` returns nil.
    init(width: Int, height: Int) {
        surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, Int32(clamping: width), Int32(clamping: height))
        context = cairo_create(surface)
        setColor(Color(0xFFFFFF))
        cairo_paint(context)
        cairo_set_line_join(context, CAIRO_LINE_JOIN_ROUND)
        cairo_set_line_cap(context, CAIRO_LINE_CAP_ROUND)
    }

    deinit {
        cairo_destroy(context)
        cairo_surface_destroy(surface)
    }

    func line(_ points: [Point], _ color: Color, width: Double) {
        guard let first = points.first else { return }
        setColor(color)
        cairo_set_line_width(context, width)
        cairo_move_to(context, first.x, first.y)
        for point in points.dropFirst() { cairo_line_to(context, point.x, point.y) }
        cairo_stroke(context)
    }

    func dot(_ center: Point, _ color: Color, radius: Double) {
        setColor(color)
        cairo_new_path(context)
        cairo_arc(context, center.x, center.y, radius, 0, 2 * .pi)
        cairo_fill(context)
    }

    func box(x: Double, y: Double, width: Double, height: Double, fill: Color, border: Color? = nil) {
        cairo_rectangle(context, x, y, width, height)
        setColor(fill)
        cairo_fill_preserve(context)
        if let border {
            setColor(border)
            cairo_set_line_width(context, 1)
            cairo_stroke_preserve(context)
        }
        cairo_new_path(context)
    }

    /// Text whose baseline starts, is centred or ends at a point.
    func text(
        _ text: String, at point: Point, _ alignment: Alignment, size: Double, _ color: Color, bold: Bool = false
    ) {
        setColor(color)
        let width = measure(text, size: size, bold: bold)
        cairo_move_to(context, point.x - width * alignment.rawValue, point.y)
        cairo_show_text(context, text)
        cairo_new_path(context)
    }

    /// The width of a text in pixels.
    func measure(_ text: String, size: Double, bold: Bool = false) -> Double {
        // Where no font is installed Cairo draws with strokes of its own.
        cairo_select_font_face(
            context, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL)
        cairo_set_font_size(context, size)
        var extents = cairo_text_extents_t()
        cairo_text_extents(context, text, &extents)
        return extents.x_advance
    }

    /// The picture as a PNG file, or nil when Cairo failed.
    func png() -> [UInt8]? {
        guard cairo_status(context) == CAIRO_STATUS_SUCCESS else { return nil }
        cairo_surface_flush(surface)
        var bytes: [UInt8] = []
        let status = withUnsafeMutablePointer(to: &bytes) { target in
            cairo_surface_write_to_png_stream(
                surface,
                { target, data, count in
                    guard let target, let data else { return CAIRO_STATUS_WRITE_ERROR }
                    target.assumingMemoryBound(to: [UInt8].self).pointee
                        .append(contentsOf: UnsafeBufferPointer(start: data, count: Int(count)))
                    return CAIRO_STATUS_SUCCESS
                }, target)
        }
        return status == CAIRO_STATUS_SUCCESS ? bytes : nil
    }

    private func setColor(_ color: Color) {
        cairo_set_source_rgba(context, color.red, color.green, color.blue, color.alpha)
    }
}
