/// Punishes answers near the longest and beyond.
///
/// `min(0, (longest − cache − length) / cache)`, lengths in tokens. From DAPO
/// (arXiv 2503.14476), without its floor of -1, as in ms-swift.
struct SoftOverlong: RewardFunction {
    let name = "SoftOverlong"
    private let limit: Int
    private let cache: Int

    init(_ options: RewardOptions) throws {
        guard let longest = options.softMaxLength, let cache = options.softCacheLength else {
            let missing = [
                options.softMaxLength == nil ? "--soft_max_length" : nil,
                options.softCacheLength == nil ? "--soft_cache_length" : nil,
            ]
            throw RewardError(
                "soft_overlong: give \(missing.compactMap(\.self).joined(separator: " and ")) with it.")
        }
        guard cache > 0, cache < longest else {
            throw RewardError(
                "soft_overlong: --soft_cache_length \(cache) and --soft_max_length \(longest): wanted a cache of at least 1 that "
                    + "is shorter than the longest answer.")
        }
        limit = longest - cache
        self.cache = cache
    }

    func rewards(of completions: [Completion]) -> [Double?] {
        completions.map { min(Double(limit - $0.tokens.count) / Double(cache), 0) }
    }
}
