import Foundation
import Synchronization

/// Signals that the training loop answers between steps.
///
/// SIGTERM, SIGINT and SIGHUP are a wish to stop: the first sets a flag, so that the run can save and leave; the second ends the
/// process at once with status 128 + signal, unless it is a SIGHUP, which the system and the shell of a terminal that is closed
/// both send. SIGUSR1 is a wish for a checkpoint, after which the run goes on.
package enum StopSignal {
    /// Starts to listen.
    ///
    /// Further calls do nothing. A SIGHUP that is ignored already stays so: `nohup` started the program.
    package static func install() { listen(to: [SIGTERM, SIGINT, SIGHUP, SIGUSR1]) }

    /// Remembers wishes for a checkpoint until there is a run that takes them.
    package static func rememberSaveRequests() { listen(to: [SIGUSR1]) }

    /// Passes over wishes for a checkpoint, also where this process is replaced by another program.
    package static func ignoreSaveRequests() { _ = signal(SIGUSR1, SIG_IGN) }

    private static func listen(to signals: [Int32]) {
        // The atomic exists before a handler can run: the first use of a global is not safe inside one.
        _ = received.load(ordering: .relaxed)
        _ = isSaveWanted.load(ordering: .relaxed)
        previous.withLock { previous in
            for signal in signals where !previous.contains(where: { $0.0 == signal }) {
                if signal == SIGHUP, isIgnored(signal) { continue }
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
        case SIGHUP: "SIGHUP"
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

    private static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0 else { return false }
        #if canImport(Darwin)
            let handler = action.__sigaction_u.__sa_handler
        #else
            let handler = action.__sigaction_handler.sa_handler
        #endif
        // `SIG_IGN` is a number in the place of a function, and functions cannot be compared.
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
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
    if signal == SIGHUP {
        _ = received.compareExchange(expected: 0, desired: signal, ordering: .relaxed)
    } else if received.exchange(signal, ordering: .relaxed) != 0 {
        _exit(128 + signal)
    }
}
