import ApusFiles
import Foundation

/// Where the hubs are and what they may know of the user, by the variables and files that their own programs read.
package struct HubConfiguration: Sendable {
    package struct Place: Sendable, Equatable {
        /// Scheme and host, without a slash at the end.
        package var endpoint: String
        /// The folder of the cache.
        package var cache: String
        package var token: String?
        /// Where the token comes from, for messages.
        package var tokenOrigin: String?
    }

    package var huggingFace: Place
    package var modelScope: Place
    /// The folder of Apus's own for what hubs listed of data sets.
    package var listings: String
    /// Why the network is not to be used; nil where it is.
    package var offlineReason: String?
    /// Whether Hugging Face is meant where nothing says which hub.
    package var prefersHuggingFace: Bool
    /// Seconds until a connection stands, and until a question of a few bytes is answered.
    package var answerTimeout: Double = 10
    /// Seconds in which at least one byte of a file has to come.
    package var idleTimeout: Double = 30
    /// The proxy for HTTPS, and the hosts that it is not for.
    package var proxy: (address: String, exceptions: [String])?
    /// A file of certificates to trust in place of the system's; nil trusts those.
    package var certificates: String?
    /// Files that are fetched at the same time.
    package var parallelFiles = 8
    /// How often what may pass by itself is tried, and the seconds before the second time.
    package var attempts = 5
    package var firstPause: Double = 1

    /// - Parameters:
    ///   - environment: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HUB_OFFLINE`,
    ///     `TRANSFORMERS_OFFLINE`, `HF_HUB_ETAG_TIMEOUT`, `HF_HUB_DOWNLOAD_TIMEOUT`, `MODELSCOPE_ENDPOINT`,
    ///     `MODELSCOPE_DOMAIN`, `MODELSCOPE_CACHE`, `MODELSCOPE_API_TOKEN`, `USE_HF`, `XDG_CACHE_HOME`,
    ///     `SSL_CERT_FILE`, `HTTPS_PROXY`, `NO_PROXY` and `HOME`.
    ///   - home: The folder of the user; nil takes that of `HOME`.
    package init(environment: [String: String], home: String? = nil) {
        let home = home ?? HomeFolder.path(environment)
        func value(_ names: String...) -> String? {
            names.lazy.compactMap { environment[$0]?.trimmingCharacters(in: .whitespacesAndNewlines) }
                .first { !$0.isEmpty }
        }
        func expanded(_ path: String) -> String { HomeFolder.expand(path, home: home) }
        let caches = value("XDG_CACHE_HOME").map(expanded) ?? "\(home)/.cache"
        listings = "\(caches)/apus/listings"
        let root = value("HF_HOME").map(expanded) ?? "\(caches)/huggingface"
        let tokenFile = value("HF_TOKEN_PATH").map(expanded) ?? "\(root)/token"
        var token = value("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
        var origin = token.map { _ in environment["HF_TOKEN"] == nil ? "HUGGING_FACE_HUB_TOKEN" : "HF_TOKEN" }
        if token == nil, let stored = Self.line(of: tokenFile) { (token, origin) = (stored, tokenFile) }
        huggingFace = Place(
            endpoint: Self.address(value("HF_ENDPOINT") ?? "https://huggingface.co"),
            cache: value("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE").map(expanded) ?? "\(root)/hub", token: token,
            tokenOrigin: origin)
        let scopeToken = value("MODELSCOPE_API_TOKEN")
        modelScope = Place(
            endpoint: Self.address(value("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN") ?? "https://www.modelscope.cn"),
            cache: value("MODELSCOPE_CACHE").map(expanded) ?? "\(home)/.cache/modelscope", token: scopeToken,
            tokenOrigin: scopeToken.map { _ in "MODELSCOPE_API_TOKEN" })
        offlineReason = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].first { Self.isTrue(value($0)) }
            .map { "\($0)=\(environment[$0] ?? "")" }
        prefersHuggingFace = Self.isTrue(value("USE_HF"))
        if let seconds = value("HF_HUB_ETAG_TIMEOUT").flatMap(Double.init), seconds > 0 { answerTimeout = seconds }
        if let seconds = value("HF_HUB_DOWNLOAD_TIMEOUT").flatMap(Double.init), seconds > 0 { idleTimeout = seconds }
        certificates = value("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE").map(expanded)
        proxy = value("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy").map { address in
            let exceptions = value("NO_PROXY", "no_proxy") ?? ""
            return (address, exceptions.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
        }
    }

    package subscript(hub: Hub) -> Place {
        get { hub == .huggingFace ? huggingFace : modelScope }
        set { if hub == .huggingFace { huggingFace = newValue } else { modelScope = newValue } }
    }

    /// The hub that is meant where nothing says which.
    package var defaultHub: Hub { prefersHuggingFace ? .huggingFace : .modelScope }

    private static func isTrue(_ value: String?) -> Bool {
        ["1", "ON", "YES", "TRUE"].contains(value?.uppercased() ?? "")
    }

    private static func address(_ text: String) -> String {
        var address = text.contains("://") ? text : "https://\(text)"
        while address.hasSuffix("/") { address.removeLast() }
        return address
    }

    /// The first line of a small file; nil where there is none.
    private static func line(of path: String) -> String? {
        guard let data = try? LocalFileSystem().contents(of: path, limit: 4096) else { return nil }
        let line = String(decoding: data, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        let text = line.trimmingCharacters(in: .whitespaces)
        return text.isEmpty ? nil : text
    }
}
