import ApusFiles
import ApusJSON
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// HTTP as the hubs need it: redirects to other hosts without the token, patience with what passes by itself, and none
/// where nobody answers.
final class HubConnection: Sendable {
    let configuration: HubConfiguration
    /// Is told of each pause before something is tried again.
    private let onPause: @Sendable (String) -> Void
    private let client: HTTPClient

    private static let redirects = 8
    /// More seconds are not waited because a server asks for them.
    private static let longestPause = 300.0
    /// An answer that is no file is not read further.
    private static let largestAnswer = 64 << 20

    private init(_ configuration: HubConfiguration, onPause: @escaping @Sendable (String) -> Void) {
        self.configuration = configuration
        self.onPause = onPause
        var options = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(
                connect: .milliseconds(Int64(configuration.answerTimeout * 1000)),
                read: .milliseconds(Int64(configuration.idleTimeout * 1000))))
        // One connection for each file: the windows of HTTP/2 would hold all of them back.
        options.httpVersion = .http1Only
        options.connectionPool.retryConnectionEstablishment = false
        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = configuration.parallelFiles + 2
        if let file = configuration.certificates {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(file)
            options.tlsConfiguration = tls
        }
        if let proxy = configuration.proxy, !Self.isExempt(configuration, proxy.exceptions),
            let url = URLComponents(string: proxy.address.contains("://") ? proxy.address : "http://\(proxy.address)"),
            let host = url.host
        {
            let port = url.port ?? 80
            if let user = url.user {
                options.proxy = .server(
                    host: host, port: port, authorization: .basic(username: user, password: url.password ?? ""))
            } else {
                options.proxy = .server(host: host, port: port)
            }
        }
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    }

    /// Whether no endpoint is to be reached through the proxy.
    private static func isExempt(_ configuration: HubConfiguration, _ exceptions: [String]) -> Bool {
        let hosts = Hub.allCases.compactMap { URLComponents(string: configuration[$0].endpoint)?.host }
        return hosts.allSatisfy { host in
            host == "localhost" || host.hasPrefix("127.")
                || exceptions.contains { exception in
                    let name = exception.hasPrefix(".") ? String(exception.dropFirst()) : exception
                    return exception == "*" || host == name || host.hasSuffix(".\(name)")
                }
        }
    }

    /// Makes a connection for the time of `body`.
    static func open<Value: Sendable>(
        _ configuration: HubConfiguration, onPause: @escaping @Sendable (String) -> Void,
        _ body: (HubConnection) async throws -> Value
    ) async throws -> Value {
        if let file = configuration.certificates, !FileManager.default.fileExists(atPath: file) {
            throw HubError(
                .invalid, "SSL_CERT_FILE (or REQUESTS_CA_BUNDLE) names \(file), where no file is. Correct or unset it.")
        }
        let connection = HubConnection(configuration, onPause: onPause)
        do {
            let value = try await body(connection)
            try? await connection.client.shutdown()
            return value
        } catch {
            try? await connection.client.shutdown()
            throw error
        }
    }

    // MARK: - Requests

    /// One request; what it is about is for messages.
    struct Request: Sendable {
        var method = HTTPMethod.GET
        var url: String
        var headers: [(String, String)] = []
        var body: Body?
        /// Where the token of the hub may be sent to; nil sends none.
        var hub: Hub?
        /// Whether the hub's store may have it too.
        var isForStore = false
        var subject: Subject
        /// The seconds until an answer begins; nil takes those of small questions.
        var patience: Double?
        /// Statuses beside 2xx that are no refusals.
        var accepted: [Int] = []

        enum Body: Sendable {
            case bytes([UInt8])
            /// A part of a file.
            case file(String, Range<Int64>)
        }
    }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]
    }

    /// Asks until there is an answer that is no passing trouble.
    ///
    /// - Returns: An answer of 2xx.
    /// - Throws: `HubError`.
    func answer(_ request: Request) async throws -> Answer {
        try await persistently(request.subject) { [self] in
            try await withResponse(request) { response in
                var body: [UInt8] = []
                for try await part in response.body {
                    guard body.count + part.readableBytes <= Self.largestAnswer else {
                        throw HubError(.invalid, "\(request.subject.place): the answer is longer than 64 MiB")
                    }
                    body += part.readableBytesView
                }
                return Answer(status: Int(response.status.code), headers: response.headers, body: body)
            }
        }
    }

    /// Tries until something succeeds, while what goes wrong may pass and something was gained since the last time.
    ///
    /// - Parameter gained: A number that grows while there is progress.
    func persistently<Value>(
        _ subject: Subject, gained: () -> Int64 = { 0 }, _ body: () async throws -> Value
    ) async throws -> Value {
        var failures = 0
        var before = gained()
        while true {
            do {
                return try await body()
            } catch let trouble as PassingTrouble {
                let now = gained()
                if now > before { failures = 0 }
                before = now
                failures += 1
                let limit = trouble.isSilence ? min(2, configuration.attempts) : configuration.attempts
                guard failures < limit else { throw trouble.final(subject, attempts: failures) }
                let backOff = min(configuration.firstPause * Double(1 << min(failures - 1, 5)), 60)
                // Several programs that were sent away together should not come back together.
                let pause = trouble.pause ?? backOff * Double.random(in: 1...1.25)
                guard pause <= Self.longestPause else { throw trouble.final(subject, attempts: failures) }
                if pause >= 2 { onPause("\(trouble.reason); trying again in \(Int(pause.rounded(.up))) s") }
                try await Task.sleep(for: .seconds(pause))
            }
        }
    }

    /// Sends a request, follows redirects, and hands over an answer of 2xx, which must be read inside `body`.
    ///
    /// - Throws: `PassingTrouble` for what may be better next time, `HubError` for all else.
    func withResponse<Value>(
        _ request: Request, _ body: (HTTPClientResponse) async throws -> Value
    ) async throws -> Value {
        do {
            var url = request.url
            for _ in 0...Self.redirects {
                let response = try await client.execute(
                    prepared(request, url),
                    timeout: .milliseconds(Int64(max(1, request.patience ?? configuration.answerTimeout) * 1000)))
                let status = Int(response.status.code)
                if (301...308).contains(status), status != 304, let location = response.headers.first(name: "Location")
                {
                    guard let next = Self.resolved(location, against: url) else {
                        throw HubError(
                            .invalid, "\(request.subject.place): redirects to \"\(location)\", which is no address")
                    }
                    if url.hasPrefix("https://"), !next.hasPrefix("https://") {
                        throw HubError(
                            .invalid, "\(request.subject.place): redirects from https to \(next); not followed")
                    }
                    url = next
                    continue
                }
                if (200..<300).contains(status) || request.accepted.contains(status) { return try await body(response) }
                let text = try await Self.start(of: response)
                let isElsewhere = !Self.isSameHost(url, request.url)
                throw request.subject.refusal(
                    status, response.headers, text, place: request.hub.map { configuration[$0] },
                    isElsewhere: isElsewhere)
            }
            throw HubError(.invalid, "\(request.subject.place): redirects more than \(Self.redirects) times")
        } catch let error as HubError {
            throw error
        } catch let error as PassingTrouble {
            throw error
        } catch let error as CancellationError {
            throw error
        } catch {
            let through = configuration.proxy.map { " through the proxy \(Self.host(of: $0.address))" } ?? ""
            guard let trouble = PassingTrouble(error, host: Self.host(of: request.url) + through) else { throw error }
            throw trouble
        }
    }

    private func prepared(_ request: Request, _ url: String) -> HTTPClientRequest {
        var prepared = HTTPClientRequest(url: url)
        prepared.method = request.method
        prepared.headers.add(name: "User-Agent", value: "apus/0.1; swift")
        let isHome = Self.isSameHost(url, request.url)
        for (name, value) in request.headers { prepared.headers.add(name: name, value: value) }
        if let hub = request.hub, let token = configuration[hub].token, isHome,
            Self.isSameHost(url, configuration[hub].endpoint)
                || request.isForStore && hub.hasStore(url, besides: configuration[hub].endpoint)
        {
            prepared.headers.add(name: "Authorization", value: "Bearer \(token)")
            if hub == .modelScope { prepared.headers.add(name: "Cookie", value: "m_session_id=\(token)") }
        }
        switch request.body {
        case .bytes(let bytes): prepared.body = .bytes(ByteBuffer(bytes: bytes))
        case .file(let path, let range):
            prepared.body = .stream(
                FilePart(path: path, range: range), length: .known(range.upperBound - range.lowerBound))
        case nil: break
        }
        return prepared
    }

    /// The first bytes of an answer that is an error.
    private static func start(of response: HTTPClientResponse) async throws -> String {
        var body: [UInt8] = []
        do {
            for try await part in response.body {
                body += part.readableBytesView
                if body.count > 1 << 16 { break }
            }
        } catch {
            // The status says enough.
        }
        return String(decoding: body.prefix(1 << 16), as: UTF8.self)
    }

    // MARK: - Addresses

    static func host(of url: String) -> String {
        guard let parts = URLComponents(string: url), let host = parts.host else { return url }
        return parts.port.map { "\(host):\($0)" } ?? host
    }

    /// Whether two addresses are of the same scheme, host and port.
    static func isSameHost(_ first: String, _ second: String) -> Bool {
        guard let first = URLComponents(string: first), let second = URLComponents(string: second) else { return false }
        func port(_ url: URLComponents) -> Int { url.port ?? (url.scheme == "https" ? 443 : 80) }
        return first.scheme == second.scheme && first.host == second.host && port(first) == port(second)
    }

    static func resolved(_ location: String, against url: String) -> String? {
        guard let base = URL(string: url), let next = URL(string: location, relativeTo: base),
            ["http", "https"].contains(next.scheme), next.host != nil
        else { return nil }
        return next.absoluteString
    }

    /// A part of an address, with everything but letters, digits and `-._~` as `%xx`.
    static func escaped(_ text: String, keeping kept: String = "") -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~\(kept)".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            bytes +=
                plain.contains(byte) ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Something that went wrong and may be right the next time.
