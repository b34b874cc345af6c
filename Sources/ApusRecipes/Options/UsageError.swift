/// What is wrong with a command line: one paragraph for each wrong word.
package struct UsageError: ExitCodeProviding, CustomStringConvertible, Equatable {
    package var paragraphs: [String]
    package var exitCode: Int32 { ExitCode.usage }

    package init(_ paragraph: String) {
        paragraphs = [paragraph]
    }

    package init(paragraphs: [String]) {
        self.paragraphs = paragraphs
    }

    package var description: String { paragraphs.joined(separator: "\n") }
}

/// A settings file that cannot be read, or settings that contradict each other.
package struct SettingsError: ExitCodeProviding, CustomStringConvertible, Equatable {
    package let description: String
    package var exitCode: Int32 { ExitCode.configuration }

    package init(_ description: String) {
        self.description = description
    }
}
