import Foundation
import Testing

@testable import ApusRunLog

/// Each test runs in a process of its own: signals belong to the whole process.
@Suite struct StopSignalTests {
    @Test func theFirstSignalOnlySetsAFlag() async {
        await #expect(processExitsWith: .exitCode(0)) {
            StopSignal.install()
            StopSignal.install()
            guard StopSignal.pending == nil else { exit(1) }
            guard send(SIGTERM) == SIGTERM, StopSignal.name(of: SIGTERM) == "SIGTERM" else { exit(2) }
            StopSignal.reset()
            guard StopSignal.pending == nil else { exit(3) }
            StopSignal.install()
            exit(send(SIGINT) == SIGINT ? 0 : 4)
        }
    }

    @Test func theSecondSignalLeavesAtOnce() async {
        await #expect(processExitsWith: .exitCode(128 + SIGINT)) {
            StopSignal.install()
            guard send(SIGTERM) == SIGTERM else { exit(1) }
            kill(getpid(), SIGINT)
            waitToBeEnded()
        }
    }

    /// SIGUSR1 asks for a checkpoint, each time once, and ends nothing.
    @Test func aCheckpointCanBeAskedFor() async {
        await #expect(processExitsWith: .exitCode(0)) {
            StopSignal.install()
            for _ in 0..<2 {
                kill(getpid(), SIGUSR1)
                let end = Date() + 20
                var isAsked = false
                while !isAsked, Date() < end { isAsked = StopSignal.takeSaveRequest() }
                guard isAsked, !StopSignal.takeSaveRequest(), StopSignal.pending == nil else { exit(1) }
            }
            exit(0)
        }
    }

    /// A terminal that is closed says so twice, and the run saves all the same; what follows still ends it.
    @Test func aHangUpNeverLeavesAtOnce() async {
        await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
            StopSignal.install()
            guard send(SIGHUP) == SIGHUP, StopSignal.name(of: SIGHUP) == "SIGHUP" else { exit(1) }
            kill(getpid(), SIGHUP)
            usleep(200_000)
            guard StopSignal.pending == SIGHUP else { exit(2) }
            kill(getpid(), SIGTERM)
            waitToBeEnded()
        }
    }

    /// As under `nohup`.
    @Test func aHangUpThatIsIgnoredStaysSo() async {
        await #expect(processExitsWith: .exitCode(0)) {
            _ = signal(SIGHUP, SIG_IGN)
            StopSignal.install()
            kill(getpid(), SIGHUP)
            usleep(200_000)
            guard StopSignal.pending == nil else { exit(1) }
            exit(send(SIGINT) == SIGINT ? 0 : 2)
        }
    }

    /// What comes before the run is kept for it.
    @Test func earlyWishesForACheckpoint() async {
        await #expect(processExitsWith: .exitCode(0)) {
            StopSignal.ignoreSaveRequests()
            kill(getpid(), SIGUSR1)
            usleep(200_000)
            StopSignal.rememberSaveRequests()
            guard !StopSignal.takeSaveRequest() else { exit(1) }
            kill(getpid(), SIGUSR1)
            usleep(200_000)
            StopSignal.install()
            exit(StopSignal.takeSaveRequest() && StopSignal.pending == nil ? 0 : 2)
        }
    }

    @Test func resetBringsBackTheOldBehaviour() async {
        await #expect(processExitsWith: .signal(SIGTERM)) {
            StopSignal.install()
            guard send(SIGTERM) == SIGTERM else { exit(1) }
            StopSignal.reset()
            kill(getpid(), SIGTERM)
            waitToBeEnded()
        }
    }
}

/// Sends a signal to this process and waits until it arrives.
///
/// Signals to a thread (`raise`) would stay away: the threads that run tests block them.
private func send(_ signal: Int32) -> Int32? {
    kill(getpid(), signal)
    let end = Date() + 20
    while StopSignal.pending == nil, Date() < end {}
    return StopSignal.pending
}

/// Until a signal ends the process, or 20 seconds.
private func waitToBeEnded() {
    sleep(20)
}
