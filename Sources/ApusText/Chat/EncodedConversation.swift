/// A conversation as token ids, each marked as trained or not.
package struct EncodedConversation: Sendable, Equatable {
    package var ids: [Int32]
    /// As long as `ids`.
    ///
    /// The first token is never trained: nothing predicts it.
    package var isTrained: [Bool]

    package init(ids: [Int32], isTrained: [Bool]) {
        self.ids = ids
        self.isTrained = isTrained
    }

    /// Number of trained tokens.
    package var trainedCount: Int { isTrained.reduce(0) { $0 + ($1 ? 1 : 0) } }
}

/// Which text of a conversation is trained, where a message does not say so itself.
package enum TrainedTurns: String, Sendable {
    /// Every turn of the assistant.
    case everyAnswer = "default"
    /// The assistant's turns after the last user message.
    case lastRound = "last_round"
    /// Every token.
    case all
}

/// Why the trained part of a conversation cannot be told from the rest.
package struct ChatBoundaryError: Error, CustomStringConvertible, Equatable {
    /// Position of the message, from 0.
    package let turn: Int
    package let reason: String

    package var description: String {
        """
        cannot tell where the answer of message \(turn + 1) begins or ends in the text of the chat template: \(reason). \
        Mark the answer with {% generation %} … {% endgeneration %} in the template, or train on all text
        """
    }
}
