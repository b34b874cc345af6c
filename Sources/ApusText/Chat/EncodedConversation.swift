/// A conversation as token ids, each with its part in the loss.
package struct EncodedConversation: Sendable, Equatable {
    package var ids: [Int32]
    /// What the loss of each token is multiplied by, as many as `ids`; 0 where it is not trained.
    ///
    /// The first token is never trained: nothing predicts it.
    package var weights: [Float]
    /// What the user should hear of although the conversation is used, the same words for every one.
    package var notes: [String] = []
    /// What kind of data it belongs to, where its row says so.
    package var channel: String?

    package init(ids: [Int32], weights: [Float], notes: [String] = []) {
        self.ids = ids
        self.weights = weights
        self.notes = notes
    }

    package init(ids: [Int32], isTrained: [Bool]) {
        self.init(ids: ids, weights: isTrained.map { $0 ? 1 : 0 })
    }

    package var isTrained: [Bool] { weights.map { $0 != 0 } }

    /// Number of trained tokens.
    package var trainedCount: Int { weights.reduce(0) { $0 + ($1 != 0 ? 1 : 0) } }
}

/// Which text of a conversation is trained, where a message does not say so itself (`--loss_scale`).
package enum TrainedTurns: String, Sendable, CaseIterable {
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
    package var turn: Int
    package let reason: String

    package var description: String {
        """
        cannot tell where the answer of message \(turn + 1) begins or ends in the text of the chat template: \(reason). \
        Mark the answer with {% generation %} … {% endgeneration %} in the template, or train on all text \
        (--loss_scale all --disable_ignore_empty_think true)
        """
    }
}

/// Why a conversation cannot be trained as it asks to be.
package struct ChatTrainingError: Error, CustomStringConvertible, Equatable {
    package let description: String
}
