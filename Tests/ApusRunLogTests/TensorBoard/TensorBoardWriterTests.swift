import ApusFiles
import ApusFilesTesting
import Foundation
import Testing

@testable import ApusRunLog

@Suite struct TensorBoardWriterTests {
    private static let start = Date(timeIntervalSince1970: 1.75e9)

    /// The expected bytes were written by PyPI tensorboard 2.21: its `RecordWriter` and `Event` messages with these
    /// values.
    @Test func bytesAreTensorBoards() throws {
        let disk = SimulatedDisk()
        let writer = try TensorBoardWriter("/runs", resumingAfter: 5, date: Self.start, fileSystem: disk)
        try writer.scalar("train/loss", 1.25, step: 6, date: Self.start + 0.5)
        try writer.scalar("train/loss", 0.1, step: 7, date: Self.start + 1)
        try writer.flush()
        let expected =
            "GAAAAAAAAACjf0siCQAAAGC4E9pBGg1icmFpbi5FdmVudDoySnApog8AAAAAAAAAbVMrCQkAAABguBPaQRAGOgIIAeWvZdIvAAAAAAAAAG1d"
            + "HVAJAAAgYLgT2kEQBioiCiAKCnRyYWluL2xvc3MVAACgP0oNCgkKB3NjYWxhcnMgAeJ5aX8gAAAAAAAAACntqVAJAABAYLgT2kEQByoTChEK"
            + "CnRyYWluL2xvc3MVzczMPbwDUrA="
        #expect(try disk.contents(of: writer.path).base64EncodedString() == expected)
    }

    @Test func filesAreNamedAsReadersExpect() throws {
        let disk = SimulatedDisk()
        let first = try TensorBoardWriter("/run/runs", date: Self.start, fileSystem: disk)
        let second = try TensorBoardWriter("/run/runs", date: Self.start, fileSystem: disk)
        #expect(first.path.hasPrefix("/run/runs/events.out.tfevents.1750000000.\(HostName.current)."))
        #expect(first.path != second.path)
        #expect(try disk.contentsOfDirectory("/run/runs").count == 2)
    }

    /// RFC 3720, B.4.
    @Test func checksums() {
        #expect(CRC32.castagnoli.checksum("123456789".utf8) == 0xE306_9283)
        #expect(CRC32.castagnoli.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(CRC32.castagnoli.checksum([]) == 0)
    }
}
