import ApusFiles
import ApusWeights

/// What a reference said of every sample, as the file of a run folder: `reference.safetensors`.
///
/// n samples with k sequences each: `samples` [n] in int32, those held out by their complement, and `sums` [n, k] in float64.
package struct ReferenceFile {
    package static let name = "reference.safetensors"

    package let path: String

    package init(in folder: String) { path = FilePath.join(folder, Self.name) }

    /// What is known of the same reference and the same samples.
    ///
    /// - Parameter digest: Of both.
    /// - Returns: nil where the file is of others.
    /// - Throws: `WeightsError` for a file that is damaged, `TrainingError` for one that is none of these.
    package func scores(digest: String) throws -> ReferenceScores? {
        let file = try SafetensorsFile(path: path)
        guard file.metadata["digest"] == digest else { return nil }
        let (samples, sums) = (try file.entry(named: "samples"), try file.entry(named: "sums"))
        guard samples.dtype == .int32, samples.shape.count == 1, sums.dtype == .float64, sums.shape.count == 2,
            sums.shape[0] == samples.shape[0]
        else { throw TrainingError(.resume, "\(path): holds no sums of log-probabilities") }
        let width = sums.shape[1]
        var scores = ReferenceScores()
        try file.withUnsafeBytes(of: samples) { samples in
            try file.withUnsafeBytes(of: sums) { sums in
                for index in 0..<samples.count / 4 {
                    let sample = Int32(littleEndian: samples.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self))
                    scores.sums[sample] = (0..<width).map {
                        let place = 8 * (index * width + $0)
                        return Double(
                            bitPattern: UInt64(littleEndian: sums.loadUnaligned(fromByteOffset: place, as: UInt64.self))
                        )
                    }
                }
            }
        }
        return scores
    }

    /// Writes it whole or not at all.
    package func write(_ scores: ReferenceScores, digest: String) throws {
        let rows = scores.sums.sorted { $0.key < $1.key }
        let width = rows.map(\.value.count).max() ?? 0
        var (samples, sums): ([UInt8], [UInt8]) = ([], [])
        for (sample, values) in rows {
            withUnsafeBytes(of: sample.littleEndian) { samples += $0 }
            for index in 0..<width {
                let value = index < values.count ? values[index] : .nan
                withUnsafeBytes(of: value.bitPattern.littleEndian) { sums += $0 }
            }
        }
        try SafetensorsWriter.write(
            [
                WeightSource(name: "samples", dtype: .int32, shape: [rows.count], bytes: samples),
                WeightSource(name: "sums", dtype: .float64, shape: [rows.count, width], bytes: sums),
            ], metadata: ["format": "pt", "digest": digest], to: path)
    }
}
