import ApusFiles
import ApusJSON
import ApusText
import ApusTraining
import Foundation

/// The date that the chat template of a run shows.
///
/// A run has one date for all its texts, which is kept in `args.json`: a run that goes on another day learns the same
/// texts, and is known by them.
enum RunClock {
    /// The key in `args.json`.
    static let argument = "template_date"

    /// The clock of the run that saved a checkpoint, or of one that begins now.
    ///
    /// - Parameter checkpoint: nil for a new run.
    /// - Throws: `TrainingError` for a date that cannot be read.
    static func clock(of checkpoint: String?) throws -> TemplateClock {
        guard let checkpoint, let data = FileManager.default.contents(atPath: FilePath.join(checkpoint, "args.json")),
            let face = try? JSONValue(parsing: data)[argument]?.stringValue
        else { return TemplateClock.system.stopped }
        guard let clock = TemplateClock(face: face) else {
            throw TrainingError(
                .resume, "\(checkpoint)/args.json: \(argument) is \(face), wanted a time such as 2026-03-05T08:07:06")
        }
        return clock
    }
}