struct PassingTrouble: Error {
    let reason: String
    /// The seconds that the server asks to wait.
    var pause: Double?
    /// Whether nobody answered at all.
    var isSilence = false
    let kind: HubError.Kind

    init(reason: String, kind: HubError.Kind, pause: Double? = nil) {
        self.reason = reason
        self.kind = kind
        self.pause = pause
    }

    /// - Returns: Nil for an error that is not of the network.
    init?(_ error: any Error, host: String) {
        switch error {
        case let error as HTTPClientError where error == .connectTimeout || error == .getConnectionFromPoolTimeout:
            self.init(reason: "\(host) does not answer", kind: .unreachable)
            isSilence = true
        case let error as HTTPClientError where error == .readTimeout || error == .deadlineExceeded:
            self.init(reason: "\(host) has stopped answering", kind: .unreachable)
            isSilence = error == .deadlineExceeded
        case let error as NIOConnectionError:
            let isUnknown = error.dnsAError != nil && error.connectionErrors.isEmpty
            let cause = error.connectionErrors.first.map { " (\(Self.words($0.error)))" } ?? ""
            self.init(
                reason: isUnknown ? "the name \(error.host) cannot be looked up" : "\(host) cannot be reached\(cause)",
                kind: .unreachable)
            isSilence = true
        case let error as IOError where [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH].contains(error.errnoCode):
            self.init(
                reason: "\(host) cannot be reached (\(Self.words(error)))", kind: .unreachable)
            isSilence = true
        case is HubError, is FileError, is JSONError, is CancellationError: return nil
        default:
            let isTLS = error is NIOSSLError
            self.init(
                reason: isTLS
                    ? "there is no safe connection to \(host) (\(Self.words(error)))"
                    : "the connection to \(host) broke off (\(error))",
                kind: .unreachable)
            isSilence = isTLS
        }
    }

