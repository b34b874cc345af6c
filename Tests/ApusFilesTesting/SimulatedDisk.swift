package import ApusFiles
import Foundation
import Synchronization

/// A disk in memory that knows what was flushed, and forgets the rest when it loses power.
///
/// It is as forgetful as POSIX allows: of the changes to a folder's names since that folder's last fsync, any subset
/// may have reached the disk; of a file written since its last fsync, any mixture of old blocks, new blocks and zeros.
package final class SimulatedDisk: FileSystem {
    package let supportsExchange: Bool
    package let supportsLocks: Bool
    private let state = Mutex(State())

    package init(supportsExchange: Bool = true, supportsLocks: Bool = true) {
        self.supportsExchange = supportsExchange
        self.supportsLocks = supportsLocks
    }

    /// Every process that used the disk has died: what it wrote is there, its locks are not.
    package func killProcesses() {
        state.withLock { $0.locked = [] }
    }

    /// The power fails and comes back.
    package func losePower(using random: inout some RandomNumberGenerator) {
        state.withLock { state in
            state.locked = []
            for id in state.nodes.indices {
                switch state.nodes[id] {
                case .file(let file):
                    let survivor = file.afterPowerLoss(using: &random)
                    state.nodes[id] = .file(File(contents: survivor, durable: survivor))
                case .directory(let directory):
                    var names = directory.durable
                    for change in directory.pending where Bool.random(using: &random) { change.apply(to: &names) }
                    state.nodes[id] = .directory(Directory(names: names, durable: names))
                case .link:
                    break
                }
            }
        }
    }

    package func createDirectory(_ path: String) throws {
        _ = try state.withLock { try $0.create(.directory(Directory()), at: path, "create folder") }
    }

    package func createSymbolicLink(_ path: String, to target: String) throws {
        _ = try state.withLock { try $0.create(.link(target), at: path, "create link") }
    }

    package func open(_ path: String, _ mode: FileOpenMode) throws -> any OpenFile {
        let id = try state.withLock { state in
            switch (mode, try state.find(path)) {
            case (.read, let id?), (.append, let id?): return id
            case (.read, nil): throw FileError("open", path, code: ENOENT)
            case (.createNew, .some): throw FileError("create", path, code: EEXIST)
            case (_, nil): return try state.create(.file(File()), at: path, "create")
            }
        }
        return SimulatedFile(disk: self, id: id, path: path)
    }

    package func synchronizeDirectory(_ path: String) throws {
        try state.withLock { state in
            let (id, directory) = try state.directory(path, "open folder")
            state.nodes[id] = .directory(Directory(names: directory.names, durable: directory.names))
        }
    }

    package func rename(_ path: String, to newPath: String) throws {
        try state.withLock { state in
            guard let source = try state.find(path) else { throw FileError("rename", path, code: ENOENT) }
            if let target = try state.find(newPath), case .directory(let directory) = state.nodes[target],
                !directory.names.isEmpty
            {
                throw FileError("rename", newPath, code: ENOTEMPTY)
            }
            let (from, to) = (FilePath.lastComponent(of: path), FilePath.lastComponent(of: newPath))
            try state.change(FilePath.parent(of: path), .rename(id: source, from: from, to: to))
        }
    }

    package func exchange(_ first: String, _ second: String) throws {
        guard supportsExchange else { throw FileError("exchange", second, code: ENOTSUP) }
        try state.withLock { state in
            guard let a = try state.find(first), let b = try state.find(second) else {
                throw FileError("exchange", second, code: ENOENT)
            }
            let (nameOfA, nameOfB) = (FilePath.lastComponent(of: first), FilePath.lastComponent(of: second))
            try state.change(FilePath.parent(of: first), .exchange((nameOfA, a), (nameOfB, b)))
        }
    }

    package func removeFile(_ path: String) throws {
        try state.withLock { state in
            guard try state.find(path) != nil else { throw FileError("remove", path, code: ENOENT) }
            try state.change(FilePath.parent(of: path), .remove(FilePath.lastComponent(of: path)))
        }
    }

    package func removeDirectory(_ path: String) throws {
        try state.withLock { state in
            guard try state.directory(path, "remove folder").1.names.isEmpty else {
                throw FileError("remove folder", path, code: ENOTEMPTY)
            }
            try state.change(FilePath.parent(of: path), .remove(FilePath.lastComponent(of: path)))
        }
    }

    package func contentsOfDirectory(_ path: String) throws -> [String] {
        try state.withLock { try $0.directory(path, "list folder").1.names.keys.sorted() }
    }

    package func status(_ path: String) throws -> FileStatus? {
        try state.withLock { state in
            guard let id = try state.find(path) else { return nil }
            switch state.nodes[id] {
            case .file(let file): return FileStatus(kind: .file, size: Int64(file.contents.count), modified: 0)
            case .directory: return FileStatus(kind: .directory, size: 0, modified: 0)
            case .link(let target): return FileStatus(kind: .symbolicLink, size: Int64(target.count), modified: 0)
            }
        }
    }

    package func freeSpace(_ path: String) throws -> Int64 { 1 << 30 }

    package func lock(_ path: String) throws -> (any FileLock)? {
        guard supportsLocks else { throw FileError("lock", path, code: ENOTSUP) }
        return try state.withLock { state in
            guard let id = try state.find(path) else { throw FileError("lock", path, code: ENOENT) }
            return state.locked.insert(id).inserted ? SimulatedLock(disk: self, id: id) : nil
        }
    }

    /// The target of a link.
    package func destination(of path: String) throws -> String? {
        try state.withLock { state in
            guard let id = try state.find(path), case .link(let target) = state.nodes[id] else { return nil }
            return target
        }
    }

    fileprivate func unlock(_ id: Int) {
        state.withLock { _ = $0.locked.remove(id) }
    }

    fileprivate func withFile<Result: Sendable>(_ id: Int, _ body: (inout File) -> Result) -> Result? {
        state.withLock { state in
            guard case .file(var file) = state.nodes[id] else { return nil }
            defer { state.nodes[id] = .file(file) }
            return body(&file)
        }
    }
}

