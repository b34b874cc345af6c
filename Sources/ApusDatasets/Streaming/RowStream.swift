import ApusJSON
import Foundation

/// A row of a stream, and where it is from.
struct StreamedRow<Row: Sendable>: Sendable {
    let row: Row
    let file: String
    let line: Int

    var place: String { "\(file):\(line)" }
}

/// What became of the rows of a stream.
struct StreamTally {
    /// Rows read.
    var rowCount = 0
    var droppedCount = 0
    /// Sees each row that is left out.
    var onDrop: (DroppedRow) -> Void = { _ in }

    mutating func drop(_ row: DroppedRow) {
        droppedCount += 1
        onDrop(row)
    }
}

/// The usable rows of one data set, once from the first to the last.
final class RowStream<Recognizer: RowRecognizer> {
    /// What gives the rows of the present file.
    private enum Source {
        case lines(LineReader, isJSON: Bool)
        /// Formats whose rows have to be found first: their places are in memory, the rows are not.
        case indexed(RowFile, next: Int)
    }

    private let recognizer: Recognizer
    private let isStrict: Bool
    private var files: ArraySlice<(path: String, change: RowChange)>
    private var rest: Int
    private var path = ""
    private var change = RowChange()
    private var source: Source?

    /// - Parameter fetching: Finds the files of data sets of hubs; nil for what is none.
    /// - Throws: `DatasetError` for what is not there, and for subsets that only pairs of texts have.
    init(
        _ reference: DatasetReference, recognizer: Recognizer, isStrict: Bool, fetching: DatasetFetching? = nil
    ) throws {
        self.recognizer = recognizer
        self.isStrict = isStrict
        rest = reference.sampleCount ?? .max
        if let data = try fetching?(reference) {
            if let subset = data.parts.lazy.compactMap(\.subset).first {
                throw DatasetError("\(reference.location):\(subset): --streaming true reads no pairs with a score")
            }
            files = data.parts.flatMap { part in part.files.map { ($0, part.change) } }[...]
            return
        }
        guard reference.hub == nil, reference.subsets.isEmpty else {
            throw DatasetError("\(reference.location): --streaming true reads files; give the path of one")
        }
        files = try reference.paths().map { ($0, RowChange()) }[...]
    }

    /// The next row that can be used; `nil` behind the last.
    ///
    /// - Throws: `DatasetError` for a row that no run should pass over, and when strict for any that cannot be used.
    func next(_ tally: inout StreamTally) throws -> StreamedRow<Recognizer.Row>? {
        guard rest > 0 else { return nil }
        while true {
            if source == nil {
                guard let file = files.popFirst() else { return nil }
                (path, change) = file
                source = try Self.source(of: path, columns: recognizer.mapping.names, change: change)
            }
            guard let (value, line) = try nextValue() else {
                source = nil
                continue
            }
            tally.rowCount += 1
            do {
                let row = try recognizer.recognize(value.get()).row
                rest -= 1
                return StreamedRow(row: row, file: path, line: line)
            } catch let fault as RowFault {
                throw DatasetError(fault, at: "\(path):\(line)")
            } catch let rejection as RowRejection {
                if isStrict { throw DatasetError(strictly: rejection, at: "\(path):\(line)") }
                tally.drop(DroppedRow(file: path, line: line, rejection))
            }
        }
    }

    private static func source(of path: String, columns: Set<String>, change: RowChange) throws -> Source {
        let type = try DataFileType(path: path)
        func indexed() throws -> Source {
            let file = try RowFile(
                path: path, columns: columns, knowsShapes: Recognizer.knowsShapes, change: change)
            return .indexed(file, next: 0)
        }
        guard type.format == .jsonLines || type.format == .text else { return try indexed() }
        let scratch = try type.wrapping.map { try ArrowLibrary.text(of: path, kind: $0).file }
        let reader = try LineReader(path: path, scratch: scratch)
        // Lines may turn out to be one array, and text a table: the beginning tells.
        if type.format == .jsonLines {
            return reader.beginsWithArray ? try indexed() : .lines(reader, isJSON: true)
        }
        let bytes = try RowFile.contents(of: path, scratch: scratch)
        let separator = try bytes.withUnsafeBytes {
            try type.format.separator(of: $0, columns: columns, knowsShapes: Recognizer.knowsShapes, path: path)
        }
        return separator == nil ? .lines(reader, isJSON: false) : try indexed()
    }

