import Foundation

/// The name of this machine.
package enum HostName {
    /// As the kernel has it.
    ///
    /// Foundation's `hostName` asks the network, which can take seconds.
    package static var current: String {
        var buffer = [CChar](repeating: 0, count: 256)
        let status = gethostname(&buffer, buffer.count - 1)
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return status == 0 && !name.isEmpty ? name : "localhost"
    }
}
