package import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Gives damaged files to the readers of a subject, one after the other, and watches time and memory.
///
/// An input is a function of the subject, the seed and its number. While it is read it lies in the folder, so that after
/// a crash the culprit is there.
package struct MutationRun {
    package struct Tally: Equatable, Sendable {
        package var accepted = 0
        package var refused = 0
        /// Inputs that took too long or too much memory, with what they took.
        package var excesses: [String] = []
    }

    /// In seconds of processor time.
    package var longest = 1.0
    /// In bytes above what the process held before.
    package var largest = 1 << 30

    private let subject: MutationSubject
    private let seed: UInt64
    private let folder: URL

    /// - Parameter folder: An empty folder, best in memory.
    package init(_ subject: MutationSubject, seed: UInt64, folder: URL) throws {
        (self.subject, self.seed, self.folder) = (subject, seed, folder)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, bytes) in subject.beside {
            try Data(bytes).write(to: folder.appendingPathComponent(name))
        }
    }

    package func input(_ number: Int) -> [UInt8] {
        var mutator = Mutator(seed: seed ^ (UInt64(number) &* 0x9E37_79B9_7F4A_7C15))
        let example = mutator.choice(subject.examples)
        let head = subject.head(example)
        if subject.isJSON, mutator.number(below: 2) == 0, let text = mutator.mutatedJSON(example) { return text }
        if subject.name == "safetensors", mutator.number(below: 2) == 0,
            let file = mutator.mutatedHeader(example, length: head)
        {
            return file
        }
        return mutator.mutated(example, head: head, others: subject.examples, isText: subject.isText)
    }

    /// - Parameter announce: Called with the number of each input before it is read.
    package func callAsFunction(_ numbers: Range<Int>, announce: (Int) -> Void = { _ in }) throws -> Tally {
        var tally = Tally()
        let file = folder.appendingPathComponent(subject.file)
        // What is loaded once, such as tables of characters, is no input's.
        for example in subject.examples {
            try Data(example).write(to: file)
            _ = try? subject.read(folder)
        }
        for number in numbers {
            announce(number)
            try Data(input(number)).write(to: file)
            let (started, held) = (Self.seconds, Self.peak)
            do {
                try subject.read(folder)
                tally.accepted += 1
            } catch {
                // An error must be able to say what it is about.
                _ = "\(error)"
                tally.refused += 1
            }
            let (seconds, grown) = (Self.seconds - started, Self.peak - held)
            if seconds > longest { tally.excesses.append("\(subject.name) \(number): \(seconds) s") }
            if grown > largest { tally.excesses.append("\(subject.name) \(number): \(grown >> 20) MiB") }
        }
        return tally
    }

    /// The processor's time of this process, which other programs do not lengthen.
    private static var seconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// The most memory that the process has held, in bytes.
    private static var peak: Int {
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return usage.ru_maxrss << 10
        #endif
    }
}
