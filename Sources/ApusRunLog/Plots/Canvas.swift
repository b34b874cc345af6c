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

    /// The outline of a box, one pixel wide.
    func frame(x: Double, y: Double, width: Double, height: Double, _ color: Color) {
        cairo_rectangle(context, x, y, width, height)
        setColor(color)
        cairo_set_line_width(context, 1)
        cairo_stroke(context)
    }

    /// Text whose baseline starts, is centred or ends at a point.
    ///
    /// - Parameter isUpward: Turns the text by a quarter to the left, about the point.
    func text(
        _ text: String, at point: Point, _ alignment: Alignment, size: Double, _ color: Color, bold: Bool = false,
        isUpward: Bool = false
    ) {
        setColor(color)
        let width = measure(text, size: size, bold: bold)
        cairo_save(context)
        cairo_translate(context, point.x, point.y)
        if isUpward { cairo_rotate(context, -.pi / 2) }
        cairo_move_to(context, -width * alignment.rawValue, 0)
        cairo_show_text(context, text)
        cairo_new_path(context)
        cairo_restore(context)
    }

    /// The width of a text in pixels.
    func measure(_ text: String, size: Double, bold: Bool = false) -> Double {
        selectFont(for: text, size: size, bold: bold)
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

    /// Whether an installed font has a glyph for every character of a text.
    func canDraw(_ text: String) -> Bool {
        selectFont(for: text, size: 12, bold: false)
    }

    /// The text, cut with an ellipsis where it is wider than `width` pixels.
    func shortened(_ text: String, toWidth width: Double, size: Double, bold: Bool = false) -> String {
        // No glyph is narrower than a tenth of its size: what lies beyond is cut unmeasured.
        let characters = Array(text.prefix(Int(max(0, width / size * 10)) + 1))
        guard characters.count < text.count || measure(text, size: size, bold: bold) > width else { return text }
        var fits = 0..<characters.count
        while fits.count > 1 {
            let middle = (fits.lowerBound + fits.upperBound) / 2
            let isNarrow = measure(String(characters[..<middle]) + "…", size: size, bold: bold) <= width
            fits = isNarrow ? middle..<fits.upperBound : fits.lowerBound..<middle
        }
        return String(characters[..<fits.lowerBound]) + "…"
    }

    /// Fonts to draw with, most wanted first: Cairo itself does not look elsewhere for a glyph that a font lacks.
    private static let fonts = [
        "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei",
        "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Arial Unicode MS", "Noto Sans",
    ]

    /// Selects the first font that can draw a text, or the first of all; whether it can.
    ///
    /// Where no font is installed Cairo draws with strokes of its own.
    @discardableResult
    private func selectFont(for text: String, size: Double, bold: Bool) -> Bool {
        func select(_ font: String) {
            let weight = bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL
            cairo_select_font_face(context, font, CAIRO_FONT_SLANT_NORMAL, weight)
            cairo_set_font_size(context, size)
        }
        for font in text.utf8.allSatisfy({ $0 < 0x80 }) ? [] : Self.fonts {
            select(font)
            if hasGlyphs(for: text) { return true }
        }
        select(Self.fonts[0])
        return text.utf8.allSatisfy { $0 < 0x80 }
    }

    /// Whether the selected font has no "missing" glyph, which is number 0, for a text.
    private func hasGlyphs(for text: String) -> Bool {
        var glyphs: UnsafeMutablePointer<cairo_glyph_t>?
        var count: Int32 = 0
        let status = cairo_scaled_font_text_to_glyphs(
            cairo_get_scaled_font(context), 0, 0, text, -1, &glyphs, &count, nil, nil, nil)
        defer { cairo_glyph_free(glyphs) }
        return status == CAIRO_STATUS_SUCCESS
            && UnsafeBufferPointer(start: glyphs, count: Int(count)).allSatisfy { $0.index != 0 }
    }

    private func setColor(_ color: Color) {
        cairo_set_source_rgba(context, color.red, color.green, color.blue, color.alpha)
    }
}
