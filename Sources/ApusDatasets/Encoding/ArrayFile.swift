import ApusFiles
import Foundation

/// Writes arrays one behind the other, each as the number of its elements in eight bytes and then these.
struct ArrayWriter {
    let file: HashedFile

    func write<Element: BitwiseCopyable>(_ array: [Element]) throws {
        try withUnsafeBytes(of: Int64(array.count)) { try file.write($0) }
        try array.withUnsafeBytes { try file.write($0) }
    }

    /// Texts that come several times are written once.
    func write(_ texts: [String]) throws {
        var numbers: [String: Int32] = [:]
        var distinct: [String] = []
        let places = texts.map { text in
            if let number = numbers[text] { return number }
            let number = Int32(distinct.count)
            numbers[text] = number
            distinct.append(text)
            return number
        }
        try write(places)
        try write(distinct.map(\.utf8.count))
        try write(distinct.flatMap { Array($0.utf8) })
    }
}

extension [Int] {
    /// Whether these are the places where parts of so many elements begin, and where the last one ends.
    func areBounds(of count: Int) -> Bool {
        first == 0 && last == count && zip(self, dropFirst()).allSatisfy { $0 <= $1 }
    }
}

/// Reads the arrays of an `ArrayWriter` in the same order.
struct ArrayReader {
    private let file: any OpenFile
    private let path: String
    private var rest: Int64

    /// - Parameter size: Of the file.
    init(_ path: String, size: Int64, fileSystem: any FileSystem) throws {
        file = try fileSystem.open(path, .read)
        (self.path, rest) = (path, size)
    }

    /// - Throws: `DatasetError` where the file ends before the array does.
    mutating func array<Element: BitwiseCopyable>(of type: Element.Type = Element.self) throws -> [Element] {
        let count = try elements(1, of: Int64.self)[0]
        guard count >= 0, count <= rest else { throw DatasetError("\(path): holds other arrays than are looked for") }
        return try elements(Int(count), of: type)
    }

    mutating func strings() throws -> [String] {
        let places = try array(of: Int32.self)
        let lengths = try array(of: Int.self)
        let bytes = try array(of: UInt8.self)
        var next = 0
        let distinct = try lengths.map { length in
            guard 0...bytes.count - next ~= length else { throw misfit }
            defer { next += length }
            return String(decoding: bytes[next..<next + length], as: UTF8.self)
        }
        return try places.map { place in
            guard distinct.indices.contains(Int(place)) else { throw misfit }
            return distinct[Int(place)]
        }
    }

    /// What is said of arrays that cannot belong together.
    var misfit: DatasetError { DatasetError("\(path): its arrays do not belong together") }

    private mutating func elements<Element: BitwiseCopyable>(_ count: Int, of: Element.Type) throws -> [Element] {
        let bytes = count * MemoryLayout<Element>.stride
        guard bytes <= rest else { throw DatasetError("\(path): ends in the middle of an array") }
        rest -= Int64(bytes)
        return try Array(unsafeUninitializedCapacity: count) { buffer, initialized in
            let all = UnsafeMutableRawBufferPointer(buffer)
            var done = 0
            while done < bytes {
                let read = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: all[done..<bytes]))
                guard read > 0 else { throw DatasetError("\(path): ends in the middle of an array") }
                done += read
            }
            initialized = count
        }
    }
}
