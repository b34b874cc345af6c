import ApusJSON
import Foundation
import Testing

/// A file of numbers that notes what is read of it, so that nothing in it is left out unseen.
final class VectorFile {
    private let json: JSONValue
    private var read: Set<[String]> = []

    init(_ json: JSONValue) { self.json = json }

    var root: Node { Node(file: self, path: [], value: json) }

    /// The paths of all that nobody read and that no rule leaves out.
    ///
    /// - Parameter excluded: Ends of paths, or their beginnings with a slash behind them.
    func unread(without excluded: [String]) -> [String] {
        var left: [String] = []
        func walk(_ value: JSONValue, _ path: [String]) {
            if let object = value.objectValue {
                for (key, value) in object { walk(value, path + [key]) }
            } else if !read.contains(path) {
                let text = path.joined(separator: " › ")
                let isLeftOut = excluded.contains {
                    $0.hasSuffix("/") ? path.first == String($0.dropLast()) : path.contains($0)
                }
                if !isLeftOut { left.append(text) }
            }
        }
        walk(json, [])
        return left
    }

    /// A place in the file.
    struct Node {
        fileprivate let file: VectorFile
        let path: [String]
        fileprivate let value: JSONValue?

        subscript(key: String) -> Node { Node(file: file, path: path + [key], value: value?[key]) }

        /// The names in an object, which are not read by that.
        var keys: [String] { value?.objectValue.map { Array($0.keys) } ?? [] }

        func has(_ key: String) -> Bool { value?[key] != nil }

        private var leaf: JSONValue? {
            if value == nil || value?.objectValue != nil {
                Issue.record("\(path.joined(separator: " › ")) has no value")
                return nil
            }
            file.read.insert(path)
            return value
        }

        var number: Double { leaf?.doubleValue ?? .nan }
        /// The number; nil where there is none.
        var optionalNumber: Double? { has ? number : nil }
        var text: String { leaf?.stringValue ?? "" }
        var numbers: [Double] { (leaf?.arrayValue ?? []).map { $0.doubleValue ?? .nan } }
        var texts: [String] { (leaf?.arrayValue ?? []).compactMap(\.stringValue) }
        var rows: [[Double]] { (leaf?.arrayValue ?? []).map { ($0.arrayValue ?? []).map { $0.doubleValue ?? .nan } } }
        /// Whether it says that there is nothing.
        var isNothing: Bool { leaf?.isNull == true }
        private var has: Bool { value != nil && value?.isNull == false }

        /// Numbers that were made are those at this place, relative to the larger of 1 and their size.
        func expects(_ made: [Double], within bar: Double = 1e-12) {
            let wanted =
                value?.arrayValue == nil ? [number] : rows.contains { !$0.isEmpty } ? rows.flatMap { $0 } : numbers
            #expect(made.count == wanted.count, "\(path.joined(separator: " › "))")
            let worst = zip(made, wanted).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? .nan
            #expect(worst <= bar, "\(path.joined(separator: " › ")): \(made) for \(wanted)")
        }

        func expects(_ made: Double, within bar: Double = 1e-12) { expects([made], within: bar) }
    }
}
