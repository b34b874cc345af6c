import Foundation

#if canImport(Darwin)
    import Darwin
#endif

/// The memory of this process that lies in RAM, in bytes.
package enum ResidentMemory {
    package static var current: Int64? { read().current }

    /// The most there ever was.
    package static var peak: Int64? { read().peak }

    /// What the system could still give to programs, or nil where it does not say.
    package static var available: Int64? {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int64($0) })
        else { return nil }
        return kibibytes * 1024
    }

    #if canImport(Darwin)
        private static func read() -> (current: Int64?, peak: Int64?) {
            var info = mach_task_basic_info()
            var count = mach_msg_type_number_t(MemoryLayout.size(ofValue: info) / MemoryLayout<natural_t>.size)
            let status = withUnsafeMutablePointer(to: &info) {
                $0.withMemoryRebound(to: integer_t.self, capacity: Int(count)) {
                    task_info(mach_task_self_, task_flavor_t(MACH_TASK_BASIC_INFO), $0, &count)
                }
            }
            guard status == KERN_SUCCESS else { return (nil, nil) }
            return (Int64(info.resident_size), Int64(info.resident_size_max))
        }
    #else
        private static func read() -> (current: Int64?, peak: Int64?) {
            guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else {
                return (nil, nil)
            }
            return (kibibytes("VmRSS:", in: status), kibibytes("VmHWM:", in: status))
        }

        /// The bytes of a line `VmRSS:     1234 kB`.
        private static func kibibytes(_ key: String, in status: String) -> Int64? {
            guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
            return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
                .flatMap { Int64($0) }.map { $0 * 1024 }
        }
    #endif
}
