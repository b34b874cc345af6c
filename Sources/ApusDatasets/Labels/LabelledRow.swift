package import ApusJSON
package import ApusText

/// A row with something to judge and the judgement.
package struct LabelledRow: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        case text(String)
        /// Two texts that are judged together.
        case pair(String, String)
        /// A conversation; a system message comes first.
        case messages([Message])
    }

    package var content: Content
    /// `nil` only where rows without labels were allowed.
    package var label: RowLabel?
    /// The columns that are neither text nor label.
    package var otherColumns: JSONObject

    package init(_ content: Content, label: RowLabel? = nil, otherColumns: JSONObject = [:]) {
        self.content = content
        self.label = label
        self.otherColumns = otherColumns
    }

    /// One text, two, or the text of every message.
    package var texts: [String] {
        switch content {
        case .text(let text): [text]
        case .pair(let first, let second): [first, second]
        case .messages(let messages): messages.filter { !$0.isEmptySystem }.map(\.textOrEmpty)
        }
    }
}

package typealias LabelledDataset = RowDataset<LabelledRecognizer>