    private func nextValue() throws -> (value: Result<JSONValue, any Error>, line: Int)? {
        switch source {
        case .lines(let reader, let isJSON):
            guard let bytes = try reader.next() else { return nil }
            do {
                let value: JSONValue =
                    if isJSON {
                        try bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
                    } else {
                        ["text": .string(try TableScanner.text(bytes))]
                    }
                return (Result { try change.applied(to: value) }, reader.line)
            } catch let error as JSONError {
                throw DatasetError("\(path):\(reader.line): \(JSONFault.text(error))")
            } catch let error as DatasetError {
                throw DatasetError("\(path):\(reader.line): \(error)")
            }
        case .indexed(let file, let next):
            guard next < file.count else { return nil }
            source = .indexed(file, next: next + 1)
            return (Result { try file.value(at: next) }, file.lineNumber(of: next))
        case nil: return nil
        }
    }
}

/// Several data sets as one stream: one behind the other, or interleaved.
final class RowStreams<Recognizer: RowRecognizer> {
    private var streams: [RowStream<Recognizer>]
    private let make: (Int) throws -> RowStream<Recognizer>
    private let interleaving: Interleaving?
    private var generator: PCG64
    private var shares: [Double] = []
    /// The rows that come next, of data sets that are looked into to know whether they are at their end.
    private var upcoming: [StreamedRow<Recognizer.Row>?] = []
    private var isExhausted: [Bool]
    private var isOver = false

    init(
        _ references: [DatasetReference], interleaving: Interleaving?, seed: UInt32, recognizer: Recognizer,
        isStrict: Bool, fetching: DatasetFetching? = nil
    ) throws {
        try interleaving?.check(datasetCount: references.count)
        make = { try RowStream(references[$0], recognizer: recognizer, isStrict: isStrict, fetching: fetching) }
        streams = try references.indices.map(make)
        self.interleaving = references.count > 1 ? interleaving : nil
        generator = PCG64(seed: seed)
        isExhausted = references.map { _ in false }
        for probability in interleaving?.probabilities ?? [] { shares.append((shares.last ?? 0) + probability) }
    }

    func next(_ tally: inout StreamTally) throws -> StreamedRow<Recognizer.Row>? {
        guard let interleaving else {
            while let stream = streams.first {
                if let row = try stream.next(&tally) { return row }
                streams.removeFirst()
            }
            return nil
        }
        if upcoming.isEmpty { upcoming = try streams.map { try $0.next(&tally) } }
        guard !isOver else { return nil }
        let number = generator.uniform() * (shares.last ?? 1)
        let dataset = shares.firstIndex { $0 > number } ?? shares.count - 1
        guard let row = upcoming[dataset] else {
            throw DatasetError("--interleave_prob: a data set without rows to train on has a share; give it 0")
        }
        upcoming[dataset] = try streams[dataset].next(&tally)
        if upcoming[dataset] == nil {
            isExhausted[dataset] = true
            isOver = interleaving.stopping == .firstExhausted || !isExhausted.contains(false)
            if !isOver {
                streams[dataset] = try make(dataset)
                upcoming[dataset] = try streams[dataset].next(&tally)
            }
        }
        return row
    }
}

/// A stream in another order (`--shuffle_buffer_size`), as `IterableDataset.shuffle` of `datasets` 5 draws it: a full buffer
/// is shuffled, one half of it comes, and the other is shuffled again with what fills it up.
struct ShuffleBuffer<Element> {
    private let size: Int
    private var generator: PCG64
    private var waiting: [Element] = []
    private var ready: ArraySlice<Element> = []
    private var isOver = false

    /// - Parameter size: 1 keeps the order.
    init(size: Int, seed: UInt32) {
        self.size = size
        generator = PCG64(seed: seed)
    }

    /// - Parameter upstream: The next element of the stream.
    mutating func next(_ upstream: () throws -> Element?) rethrows -> Element? {
        while ready.isEmpty, !isOver {
            while waiting.count < size, !isOver {
                guard let element = try upstream() else {
                    isOver = true
                    break
                }
                waiting.append(element)
            }
            let shuffled = generator.permutation(waiting.count).map { waiting[$0] }
            let kept = isOver ? 0 : size / 2
            ready = shuffled[..<(shuffled.count - kept)]
            waiting = Array(shuffled[(shuffled.count - kept)...])
        }
        return ready.popFirst()
    }
}