    /// What an error says to people.
    private static func words(_ error: any Error) -> String {
        if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
        let text = "\(error)"
        let isUntrusted = text.contains("CERTIFICATE_VERIFY_FAILED")
        return isUntrusted ? "nobody whom this machine trusts has signed its certificate" : text
    }

    func final(_ subject: Subject, attempts: Int) -> HubError {
        let times = attempts == 1 ? "" : " (tried \(attempts) times)"
        let advice =
            switch kind {
            case .unreachable: Subject.unreachableAdvice(subject.repository)
            case .busy:
                "Try again later"
                    + (subject.hasToken ? "." : "; with a token (\(subject.tokenName)) a hub allows more requests.")
            default: "Try again later; what is there already is kept."
            }
        return HubError(kind, "\(subject.place): \(reason)\(times). \(advice)")
    }
}

/// The bytes of a part of a file, read when they are sent.
private struct FilePart: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    let path: String
    let range: Range<Int64>

    func makeAsyncIterator() -> Iterator { Iterator(path: path, range: range) }

    struct Iterator: AsyncIteratorProtocol {
        let path: String
        var range: Range<Int64>
        var handle: FileHandle?

        init(path: String, range: Range<Int64>) {
            self.path = path
            self.range = range
        }

        mutating func next() async throws -> ByteBuffer? {
            guard !range.isEmpty else { return nil }
            if handle == nil {
                let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
                try file.seek(toOffset: UInt64(range.lowerBound))
                handle = file
            }
            let wanted = Int(Swift.min(1 << 18, range.upperBound - range.lowerBound))
            guard let data = try handle?.read(upToCount: wanted), !data.isEmpty else {
                throw HubError(.invalid, "\(path): has become shorter while it was sent; nothing was published")
            }
            range = (range.lowerBound + Int64(data.count))..<range.upperBound
            return ByteBuffer(bytes: data)
        }
    }
}