extension SimulatedDisk {
    fileprivate struct State: Sendable {
        var nodes: [Node] = [.directory(Directory())]
        var locked: Set<Int> = []

        func find(_ path: String) throws -> Int? {
            var id = 0
            for part in path.split(separator: "/") where part != "." {
                guard case .directory(let directory) = nodes[id] else {
                    throw FileError("look up", path, code: ENOTDIR)
                }
                guard let next = directory.names[String(part)] else { return nil }
                id = next
            }
            return id
        }

        func directory(_ path: String, _ operation: String) throws -> (Int, Directory) {
            guard let id = try find(path) else { throw FileError(operation, path, code: ENOENT) }
            guard case .directory(let directory) = nodes[id] else { throw FileError(operation, path, code: ENOTDIR) }
            return (id, directory)
        }

        mutating func create(_ node: Node, at path: String, _ operation: String) throws -> Int {
            guard try find(path) == nil else { throw FileError(operation, path, code: EEXIST) }
            nodes.append(node)
            try change(FilePath.parent(of: path), .add(FilePath.lastComponent(of: path), id: nodes.count - 1))
            return nodes.count - 1
        }

        mutating func change(_ folder: String, _ change: Change) throws {
            var (id, directory) = try directory(folder, "change folder")
            change.apply(to: &directory.names)
            directory.pending.append(change)
            nodes[id] = .directory(directory)
        }
    }

    fileprivate enum Node: Sendable {
        case file(File)
        case directory(Directory)
        case link(String)
    }

    fileprivate struct Directory: Sendable {
        var names: [String: Int] = [:]
        var durable: [String: Int] = [:]
        var pending: [Change] = []
    }

    /// One change of the names in a folder; a file system's journal applies it whole or not at all.
    fileprivate enum Change: Sendable {
        case add(String, id: Int)
        case remove(String)
        case rename(id: Int, from: String, to: String)
        case exchange((String, Int), (String, Int))

        func apply(to names: inout [String: Int]) {
            switch self {
            case .add(let name, let id): names[name] = id
            case .remove(let name): names[name] = nil
            case .rename(let id, let from, let to):
                if names[from] == id { names[from] = nil }
                names[to] = id
            case .exchange(let a, let b):
                names[a.0] = b.1
                names[b.0] = a.1
            }
        }
    }

    fileprivate struct File: Sendable {
        var contents: [UInt8] = []
        var durable: [UInt8] = []

        func afterPowerLoss(using random: inout some RandomNumberGenerator) -> [UInt8] {
            guard contents != durable else { return durable }
            let size = Int.random(in: 0...max(contents.count, durable.count), using: &random)
            let blocks = (0...size / 16).map { _ in Int.random(in: 0..<3, using: &random) }
            return (0..<size).map { index in
                switch blocks[index / 16] {
                case 0 where index < durable.count: durable[index]
                case 1: 0
                default: index < contents.count ? contents[index] : 0
                }
            }
        }
    }
}

private final class SimulatedFile: OpenFile {
    let disk: SimulatedDisk
    let id: Int
    let path: String
    var position = 0

    init(disk: SimulatedDisk, id: Int, path: String) {
        (self.disk, self.id, self.path) = (disk, id, path)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let contents = disk.withFile(id) { $0.contents } ?? []
        let piece = contents.dropFirst(position).prefix(buffer.count)
        buffer.copyBytes(from: piece)
        position += piece.count
        return piece.count
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        let copy = Array(bytes)
        _ = disk.withFile(id) { $0.contents += copy }
    }

    func truncate(to size: Int64) throws {
        _ = disk.withFile(id) { $0.contents = Array($0.contents.prefix(Int(size))) }
    }

    func synchronize() throws {
        _ = disk.withFile(id) { $0.durable = $0.contents }
    }

    func close() throws {}
}

private final class SimulatedLock: FileLock {
    let disk: SimulatedDisk
    let id: Int

    init(disk: SimulatedDisk, id: Int) {
        (self.disk, self.id) = (disk, id)
    }

    func release() {
        disk.unlock(id)
    }

    deinit {
        disk.unlock(id)
    }
}
