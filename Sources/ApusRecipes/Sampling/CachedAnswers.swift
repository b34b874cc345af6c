import ApusDatasets
import ApusJSON
import Crypto
import Foundation

/// Answers of earlier runs, by the ids of their rows.
///
/// The files stay where they are: what is in memory is where in them the answers to each row stand.
struct CachedAnswers {
    struct Answer: Equatable {
        let text: String
        let isTruncated: Bool
    }

    private struct Place {
        let file: Int
        let bytes: Range<Int>
    }

    private var files: [(path: String, data: Data)] = []
    private var places: [String: [Place]] = [:]
    /// Of the rows of the data set that are the same as others: which of how many each is.
    private var twins: [Int: (number: Int, count: Int)] = [:]
    /// Over all bytes of the files.
    private(set) var fingerprint: String?

    /// - Throws: `SettingsError` for a file that cannot be read; `DatasetError` for a line that is no such row.
    init(_ paths: [String]) throws {
        var hash = SHA256()
        for path in paths {
            let data: Data
            do { data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped) } catch {
                throw SettingsError("--cache_files \(path): cannot be read: \(error.localizedDescription)")
            }
            files.append((path, data))
            hash.update(data: data)
            var (start, number) = (0, 0)
            while start < data.count {
                let end = data[start...].firstIndex(of: UInt8(ascii: "\n")) ?? data.count
                number += 1
                let place = Place(file: files.count - 1, bytes: start..<end)
                if !data[start..<end].allSatisfy({ [0x20, 0x09, 0x0d].contains($0) }) {
                    guard let id = read(place)?.id else {
                        throw DatasetError(
                            "\(path):\(number): wanted a row with \"id\" and \"messages\" that end with an answer, as `apus "
                                + "sample` writes it without --orm_model and the like.")
                    }
                    places[id, default: []].append(place)
                }
                start = end + 1
            }
        }
        guard !paths.isEmpty else { return }
        fingerprint = hash.finalize().prefix(16).map { String(format: "%02x", $0) }.joined()
    }

    private func read(_ place: Place) -> (id: String, answer: Answer)? {
        let row = try? JSONValue(parsing: Data(files[place.file].data[place.bytes]))
        let last = row?["messages"]?.arrayValue?.last
        guard let id = row?["id"]?.stringValue, last?["role"]?.stringValue == "assistant",
            let text = last?["content"]?.stringValue
        else { return nil }
        return (id, Answer(text: text, isTruncated: row?["is_truncated"]?.boolValue ?? false))
    }

    /// Tells apart rows that are the same word for word, and so have one id: answers stand in the order of their rows, so that
    /// each of d such rows has its d-th part of them.
    ///
    /// - Parameters:
    ///   - ids: Of the rows of the data set, in order.
    ///   - place: Of a row, as in messages.
    /// - Throws: `DatasetError` where answers cannot be shared out so.
    mutating func tellApart(_ ids: [String], place: (Int) -> String) throws {
        let rows = Dictionary(grouping: ids.indices.filter { places[ids[$0]] != nil }) { ids[$0] }
        for (id, same) in rows where same.count > 1 {
            let count = places[id]?.count ?? 0
            guard count % same.count == 0 else {
                throw DatasetError(
                    "\(same.prefix(2).map(place).joined(separator: " and ")) are the same row, \(same.count) times in all, and "
                        + "--cache_files hold \(count) answers to it: which are whose cannot be told. Leave all but one out."
                )
            }
            for (number, row) in same.enumerated() { twins[row] = (number, same.count) }
        }
    }

    func answers(to row: SampledRow) -> [Answer] { places(of: row).compactMap { read($0)?.answer } }

    /// How many answers there are to a row.
    func count(of row: SampledRow) -> Int { places(of: row).count }

    private func places(of row: SampledRow) -> ArraySlice<Place> {
        guard let places = places[row.id] else { return [] }
        let twin = twins[row.index] ?? (0, 1)
        let share = places.count / twin.count
        return places[(twin.number * share)..<((twin.number + 1) * share)]
    }
}
