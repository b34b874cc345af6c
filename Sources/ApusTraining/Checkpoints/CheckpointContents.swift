package import ApusFiles
package import ApusJSON

/// What a checkpoint holds besides the state of the run: the files that other programs read.
package protocol CheckpointContents {
    /// Writes the weights and everything beside them into a folder that is being staged.
    ///
    /// - Parameter history: What was logged so far.
    func write(into folder: AtomicDirectory, history: [JSONObject]) throws
}
