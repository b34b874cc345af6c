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
}
