import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// A program that was started and reads and writes lines, with its children in a process group of its own.
///
/// It ends with this object: its input is closed, and what of the group is left shortly after is killed.
final class RunningProgram {
    private let process: pid_t
    private let input: Int32
    private let output: Int32
    private let errors: Int32
    /// What it wrote and nobody took.
    private var written: [UInt8] = []
    private var lastErrors: [UInt8] = []
    private var hasErrors = true

    /// - Throws: `ProgramFailure` where it cannot be started.
    init(_ command: ProgramCommand, environment: [String: String]) throws {
        // Of programs that are started at once, none may get the pipes of another before these are marked as not for it.
        Self.starting.lock()
        defer { Self.starting.unlock() }
        var (input, output, errors) = (try Pipe(), try Pipe(), try Pipe())
        defer {
            input.closeOthers()
            output.closeOthers()
            errors.closeOthers()
        }
        var environment = environment
        environment["PATH"] = environment["PATH"] ?? ProgramCommand.usualPath
        // Python would else keep its lines to itself until there are many.
        environment["PYTHONUNBUFFERED"] = environment["PYTHONUNBUFFERED"] ?? "1"
        process = try Self.start(
            command.words, environment: environment.map { "\($0.key)=\($0.value)" }.sorted(),
            streams: [input.reading, output.writing, errors.writing])
        (self.input, self.output, self.errors) = (input.takeWriting(), output.takeReading(), errors.takeReading())
        for stream in [self.input, self.output, self.errors] { _ = fcntl(stream, F_SETFL, O_NONBLOCK) }
    }

    deinit {
        close(input)
        if !hasEnded(within: 1) {
            kill(-process, SIGTERM)
            _ = hasEnded(within: 1)
        }
        // Children that outlive it have no one to answer to.
        kill(-process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        close(output)
        close(errors)
    }

    // MARK: - Starting

    private static let starting = NSLock()

    private struct Pipe {
        private(set) var reading: Int32
        private(set) var writing: Int32

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw RunningProgram.cannotStart(errno) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (reading, writing) = (ends[0], ends[1])
        }

        /// The end that is kept.
        mutating func takeReading() -> Int32 {
            defer { reading = -1 }
            return reading
        }

        mutating func takeWriting() -> Int32 {
            defer { writing = -1 }
            return writing
        }

        func closeOthers() {
            for end in [reading, writing] where end >= 0 { close(end) }
        }
    }

    private static func cannotStart(_ code: Int32) -> ProgramFailure {
        ProgramFailure(kind: .cannotStart(String(cString: strerror(code))), errors: "")
    }

