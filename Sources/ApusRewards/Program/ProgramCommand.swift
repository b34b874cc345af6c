import ApusFiles
import Foundation

/// A program and its words.
struct ProgramCommand: Sendable {
    /// As the user wrote it.
    let shown: String
    let words: [String]
    /// What was begun and never ended, such as a quote; nil where nothing was.
    private let open: String?

    /// - Parameter text: A path with a slash, or `exec:` and words as in a shell.
    /// - Returns: nil where the text names no program.
    init?(_ text: String) {
        shown = text
        if text.hasPrefix("exec:") {
            (words, open) = Self.words(of: text.dropFirst("exec:".count))
        } else if text.contains("/") {
            (words, open) = ([text], nil)
        } else {
            return nil
        }
    }

    private init(shown: String, words: [String]) {
        (self.shown, self.words, open) = (shown, words, nil)
    }

    /// Without its ending, the program where it is a file of somebody's own; else the first file behind what runs it, and
    /// where there is none that itself: `score` of `./score` and of `exec:python3 ./score.py --rules rules.json`.
    var name: String {
        guard let program = words.first else { return "program" }
        let isFile = { (word: String) in
            !word.hasPrefix("-")
                && (word.contains("/") || word.split(separator: ".").dropFirst().last?.first?.isLetter == true)
        }
        // Behind these stands a program itself, and no file.
        let arguments = words.dropFirst().prefix { !["-c", "-e"].contains($0) }
        let isOwn = program.contains("/") && !Self.runsOthers(program)
        let last = FilePath.lastComponent(of: isOwn ? program : arguments.first(where: isFile) ?? program)
        guard let dot = last.lastIndex(of: "."), dot > last.startIndex else { return last }
        return String(last[..<dot])
    }

    /// Whether a path is one of a program that runs those of others, of whatever version.
    private static func runsOthers(_ path: String) -> Bool {
        let name = FilePath.lastComponent(of: path)
        return [
            "python", "pypy", "sh", "bash", "dash", "zsh", "fish", "env", "node", "deno", "bun", "ruby", "perl", "php",
            "lua",
            "julia", "Rscript", "swift", "uv",
        ].contains(String(name.prefix { !$0.isNumber && $0 != "." }))
    }

    /// With the place of the program.
    ///
    /// - Throws: `RewardError` where there is none, or it may not be run.
    func checked(path: String?) throws -> ProgramCommand {
        if let open {
            throw RewardError("\(shown): ends behind \(open). Close the quote, or write \\ before it.")
        }
        guard let program = words.first else {
            throw RewardError("\(shown): names no program; wanted 'exec:COMMAND WORDS', or a path such as ./score.py.")
        }
        if program.contains("/") {
            guard FileManager.default.fileExists(atPath: program) else {
                throw RewardError("\(shown): there is no file \(program).")
            }
            guard Self.canRun(program) else {
                throw RewardError(
                    "\(shown): \(program) cannot be run. Give it leave (chmod +x \(program)) and a first line such as "
                        + "\"#!/usr/bin/env python3\", or name what runs it: 'exec:python3 \(program)'.")
            }
            return self
        }
        let folders = (path ?? Self.usualPath).split(separator: ":")
        let found = folders.map { "\($0)/\(program)" }.first { Self.canRun($0) }
        guard let found else { throw RewardError("\(shown): there is no program \"\(program)\" on the PATH.") }
        return ProgramCommand(shown: shown, words: [found] + words.dropFirst())
    }

    private static func canRun(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
            && FileManager.default.isExecutableFile(atPath: path)
    }

    static let usualPath = "/usr/local/bin:/usr/bin:/bin"

    private static func words(of text: Substring) -> (words: [String], open: String?) {
        var (words, word): ([String], String?) = ([], nil)
        var (quote, isEscaped): (Character?, Bool) = (nil, false)
        for character in text {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                (quote, word) = (character, word ?? "")
            } else if character.isWhitespace {
                if let complete = word { words.append(complete) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        let open = quote.map { "an open \($0)" } ?? (isEscaped ? "a \\" : nil)
        return (words + [word].compactMap(\.self), open)
    }
}
