import Foundation

/// Counts of bytes as people read them.
package enum ByteCount {
    /// `512B`, `1.5KiB`, `30.0MiB`, `1.9GiB`: one decimal, in the largest binary unit that keeps the number above 1.
    package static func format(_ bytes: Int64) -> String {
        guard bytes.magnitude >= 1024 else { return "\(bytes)B" }
        var units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"][...]
        var value = Double(bytes) / 1024
        // 1023.95 would print as 1024.0.
        while abs(value) >= 1023.95, units.count > 1 {
            value /= 1024
            units.removeFirst()
        }
        return String(format: "%.1f", value) + (units.first ?? "")
    }

    /// The bytes of a size as people write it, such as `500MB` or `2GiB`; nil if it is none.
    ///
    /// `MB` counts in thousands and `MiB` in 1024s.
    package static func parse(_ size: String) -> Int? {
        let digits = size.prefix { $0.isNumber || $0 == "." }
        let units = [
            "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 0x1p10, "MIB": 0x1p20, "GIB": 0x1p30, "TIB": 0x1p40,
        ]
        guard let number = Double(digits), let unit = units[size.dropFirst(digits.count).uppercased()] else {
            return nil
        }
        return Int(exactly: (number * unit).rounded())
    }
}
