import ApusRunLog

extension Command {
    /// Passes over SIGUSR1, by which a run is asked for a checkpoint, while the program of a command that trains starts.
    package func ignoreSaveRequests() {
        if trains { StopSignal.ignoreSaveRequests() }
    }

    /// Keeps a SIGUSR1 for the run of a command that trains, which saves after its first step.
    package func rememberSaveRequests() {
        if trains { StopSignal.rememberSaveRequests() }
    }
}
