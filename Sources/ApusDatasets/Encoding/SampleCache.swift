import ApusFiles
import ApusJSON
import Foundation

/// Encoded rows of earlier runs on disk (`--load_from_cache_file`).
///
/// Each set of rows has a folder whose name is the SHA-256 of all that its samples are made of: what the caller says of the
/// program, tokenizer, template and options, and the bytes of every row. What is found is therefore, to the bit, what encoding
/// anew would give, and nothing has to be cleared when something changes. Reports with their places are made anew from it.
///
/// A folder appears whole or not at all and is verified before it is used; a damaged one is removed and its rows are encoded
/// anew. Processes that use the same cache exclude each other while one of them reads, puts a folder in place or removes
/// the oldest.
package struct SampleCache {
    private static let fileName = "samples.bin"

    private let folder: String
    private let origin: () throws -> String
    private let say: (String) -> Void
    var fileSystem: any FileSystem = LocalFileSystem()
    /// Fewer distinct rows are encoded in less than about a second, which is not worth a file.
    var leastRows = 5000
    /// The bytes that stay, the oldest being removed first.
    var capacity: Int64 = 10 << 30
    /// Seconds to wait for another process.
    var patience = 60.0

    /// - Parameters:
    ///   - folder: Where the folders lie; made when it is needed.
    ///   - origin: Everything beside the rows that decides what an encoder makes of them; asked for enough rows alone.
    ///   - say: Told what a user should know.
    package init(folder: String, origin: @escaping () throws -> String, say: @escaping (String) -> Void) {
        (self.folder, self.origin, self.say) = (folder, origin, say)
    }

    /// Finds what was encoded of some rows, and else encodes and keeps them.
    ///
    /// - Parameter options: Further words that decide what becomes of a row.
    func encoded<Store: SampleStore, Recognizer>(
        _ rows: RowDataset<Recognizer>, _ distinct: DistinctRows, options: [String: String],
        anew encode: () throws -> EncodedRows<Store>
    ) throws -> EncodedRows<Store> {
        guard distinct.first.count >= leastRows else { return try encode() }
        func name() throws -> String {
            let words = options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            var hash = DigestHasher()
            for text in ["\(Store.self)", "\(Recognizer.self)", try origin()] + words { hash.update(text) }
            rows.digest(distinct.first, into: &hash)
            return hash.finish().sha256
        }
        let first: String
        do {
            first = try name()
        } catch {
            say("note: encoded samples are not looked for and not kept: \(error)")
            return try encode()
        }
        let entry = FilePath.join(folder, first)
        if let found: EncodedRows<Store> = find(entry, rowCount: distinct.first.count) { return found }
        let encoded = try encode()
        do {
            // Rows are mapped: a file that was written to meanwhile gave other samples than its name says.
            guard try name() == first else { throw DatasetError("a file was changed while it was encoded") }
            try keep(encoded, as: entry)
        } catch {
            say("note: the encoded samples are not kept for a later run: \(error)")
        }
        return encoded
    }

    // MARK: - Parts

    private func find<Store: SampleStore>(_ entry: String, rowCount: Int) -> EncodedRows<Store>? {
        do {
            guard try fileSystem.status(entry) != nil else { return nil }
            return try locked {
                guard try fileSystem.status(entry) != nil else { return nil }
                do {
                    let size = try fileSystem.verifyDirectory(entry).files[Self.fileName]?.bytes ?? 0
                    let path = FilePath.join(entry, Self.fileName)
                    var file = try ArrayReader(path, size: size, fileSystem: fileSystem)
                    let rows = try EncodedRows<Store>(from: &file)
                    guard rows.outcomes.count == rowCount else { throw DatasetError("\(path): has other rows") }
                    // The oldest are those that were not used for the longest time.
                    try? FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: entry)
                    say("encoded by an earlier run: \(entry)")
                    return rows
                } catch {
                    say("note: what an earlier run encoded is damaged, and the rows are encoded anew: \(error)")
                    try? fileSystem.removeTree(entry)
                    return nil
                }
            }
        } catch {
            say("note: samples of earlier runs cannot be read, and the rows are encoded anew: \(error)")
            return nil
        }
    }

    private func keep<Store: SampleStore>(_ rows: EncodedRows<Store>, as entry: String) throws {
        try fileSystem.createDirectories(folder)
        try fileSystem.sweepStaging(in: folder)
        // Four bytes a token and a bit, and what the rows take.
        let expected = Int64(rows.store.tokenCount * 5 + rows.outcomes.count * 16)
        guard expected <= capacity else { return }
        let directory = try AtomicDirectory(entry, expectedBytes: expected, fileSystem: fileSystem)
        try directory.writeFile(Self.fileName) { try rows.write(to: ArrayWriter(file: $0)) }
        try locked {
            try directory.commit(identity: ["rows": .int(rows.outcomes.count), "tokens": .int(rows.store.tokenCount)])
            try removeOldest()
        }
    }

    /// Removes the folders that were not used for the longest time, until the others fit.
    private func removeOldest() throws {
        var entries: [(path: String, used: Double, bytes: Int64)] = []
        for name in try fileSystem.contentsOfDirectory(folder) where !name.hasPrefix(".") {
            let path = FilePath.join(folder, name)
            guard let status = try fileSystem.status(path), status.kind == .directory else { continue }
            let bytes = try fileSystem.contentsOfDirectory(path).reduce(Int64(0)) {
                try $0 + (fileSystem.status(FilePath.join(path, $1))?.size ?? 0)
            }
            entries.append((path, status.modified, bytes))
        }
        var total = entries.reduce(0) { $0 + $1.bytes }
        for entry in entries.sorted(by: { $0.used < $1.used }) where total > capacity {
            try fileSystem.removeTree(entry.path)
            total -= entry.bytes
        }
    }

    /// - Throws: `DatasetError` where another process keeps the folder for longer than is waited.
    private func locked<Value>(_ body: () throws -> Value) throws -> Value {
        let end = Date().addingTimeInterval(patience)
        repeat {
            do {
                if let lock = try fileSystem.lock(folder) {
                    defer { lock.release() }
                    return try body()
                }
            } catch let error as FileError where error.operation == "lock" && error.code == ENOTSUP {
                return try body()
            }
            Thread.sleep(forTimeInterval: 0.05)
        } while Date() < end
        throw DatasetError("\(folder): another process has had it for \(Int(patience)) seconds")
    }
}

