/// Why a text is not JSON, and where.
package struct JSONError: Error, CustomStringConvertible, Equatable, Sendable {
    package let line: Int
    package let column: Int
    package let message: String

    package init(line: Int, column: Int, message: String) {
        self.line = line
        self.column = column
        self.message = message
    }

    package var description: String { "not valid JSON at line \(line), column \(column): \(message)" }
}
