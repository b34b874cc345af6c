import ApusDatasets
import ApusGeneration
import ApusJSON
import ApusRewards
import ApusText
import ApusTorch
import ApusTraining

/// Conversations of several answers: the model answers, somebody says what follows, and it answers again.
///
/// What the model wrote stays as it was drawn, token for token; what follows is written by the chat template and not learned.
struct TurnTaking {
    let scheduler: any TurnScheduler
    /// The most answers of a conversation; nil sets no limit.
    let longest: Int?
    /// Whether the limit of an answer is that of all of a conversation's together.
    let limitsTotal: Bool
    /// The most tokens of a conversation.
    let room: Int
    let sampler: AnswerSampler
    let tokenizer: Tokenizer
    let prompts: PromptEncoder

    /// A conversation as it grows.
    private struct Talk {
        let row: PromptRow
        let question: [Int32]
        let draw: UInt64
        /// What every answer begins with that does not go on behind a text, and the model does not draw.
        let start: String
        /// Up to where the answer begins that is being given.
        var messages: [Message]
        /// Behind the question.
        var ids: [Int32] = []
        var isOwn: [Bool] = []
        var logs: [Double] = []
        /// The answer that is being given, which goes on where a text is put into it, and its tokens.
        var answer = ""
        var tokens: [Int32] = []
        /// What the model wrote last.
        var last = SampledAnswer()
        var isCut = false
        var turns = 0

        var completion: ApusRewards.Completion {
            ApusRewards.Completion(
                messages: messages.map(\.fields), text: start + answer, tokens: tokens + (last.end.map { [$0] } ?? []),
                isTruncated: isCut, columns: row.columns)
        }

        mutating func add(_ ids: [Int32], isOwn: Bool) {
            self.ids += ids
            self.isOwn += ids.map { _ in isOwn }
        }

        /// Takes tokens off the end.
        mutating func drop(_ count: Int) {
            ids.removeLast(count)
            let own = isOwn.suffix(count).count { $0 }
            isOwn.removeLast(count)
            if !logs.isEmpty { logs.removeLast(own) }
        }
    }

    /// What stands behind each question.
    ///
    /// - Throws: `RewardError` of the scheduler, and `SettingsError` for messages that the chat template cannot write.
    func episodes(_ questions: [(row: PromptRow, ids: [Int32])], draws: [UInt64]) throws -> [Episode] {
        var talks = zip(questions, draws).map {
            Talk(
                row: $0.row, question: $0.ids, draw: $1, start: prompts.start($0.row.conversation.variables),
                messages: prompts.completed($0.row.conversation.messages))
        }
        var open = Array(talks.indices)
        var turn = 0
        while !open.isEmpty {
            turn += 1
            let answers = try sampler(
                open.map { talks[$0].question + talks[$0].ids },
                draws: open.map { turn == 1 ? talks[$0].draw : streamKey(talks[$0].draw, 0x5455_524E, UInt64(turn)) },
                limits: open.map { limit(of: talks[$0]) })
            for (index, answer) in zip(open, answers) { take(answer, into: &talks[index]) }
            // An answer that was cut off is the last, as in ms-swift.
            open = open.filter { !talks[$0].isCut && turn < longest ?? .max }
            guard !open.isEmpty else { break }
            let next = try scheduler.turns(after: open.map { talks[$0].completion }, turn: turn)
            open = try zip(open, next).filter { try goOn(&talks[$0], $1) }.map(\.0)
        }
        return talks.map {
            Episode(
                ids: $0.ids, isOwn: $0.isOwn, isCut: $0.isCut, logProbabilities: $0.logs, turns: $0.turns, $0.completion
            )
        }
    }

    private func limit(of talk: Talk) -> Int {
        let own = limitsTotal ? sampler.longest - talk.isOwn.count { $0 } : sampler.longest
        return min(own, room(of: talk))
    }

    private func room(of talk: Talk) -> Int { room - talk.question.count - talk.ids.count }

    private func take(_ answer: SampledAnswer, into talk: inout Talk) {
        talk.add(answer.learned, isOwn: true)
        talk.logs += answer.logProbabilities
        talk.answer = sampler.text(of: answer, behind: talk.tokens)
        talk.tokens += answer.tokens
        talk.last = answer
        talk.isCut = answer.isCut
        talk.turns += 1
    }

    /// Adds what a scheduler says.
    ///
    /// - Returns: Whether the model is to answer.
    private func goOn(_ talk: inout Talk, _ turn: NextTurn) throws -> Bool {
        var next = talk
        switch turn {
        case .end: return false
        case .messages(let objects):
            let following = try objects.map(message)
            let answered = Message(role: "assistant", content: talk.start + talk.answer)
            next.add(try ids(behind: talk, following), isOwn: false)
            next.messages += [answered] + following
            (next.answer, next.tokens) = ("", [])
        case .continuation(let text, let kept):
            if talk.last.end != nil { next.drop(1) }
            let continued = ContinuedAnswer(tokenizer: tokenizer)
            // What the answer says, and no stop text behind it.
            let said = talk.answer.utf8.count
            let wanted = kept.map { max(0, $0 - talk.start.utf8.count) }
            let (count, rest) = continued.beginning(of: talk.tokens, bytes: min(wanted ?? said, said))
            next.drop(talk.tokens.count - count)
            next.tokens = Array(talk.tokens.prefix(count))
            let more = continued.ids(of: rest + text, behind: next.tokens)
            next.add(more, isOwn: false)
            next.tokens += more
            next.answer = continued.text(of: next.tokens)
        }
        guard limit(of: next) > 0 else {
            talk.isCut = true
            return false
        }
        talk = next
        return true
    }

    private func message(_ object: JSONObject) throws -> Message {
        do {
            return try Message(.object(object))
        } catch let error as MessageError {
            throw SettingsError("--multi_turn_scheduler: \(error)")
        }
    }

    /// What the template writes between an answer and the next, without what the answer has itself.
    private func ids(behind talk: Talk, _ following: [Message]) throws -> [Int32] {
        let written = talk.last.end == nil ? tokenizer.decode(talk.last.tokens) : ""
        let ids = try prompts.following(
            talk.messages, following, tools: talk.row.conversation.tools,
            variables: talk.row.conversation.variables, without: written)
        return Array(ids.first == talk.last.end ? ids.dropFirst() : ids[...])
    }
}
