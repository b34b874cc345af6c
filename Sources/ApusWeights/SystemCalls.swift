#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// The text of the last failed system call.
///
/// Read it before anything else can overwrite `errno`.
func lastSystemError() -> String {
    String(cString: strerror(errno))
}

/// Repeats a system call while a signal interrupts it.
func retryingOnInterrupt(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}