extension EncodedRows where Store: SampleStore {
    func write(to file: ArrayWriter) throws {
        try store.write(to: file)
        var counts: [Int32] = []
        var (reasons, details, hasDetail): ([String], [String], [UInt8]) = ([], [], [])
        var (noted, notes): ([Int32], [String]) = ([], [])
        for (row, outcome) in outcomes.enumerated() {
            switch outcome {
            case .success(let (sequences, texts)):
                counts.append(Int32(sequences.count))
                noted += texts.map { _ in Int32(row) }
                notes += texts
            case .failure(let rejection):
                counts.append(Self.rejected)
                reasons.append(rejection.reason)
                details.append(rejection.detail ?? "")
                hasDetail.append(rejection.detail == nil ? 0 : 1)
            }
        }
        try file.write(counts)
        try file.write(reasons)
        try file.write(details)
        try file.write(hasDetail)
        try file.write(noted)
        try file.write(notes)
    }

    init(from file: inout ArrayReader) throws {
        store = try Store(from: &file)
        let counts = try file.array(of: Int32.self)
        let (reasons, details) = (try file.strings(), try file.strings())
        let hasDetail = try file.array(of: UInt8.self)
        let (noted, notes) = (try file.array(of: Int32.self), try file.strings())
        var (sequence, rejection, note) = (Int32(0), 0, 0)
        guard details.count == reasons.count, hasDetail.count == reasons.count, noted.count == notes.count,
            counts.allSatisfy({ $0 >= Self.rejected }), counts.count(where: { $0 == Self.rejected }) == reasons.count,
            counts.reduce(0, { $0 + max(0, Int($1)) }) == store.sequenceCount
        else { throw file.misfit }
        for (row, count) in counts.enumerated() {
            guard count != Self.rejected else {
                let detail = hasDetail[rejection] == 1 ? details[rejection] : nil
                outcomes.append(.failure(RowRejection(reasons[rejection], detail)))
                rejection += 1
                continue
            }
            var texts: [String] = []
            while note < noted.count, noted[note] == row {
                texts.append(notes[note])
                note += 1
            }
            outcomes.append(.success((sequence..<sequence + count, texts)))
            sequence += count
        }
    }

    private static var rejected: Int32 { -1 }
}
