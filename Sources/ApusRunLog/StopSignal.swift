import Foundation
import Synchronization

/// Signals that the training loop answers between steps.
///
/// SIGTERM and SIGINT are a wish to stop: the first sets a flag, so that the run can save and leave; the second ends the process
/// at once with status 128 + signal. SIGUSR1 is a wish for a checkpoint, after which the run goes on.
package enum StopSignal {
    /// Starts to listen.
    ///
    /// Further calls do nothing.
    package static func install() {
        // The atomic exists before a handler can run: the first use of a global is not safe inside one.
        _ = received.load(ordering: .relaxed)
        _ = isSaveWanted.load(ordering: .relaxed)
        previous.withLock { previous in
            guard previous.isEmpty else { return }
            for signal in [SIGTERM, SIGINT, SIGUSR1] {
                var action = sigaction()
                setHandler(of: &action, to: signal == SIGUSR1 ? handleSaveSignal : handleStopSignal)
                sigemptyset(&action.sa_mask)
                // Reads and writes that are under way go on.
                action.sa_flags = Int32(SA_RESTART)
                var old = sigaction()
                if sigaction(signal, &action, &old) == 0 { previous.append((signal, SavedAction(old))) }
            }
        }
    }

    /// The signal that asked for a stop, or nil.
    package static var pending: Int32? {
        let signal = received.load(ordering: .relaxed)
        return signal == 0 ? nil : signal
    }

    /// Whether a checkpoint was asked for since the last call.
    package static func takeSaveRequest() -> Bool { isSaveWanted.exchange(false, ordering: .relaxed) }

    /// The name of a signal for messages.
    package static func name(of signal: Int32) -> String {
        switch signal {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        default: "signal \(signal)"
        }
    }

    /// Stops listening, restores what was there before, and forgets what was received.
    package static func reset() {
        previous.withLock { previous in
            for (signal, saved) in previous {
                var action = saved.action
                sigaction(signal, &action, nil)
            }
            previous = []
        }
        received.store(0, ordering: .relaxed)
        isSaveWanted.store(false, ordering: .relaxed)
    }

    private static let previous = Mutex<[(Int32, SavedAction)]>([])

    private static func setHandler(of action: inout sigaction, to handler: @escaping @convention(c) (Int32) -> Void) {
        #if canImport(Darwin)
            action.__sigaction_u.__sa_handler = handler
        #else
            action.__sigaction_handler.sa_handler = handler
        #endif
    }
}

/// A copy of plain C data, which nobody changes.
private struct SavedAction: @unchecked Sendable {
    let action: sigaction

    init(_ action: sigaction) {
        self.action = action
    }
}

private let received = Atomic<Int32>(0)
private let isSaveWanted = Atomic<Bool>(false)

/// Runs inside the signal: an atomic store is all it does.
private func handleSaveSignal(_: Int32) { isSaveWanted.store(true, ordering: .relaxed) }

/// Runs inside the signal: an atomic exchange and `_exit` are all it may use.
private func handleStopSignal(_ signal: Int32) {
    if received.exchange(signal, ordering: .relaxed) != 0 { _exit(128 + signal) }
}
