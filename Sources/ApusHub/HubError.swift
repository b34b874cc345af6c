/// Why something could not be fetched from a hub, or put there: what, where, why, and what to try.
package struct HubError: Error, CustomStringConvertible, Equatable {
    package enum Kind: Sendable, Equatable {
        /// There is no such repository, revision or file.
        case notFound
        /// A token is missing or wrong.
        case unauthorized
        /// The conditions of its owner have not been accepted.
        case gated
        case forbidden
        /// The network was not to be used.
        case offline
        /// Nobody answered.
        case unreachable
        /// Too many requests, or a server out of order.
        case busy
        /// What came is not what the hub announced.
        case damaged
        /// No space, or no permission to write.
        case disk
        /// An answer that makes no sense, or a request that does not.
        case invalid
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
