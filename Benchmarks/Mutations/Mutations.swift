import ApusMutations
import Foundation

/// Gives damaged files to the readers: `Mutations <Tests/Fixtures> <seed> <first> <end> <subject> <folder>`.
///
/// The numbers of inputs go from `first` to before `end`; the one in work stands in `<folder>.number`, so that whoever
/// started this knows it after a crash. `Scripts/faults/mutations` builds, starts and goes on after crashes.
@main
struct Mutations {
    static func main() throws {
        let words = CommandLine.arguments.dropFirst().map { $0 }
        let subjects = try MutationSubject.all(fixtures: URL(fileURLWithPath: words.first ?? "Tests/Fixtures"))
        guard words.count == 6, let seed = UInt64(words[1]), let first = Int(words[2]), let end = Int(words[3]),
            first <= end,
            let subject = subjects.first(where: { $0.name == words[4] })
        else {
            print("subjects: " + subjects.map(\.name).joined(separator: " "))
            exit(words.count == 1 ? 0 : 2)
        }
        let number = "\(words[5]).number"
        _ = FileManager.default.createFile(atPath: number, contents: nil)
        guard let handle = FileHandle(forWritingAtPath: number) else { exit(2) }
        let tally = try MutationRun(subject, seed: seed, folder: URL(fileURLWithPath: words[5]))(first..<end) {
            number in
            try? handle.seek(toOffset: 0)
            handle.write(Data(String(number).utf8))
        }
        print(
            "\(subject.name): \(tally.accepted) accepted, \(tally.refused) refused, \(tally.excesses.count) in excess")
        for excess in tally.excesses { print("  \(excess)") }
        exit(tally.excesses.isEmpty ? 0 : 1)
    }
}
