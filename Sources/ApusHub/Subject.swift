import ApusJSON
import Foundation
import NIOHTTP1

/// What a request is about, so that a refusal can be told in the user's words.
struct Subject: Sendable {
    let repository: Repository
    let revision: String?
    /// The file, where it is about one.
    var file: String?
    let endpoint: String
    let hasToken: Bool
    /// Whether something is to be written.
    var writes = false

    init(_ repository: Repository, revision: String?, file: String? = nil, in configuration: HubConfiguration) {
        self.repository = repository
        self.revision = revision
        self.file = file
        endpoint = configuration[repository.hub].endpoint
        hasToken = configuration[repository.hub].token != nil
    }

    /// `Qwen/Qwen2.5-0.5B on huggingface.co`, with the file in front where there is one.
    var place: String {
        (file.map { "\($0) of " } ?? "") + "\(repository.id) on \(HubConnection.host(of: endpoint))"
    }

    var tokenName: String { repository.hub == .huggingFace ? "HF_TOKEN" : "MODELSCOPE_API_TOKEN" }

    var tokenPage: String {
        repository.hub == .huggingFace ? "\(endpoint)/settings/tokens" : "\(endpoint)/my/myaccesstoken"
    }

    private var page: String {
        switch (repository.hub, repository.kind) {
        case (.huggingFace, .model): "\(endpoint)/\(repository.id)"
        case (.huggingFace, .dataset), (.modelScope, .dataset): "\(endpoint)/datasets/\(repository.id)"
        case (.modelScope, .model): "\(endpoint)/models/\(repository.id)"
        }
    }

    static func unreachableAdvice(_ repository: Repository) -> String {
        let mirror = repository.hub == .huggingFace ? "HF_ENDPOINT" : "MODELSCOPE_ENDPOINT"
        return
            "Check the network, the proxy (HTTPS_PROXY) and its certificates (SSL_CERT_FILE), name a mirror with \(mirror), or give a folder of this machine: "
            + "on a machine with a network, `apus download \(repository.kind == .dataset ? "--repo_type dataset " : "")"
            + "\(repository.id) --local_dir FOLDER` fetches one to carry over."
    }

    // MARK: - Refusals

    /// The error for an answer that is not 2xx: `PassingTrouble` where another try makes sense.
    ///
    /// - Parameters:
    ///   - text: The start of the answer.
    ///   - place: The hub that was asked.
    ///   - isElsewhere: Whether the answer came from the host of a redirect, whose addresses expire.
    func refusal(
        _ status: Int, _ headers: HTTPHeaders, _ text: String, place hub: HubConfiguration.Place?, isElsewhere: Bool
    ) -> any Error {
        let code = headers.first(name: "X-Error-Code") ?? ""
        let said = headers.first(name: "X-Error-Message") ?? Self.message(in: text)
        switch status {
        case 429:
            return PassingTrouble(
                reason: "the hub allows no more requests for now (429)", kind: .busy, pause: Self.pause(headers))
        case 408, 500, 502, 503, 504, 509, 520...529:
            return PassingTrouble(
                reason: "the server is out of order (\(status))", kind: .busy, pause: Self.pause(headers))
        case 401, 403, 404, 410:
            // The address that the hub gave out has expired; the hub gives out another.
            if isElsewhere {
                return PassingTrouble(reason: "the address of the bytes is not valid any more (\(status))", kind: .busy)
            }
        case 416: return PassingTrouble(reason: "the part that is missing cannot be had (416)", kind: .damaged)
        default: break
        }
        let quoted = said.isEmpty ? "" : " The hub says: \(said)\(said.hasSuffix(".") ? "" : ".")"
        if code == "GatedRepo" || (status == 403 || status == 401) && said.lowercased().contains("gated") {
            return HubError(
                .gated,
                "\(self.place): this \(repository.kind.words) is gated: its owner wants conditions accepted first. Open \(page), "
                    + "accept them"
                    + (hasToken
                        ? " with the account whose token you use (\(hub?.tokenOrigin ?? tokenName)), and run this again; a token "
                            + "of limited rights also needs the right to read gated repositories."
                        : ", make a token (\(tokenPage)), set it as \(tokenName)=… or with --hub_token, and run this again.")
            )
        }
        switch status {
        case 401 where hasToken && (said.lowercased().contains("credential") || said.lowercased().contains("token")):
            return HubError(
                .unauthorized,
                "\(self.place): the hub does not know the token from \(hub?.tokenOrigin ?? tokenName) (401).\(quoted) Make another "
                    + "(\(tokenPage)), or remove it: what is public needs none.")
        case 403:
            return HubError(
                .forbidden,
                "\(self.place): not allowed (403).\(quoted) "
                    + (hasToken
                        ? "The token from \(hub?.tokenOrigin ?? tokenName) lacks the right to \(writes ? "write" : "read") there; "
                            + "change its rights or make another (\(tokenPage))."
                        : "Set a token that may \(writes ? "write" : "read") it as \(tokenName)=… (\(tokenPage)) or with --hub_token.")
            )
        case 401 where writes:
            return HubError(
                .unauthorized,
                "\(self.place): the hub wants to know who writes (401).\(quoted) Set a token with the right to write as "
                    + "\(tokenName)=… (\(tokenPage)) or with --hub_token.")
        case 401, 404, 410: return missing(code, quoted)
        default:
            return HubError(
                .invalid,
                "\(self.place): the hub refused the request (\(status)).\(quoted) Check the id and the revision.")
        }
    }