    /// - Parameter streams: What become the standard streams.
    private static func start(_ words: [String], environment: [String], streams: [Int32]) throws -> pid_t {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
            var attributes: posix_spawnattr_t?
        #else
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        for (number, stream) in streams.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
        }
        var (none, usual) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigemptyset(&usual)
        for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP] { sigaddset(&usual, signal) }
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &usual)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var (arguments, variables) = (words.map { strdup($0) }, environment.map { strdup($0) })
        defer { for text in arguments + variables { free(text) } }
        arguments.append(nil)
        variables.append(nil)
        var process: pid_t = 0
        var code = posix_spawn(&process, words[0], &actions, &attributes, arguments, variables)
        // Whoever wrote the program has not closed it yet, or a process that was started meanwhile has not.
        for _ in 0..<50 where code == ETXTBSY {
            usleep(20_000)
            code = posix_spawn(&process, words[0], &actions, &attributes, arguments, variables)
        }
        guard code == 0 else { throw cannotStart(code) }
        return process
    }

    // MARK: - Lines

    /// Writes all of a text, and reads lines meanwhile.
    ///
    /// - Parameters:
    ///   - seconds: The longest that it may take for a line.
    ///   - parse: What a line says, without white space around it, and which it is; it may throw.
    /// - Returns: What as many lines say as are wanted.
    /// - Throws: `ProgramFailure`.
    func answers<Answer>(
        to text: String, count: Int, seconds: Double, parse: (String, Int) throws -> Answer
    ) throws -> [Answer] {
        _ = try read()
        guard written.isEmpty else { throw failure(.tooMany(takeLine() ?? String(decoding: written, as: UTF8.self))) }
        var rest = Array(text.utf8)[...]
        var answers: [Answer] = []
        var end = ContinuousClock.now + .seconds(seconds)
        var isClosed = false
        while answers.count < count {
            let left = end - .now
            guard left > .zero else {
                // Its output may still be open to its children.
                if hasEnded(within: 0) { throw failure(.ended(status: ending(), after: answers.count)) }
                throw failure(
                    isClosed ? .closedInput(after: answers.count) : .silent(seconds: seconds, after: answers.count))
            }
            wait(left, writes: !rest.isEmpty && !isClosed)
            if !rest.isEmpty, !isClosed, !write(&rest) {
                // Whoever closes it is about to end, and then that is what is to be said.
                isClosed = true
                end = min(end, .now + .seconds(1))
            }
            let isOpen = try read()
            let before = answers.count
            while answers.count < count, let line = takeLine() { answers.append(try parse(line, answers.count)) }
            // What writes line after line is at work, however many there are.
            if answers.count > before, !isClosed { end = .now + .seconds(seconds) }
            if answers.count < count, !isOpen { throw failure(.ended(status: ending(), after: answers.count)) }
            if written.count > 1_000_000 { throw failure(.endless(answers.count)) }
        }
        guard written.isEmpty else { throw failure(.tooMany(takeLine() ?? String(decoding: written, as: UTF8.self))) }
        return answers
    }

    func failure(_ kind: ProgramFailure.Kind) -> ProgramFailure {
        readErrors()
        let text = String(decoding: lastErrors.suffix(2000), as: UTF8.self)
        return ProgramFailure(kind: kind, errors: text.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    private func takeLine() -> String? {
        guard let end = written.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { written.removeSubrange(...end) }
        return String(decoding: written[..<end], as: UTF8.self).trimmingCharacters(in: .whitespaces.union(.newlines))
    }

    /// Waits until a stream is ready or the time is over.
    private func wait(_ left: Duration, writes: Bool) {
        let milliseconds = min(left / .milliseconds(1), 1000).rounded(.up)
        var streams = [pollfd(fd: output, events: Int16(POLLIN), revents: 0)]
        if hasErrors { streams.append(pollfd(fd: errors, events: Int16(POLLIN), revents: 0)) }
        if writes { streams.append(pollfd(fd: input, events: Int16(POLLOUT), revents: 0)) }
        poll(&streams, nfds_t(streams.count), Int32(milliseconds))
    }

    /// Takes what was written to both streams.
    ///
    /// - Returns: Whether more may come.
    private func read() throws -> Bool {
        readErrors()
        return Self.read(output) { written += $0 }
    }

    private func readErrors() {
        guard hasErrors else { return }
        hasErrors = Self.read(errors) {
            lastErrors += $0
            if lastErrors.count > 8000 { lastErrors.removeFirst(lastErrors.count - 4000) }
        }
    }

    /// - Returns: Whether the stream is open.
    private static func read(_ stream: Int32, _ take: (ArraySlice<UInt8>) -> Void) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // A program that never stops writing is left alone after this much, so that time is looked at.
        for _ in 0..<16 {
            #if canImport(Darwin)
                let count = Darwin.read(stream, &buffer, buffer.count)
            #else
                let count = Glibc.read(stream, &buffer, buffer.count)
            #endif
            if count > 0 { take(buffer[..<count]) }
            if count == 0 { return false }
            if count < 0 { return errno == EAGAIN || errno == EINTR }
        }
        return true
    }

    /// Writes as much as there is room for.
    ///
    /// - Returns: Whether somebody reads.
    private func write(_ bytes: inout ArraySlice<UInt8>) -> Bool {
        withoutPipeSignal {
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { buffer in
                    #if canImport(Darwin)
                        Darwin.write(input, buffer.baseAddress, buffer.count)
                    #else
                        Glibc.write(input, buffer.baseAddress, buffer.count)
                    #endif
                }
                if count >= 0 { bytes = bytes.dropFirst(count) } else { return errno == EAGAIN || errno == EINTR }
            }
            return true
        }
    }

    /// Holds back the signal that a write to nobody sends, which would end this program.
    private func withoutPipeSignal(_ body: () -> Bool) -> Bool {
        #if canImport(Darwin)
            _ = fcntl(input, F_SETNOSIGPIPE, 1)
            return body()
        #else
            var (pipes, before) = (sigset_t(), sigset_t())
            sigemptyset(&pipes)
            sigaddset(&pipes, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &pipes, &before)
            let result = body()
            if !result {
                var none = timespec()
                sigtimedwait(&pipes, nil, &none)
            }
            pthread_sigmask(SIG_SETMASK, &before, nil)
            return result
        #endif
    }

    // MARK: - The end

    /// Whether it ended, without forgetting how.
    private func hasEnded(within seconds: Double) -> Bool {
        let end = ContinuousClock.now + .seconds(seconds)
        repeat {
            var information = siginfo_t()
            let code = waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
            if code == 0, information.si_signo == SIGCHLD { return true }
            usleep(2000)
        } while .now < end
        return false
    }

    /// How it ended; only asked where its output is closed, or where it has.
    private func ending() -> String {
        guard hasEnded(within: 1) else { return "its output closed" }
        var information = siginfo_t()
        waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
        #if canImport(Darwin)
            let status = information.si_status
        #else
            let status = information._sifields._sigchld.si_status
        #endif
        return information.si_code == CLD_EXITED ? "exit code \(status)" : "signal \(status)"
    }
}
