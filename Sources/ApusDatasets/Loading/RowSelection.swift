/// Which rows of one data set are trained on and which are held out, chosen as ms-swift 4.6 chooses them.
struct RowSelection: Equatable {
    var train: [Int]
    var validation: [Int]

    /// Samples and splits `rowCount` usable rows.
    ///
    /// - Parameters:
    ///   - sampleCount: The `#count` of the reference; `nil` takes each row once.
    ///   - splitRatio: The share to hold out. At least one row is held out unless the ratio is 0; at 1 all are.
    ///   - state: The generator shared by all data sets of one load; it moves on.
    /// - Throws: `DatasetError` when nothing would be left to train on.
    init(
        rowCount: Int, sampleCount: Int?, splitRatio: Double, isShuffled: Bool, state: inout NumPyRandomState
    ) throws {
        let wanted = sampleCount ?? rowCount
        if splitRatio == 0 {
            train = Self.sample(wanted, of: Array(0..<rowCount), isShuffled, &state)
            validation = []
        } else if splitRatio == 1 {
            guard wanted <= rowCount else {
                throw DatasetError(
                    "#\(wanted) asks for more validation rows than the \(rowCount) usable ones; "
                        + "validation rows are not repeated")
            }
            train = []
            validation = Self.sample(wanted, of: Array(0..<rowCount), isShuffled, &state)
        } else {
            let heldOut = max(Int(Double(min(rowCount, wanted)) * splitRatio), 1)
            guard wanted > heldOut, rowCount > heldOut else {
                throw DatasetError(
                    "--split_dataset_ratio \(splitRatio) of \(min(rowCount, wanted)) rows leaves none to train on")
            }
            let remaining: [Int]
            let seed = state.derivedSeed()
            if isShuffled {
                var generator = PCG64(seed: seed)
                let order = generator.permutation(rowCount)
                validation = Array(order[..<heldOut])
                remaining = Array(order[heldOut...])
            } else {
                remaining = Array(0..<rowCount - heldOut)
                validation = Array(rowCount - heldOut..<rowCount)
            }
            train = Self.sample(wanted - heldOut, of: remaining, isShuffled, &state)
        }
    }

    /// Whole repeats of `rows`, then the rest without replacement.
    private static func sample(
        _ count: Int, of rows: [Int], _ isShuffled: Bool, _ state: inout NumPyRandomState
    ) -> [Int] {
        let (repeats, rest) = count.quotientAndRemainder(dividingBy: rows.count)
        var selected = Array(repeatElement(rows, count: repeats).joined())
        if rest > 0 {
            selected += isShuffled ? state.permutation(rows.count)[..<rest].map { rows[$0] } : Array(rows[..<rest])
        }
        return selected
    }
}