    private func missing(_ code: String, _ quoted: String) -> HubError {
        if code == "RevisionNotFound" {
            return HubError(
                .notFound,
                "\(place): there is no revision \"\(revision ?? "")\". Give a branch, a tag or a commit that \(page) lists "
                    + "(--model_revision, --revision), or leave it out.")
        }
        if code == "EntryNotFound" || file != nil {
            return HubError(.notFound, "\(place): there is no such file. \(page) lists what there is.")
        }
        let flag = "--use_hf \(repository.hub == .modelScope)"
        return HubError(
            .notFound,
            "\(place): there is no such \(repository.kind.words), or it is private"
                + (hasToken ? " and the token may not see it" : " and no token was sent")
                + ".\(quoted) Check the spelling; if it is one of \(repository.hub.other.name), add \(flag)"
                + (hasToken ? "." : "; if it is private, set a token as \(tokenName)=… (\(tokenPage)).")
                + " A \(repository.kind == .model ? "folder" : "file or folder") of this machine is given by its path, such as "
                + "./\(repository.id.split(separator: "/").last ?? "").")
    }

    /// The message in an answer of JSON.
    private static func message(in text: String) -> String {
        guard let json = try? JSONValue(parsing: Data(text.utf8)) else { return "" }
        let message = json["error"]?.stringValue ?? json["Message"]?.stringValue ?? json["message"]?.stringValue ?? ""
        return String(message.prefix(300))
    }

    /// The seconds that an answer asks to wait: `Retry-After` in seconds or as a date, or `RateLimit: "api";r=0;t=12`.
    static func pause(_ headers: HTTPHeaders, now: Date = Date()) -> Double? {
        if let text = headers.first(name: "Retry-After")?.trimmingCharacters(in: .whitespaces) {
            if let seconds = Double(text), seconds >= 0, seconds.isFinite { return seconds }
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = TimeZone(identifier: "GMT")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            if let date = format.date(from: text) { return max(0, date.timeIntervalSince(now)) }
        }
        for part in headers.first(name: "RateLimit")?.split(separator: ";") ?? [] {
            let pair = part.trimmingCharacters(in: .whitespaces).split(separator: "=")
            if pair.count == 2, pair[0] == "t", let seconds = Double(pair[1]), seconds >= 0 { return seconds }
        }
        return nil
    }
}
