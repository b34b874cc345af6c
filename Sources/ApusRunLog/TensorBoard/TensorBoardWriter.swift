package import ApusFiles
package import Foundation
import SwiftProtobuf
import Synchronization

/// Writes scalar curves as a TensorBoard event file.
///
/// A record is: length (8 bytes), masked CRC-32C of the length, the event, masked CRC-32C of the event; little-endian.
/// Values are stored as 32-bit floats, as TensorBoard does.
package final class TensorBoardWriter {
    package let path: String

    private let file: GrowingFile
    private var buffer: [UInt8] = []
    private var knownTags: Set<String> = []
    private static let filesMade = Atomic<Int>(0)

    /// Starts a new event file in `folder`, which is created when missing.
    ///
    /// - Parameter resumingAfter: The step of the checkpoint that the run continues from: readers then forget what the
    ///   folder's earlier files say about later steps.
    package init(
        _ folder: String, resumingAfter step: Int? = nil, date: Date = Date(),
        fileSystem: any FileSystem = LocalFileSystem()
    ) throws {
        try fileSystem.createDirectories(folder)
        // Readers order files by name: the time leads, and the count keeps two writers of one process apart.
        let time = Int(date.timeIntervalSince1970)
        let process = ProcessInfo.processInfo.processIdentifier
        let count = Self.filesMade.add(1, ordering: .relaxed).oldValue
        let digits = String(time)
        let padded = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
        path = FilePath.join(folder, "events.out.tfevents.\(padded).\(HostName.current).\(process).\(count)")
        file = try GrowingFile(creating: path, fileSystem: fileSystem)
        try add(
            TensorBoardEvent.with {
                $0.wallTime = date.timeIntervalSince1970
                $0.fileVersion = "brain.Event:2"
            })
        if let step {
            try add(
                TensorBoardEvent.with {
                    $0.wallTime = date.timeIntervalSince1970
                    $0.step = Int64(step) + 1
                    $0.sessionLog.status = .start
                })
        }
        try flush()
    }

    deinit {
        try? flush()
    }

    /// Adds a point to the curve `tag`, which `flush` writes.
    package func scalar(_ tag: String, _ value: Double, step: Int, date: Date = Date()) throws {
        try add(
            TensorBoardEvent.with { event in
                event.wallTime = date.timeIntervalSince1970
                event.step = Int64(step)
                event.summary.value = [
                    TensorBoardSummary.Value.with {
                        $0.tag = tag
                        $0.simpleValue = Float(value)
                        // Once per tag is enough for readers, and keeps the file small.
                        if knownTags.insert(tag).inserted {
                            $0.metadata.pluginData.pluginName = "scalars"
                            $0.metadata.dataClass = .scalar
                        }
                    }
                ]
            })
    }

    /// Hands all events to the operating system, so that a running TensorBoard shows them; what it does not take goes with
    /// the next call.
    package func flush() throws {
        guard !buffer.isEmpty else { return }
        try file.append(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private func add(_ event: TensorBoardEvent) throws {
        let body: [UInt8] = try event.serializedBytes()
        let length = Self.littleEndian(UInt64(body.count))
        buffer += length
        buffer += Self.littleEndian(CRC32.castagnoli.masked(length))
        buffer += body
        buffer += Self.littleEndian(CRC32.castagnoli.masked(body))
    }

    private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
