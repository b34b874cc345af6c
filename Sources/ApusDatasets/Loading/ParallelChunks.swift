import Dispatch
import Foundation

/// Calls `body` on consecutive ranges of `0..<count` from several threads and returns the results in order.
///
/// - Parameters:
///   - threads: How many ranges are worked on at a time.
///   - chunk: The length of a range.
///   - progress: Told after each range how many of `count` are done; calls do not overlap.
/// - Throws: The error of the lowest range that failed; ranges above it may not have been tried.
func inParallelChunks<Result: Sendable>(
    of count: Int, threads: Int, chunk: Int = 64, progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil,
    _ body: @Sendable (Range<Int>) throws -> Result
) throws -> [Result] {
    let chunkCount = (count + chunk - 1) / chunk
    let state = ChunkState<Result>(chunkCount: chunkCount)
    DispatchQueue.concurrentPerform(iterations: max(1, min(threads, chunkCount))) { _ in
        while let index = state.next() {
            let range = index * chunk..<min((index + 1) * chunk, count)
            do {
                let result = try body(range)
                state.finish(index, .success(result)) { done in progress?(min(done * chunk, count), count) }
            } catch {
                state.finish(index, .failure(error)) { _ in }
            }
        }
    }
    return try state.results()
}

/// The shared state of one `inParallelChunks`, guarded by its lock.
private final class ChunkState<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var slots: [Result<Value, any Error>?]
    private var upcoming = 0
    private var finished = 0
    private var hasFailed = false

    init(chunkCount: Int) {
        slots = Array(repeating: nil, count: chunkCount)
    }

    func next() -> Int? {
        lock.withLock {
            guard upcoming < slots.count, !hasFailed else { return nil }
            defer { upcoming += 1 }
            return upcoming
        }
    }

    func finish(_ index: Int, _ result: Result<Value, any Error>, report: (_ done: Int) -> Void) {
        lock.withLock {
            slots[index] = result
            finished += 1
            if case .failure = result { hasFailed = true }
            report(finished)
        }
    }

    // Ranges are handed out in order, so every one below a failed one was finished.
    func results() throws -> [Value] {
        try lock.withLock { try slots.compactMap { try $0?.get() } }
    }
}
