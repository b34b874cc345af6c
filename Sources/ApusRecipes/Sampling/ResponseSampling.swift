import ApusDatasets
import ApusFiles
import ApusHub
import ApusJSON
import ApusLanguageModel
import ApusRewards
import ApusRunLog
import ApusText
import ApusTorch
import Foundation

/// Several answers to each row of a dataset, judged, of which the best are kept beside the worst: `apus sample`.
package struct ResponseSampling {
    private let settings: SampleSettings
    private let console: Console
    private let rows: RowDataset<ConversationRecognizer>
    /// What draws answers; nil where answers of earlier runs are judged.
    private let answering: Answering?
    private let tokenizer: Tokenizer?
    private let cache: CachedAnswers
    private let outcomes: [any RewardFunction]
    private let process: (any RewardFunction)?
    /// The output.
    package let path: String

    /// Looks at all that can be wrong, and loads the models.
    package init(_ settings: SampleSettings, surroundings: Surroundings = Surroundings()) throws {
        try self.init(
            settings, surroundings: surroundings,
            console: Console(style: ConsoleStyle(environment: surroundings.environment)))
    }

    /// - Parameter own: Rewards that a program brings along, which judge whole answers.
    init(
        _ settings: SampleSettings, surroundings: Surroundings, console: Console, own: [any RewardFunction] = []
    ) throws {
        self.settings = settings
        self.console = console
        let surroundings = surroundings.reaching(settings.answering.hub)
        path = settings.outputDirectory + "/" + (settings.outputFile ?? Self.name(of: Date()))
        try OutputPlace.check(settings.outputDirectory, "output_dir")
        try SampleFile.check(path, settings)
        let options = settings.rewards.options(answerLength: settings.answerLength, surroundings)
        let device = settings.answering.hardware.chosen
        let outcomes: [any RewardFunction] =
            if let model = settings.ormModel {
                [try RewardFunctions.any(model, options: options, device: device, surroundings: surroundings)]
            } else {
                try RewardFunctions.named(settings.rewards.rewardFuncs, options: options) + own
            }
        let process = try settings.prmModel.map {
            try RewardFunctions.any($0, options: options, device: device, surroundings: surroundings)
        }
        let judges = RewardFunctions.distinctlyNamed(outcomes + [process].compactMap(\.self))
        self.outcomes = Array(judges.prefix(outcomes.count))
        self.process = process == nil ? nil : judges.last
        var recognition = try ConversationRecognizer.Options(settings.answering.data)
        recognition.requiresAnswer = false
        var data = settings.answering.data
        data.valDataset = []
        let loaded = try DatasetLoader(data, surroundings: surroundings)
            .load(data.dataset, as: ConversationRecognizer(recognition))
        console.print(loaded.report.text)
        rows = loaded.train
        var cache = try CachedAnswers(settings.cacheFiles)
        if !settings.cacheFiles.isEmpty {
            let system = settings.answering.encoding.system
            let ids = try (0..<rows.count).map {
                SampledRow(try loaded.train.recognized(at: $0), index: $0, system: system).id
            }
            try cache.tellApart(ids) { loaded.train.place(of: $0) }
        }
        self.cache = cache
        guard settings.samplerEngine != .none else {
            answering = nil
            // The length of answers that are there already is counted, where a model says in which tokens.
            tokenizer = try settings.answering.model.name.map {
                try TextParts(ModelSource($0, surroundings: surroundings, need: .texts)).tokenizer
            }
            return
        }
        let adapted = try AdaptedModel(settings.answering.model, device: device, surroundings: surroundings)
        for note in adapted.notices { console.print("note: \(note)") }
        guard let language = (adapted.form as? LoadedLanguage)?.language else {
            throw ModelError(
                "\(adapted.source.name) \(adapted.task.task.activity); `apus sample` asks models that continue text.")
        }
        let answering = try Answering(settings.answering, language: language)
        for notice in answering.notices { console.print("note: \(notice)") }
        (self.answering, tokenizer) = (answering, language.tokenizer)
    }

    private static func name(of time: Date) -> String {
        let parts = Calendar(identifier: .gregorian).dateComponents(
            [.year, .month, .day, .hour, .minute, .second], from: time)
        return String(
            format: "%04d-%02d-%02d-%02d-%02d-%02d.jsonl", parts.year ?? 0, parts.month ?? 0, parts.day ?? 0,
            parts.hour ?? 0, parts.minute ?? 0, parts.second ?? 0)
    }

    // MARK: - The run

    /// What became of the rows.
    private struct Tally {
        var written = 0
        var withoutAnswers = 0
        var easy = 0
        var undecided = 0
        var wrong = 0
        /// Prompts that were answered, and those among them of which the model saw a part.
        var asked = 0
        var cut = 0
        /// Answers of which a reward said nothing, by its name.
        var unjudged: [String: Int] = [:]
        /// Rows that could not be asked or judged.
        var failures = RowFailures()
    }

    /// Samples all rows that the settings name, and that an earlier run has not done.
    ///
    /// - Throws: `SkippedRows`, when the output is in its place, where some could not be asked or judged; with `--strict` the
    ///   first error about a row.
    package func callAsFunction() throws {
        guard settings.overrideExistFile || !FileManager.default.fileExists(atPath: path) else {
            return console.print(
                "note: \(path) is there already, and nothing is sampled; --override_exist_file true does it again")
        }
        let range = range
        var sources: JSONObject = [:]
        if let fingerprint = cache.fingerprint { sources["cache_files"] = .string(fingerprint) }
        let file = try SampleFile(path, settings, sources: sources) { place in
            // A data set that got shorter has no such row, and so another id.
            let index = range.lowerBound + place
            return index < rows.count ? try row(index).id : ""
        }
        let record = JSONValue.object(settings.argsJSON()).serialized(indent: 2) + "\n"
        try LocalFileSystem().writeAtomically(Data(record.utf8), to: settings.outputDirectory + "/args.json")
        try noteFewAnswers(in: range.dropFirst(file.done))
        let bar = console.startProgress("Sample", total: range.count)
        if file.done > 0 { console.print("\(file.done) rows of \(SampleFile.partial(path)) are done") }
        let failedBefore = file.failed
        var tally = Tally()
        var start = range.lowerBound + file.done
        while start < range.upperBound {
            let end = min(start + settings.numSamplingBatchSize, range.upperBound)
            let batch = try (start..<end).map(row)
            let result = try sampled(batch, &tally)
            let done = start + result.done - range.lowerBound
            try file.append(
                result.kept, completions: result.all, ids: batch.prefix(result.done).map(\.id), done: done,
                failed: file.failed + result.failed)
            if let failure = result.failure { throw failure }
            bar.update(to: done)
            start = end
        }
        bar.finish()
        try file.finish()
        report(tally, of: range.count, failedBefore: failedBefore)
        if file.failed > 0 { throw SkippedRows(failed: file.failed, count: range.count, path: path) }
    }

    /// Says before anything is drawn that there are answers to some rows, and too few.
    private func noteFewAnswers(in range: Range<Int>) throws {
        guard answering != nil, cache.fingerprint != nil else { return }
        let wanted = settings.answering.generation.numReturnSequences
        let few = try range.count { (1..<max(1, wanted)).contains(cache.count(of: try row($0))) }
        guard few > 0 else { return }
        console.print(
            "note: \(few) of \(range.count) rows have answers in --cache_files, and fewer than --num_return_sequences "
                + "\(wanted); they are answered anew, and those answers are left out")
    }

    /// The rows of the shard, or as many of them as batches are wanted.
    private var range: Range<Int> {
        var range = 0..<rows.count
        if settings.dataRange.count == 2 {
            let (shard, count) = (settings.dataRange[0], settings.dataRange[1])
            let size = rows.count / count
            // The last shard has what is left over.
            range = size * shard..<(shard == count - 1 ? rows.count : size * (shard + 1))
        }
        guard let batches = settings.numSamplingBatches else { return range }
        let limit = batches.multipliedReportingOverflow(by: settings.numSamplingBatchSize)
        return range.prefix(limit.overflow ? range.count : limit.partialValue)
    }

    private func row(_ index: Int) throws -> SampledRow {
        SampledRow(try rows.recognized(at: index), index: index, system: settings.answering.encoding.system)
    }

    /// What becomes of some rows: all of them, or those before one that ends the run.
    private func sampled(
        _ batch: [SampledRow], _ tally: inout Tally
    ) throws -> (kept: [JSONObject], all: [JSONObject], done: Int, failed: Int, failure: (any Error)?) {
        var kept: [JSONObject] = []
        var all: [JSONObject] = []
        var failed = 0
        for (place, (row, answers)) in zip(batch, try answers(to: batch, &tally)).enumerated() {
            guard let answers else {
                failed += 1
                continue
            }
            guard !answers.isEmpty else {
                tally.withoutAnswers += 1
                continue
            }
            do {
                do {
                    let (rows, completions) = try judged(row, answers, &tally)
                    kept += rows
                    all += completions
                } catch let error as RewardError where error.isOfRow {
                    try skip(row, because: error, &tally)
                    failed += 1
                }
            } catch {
                return (kept, all, place, failed, error)
            }
        }
        tally.written += kept.count
        return (kept, all, batch.count, failed, nil)
    }

    /// Goes on without a row, as ms-swift does.
    ///
    /// - Throws: What is wrong with it, with `--strict`.
    private func skip(_ row: SampledRow, because error: any Error, _ tally: inout Tally) throws {
        try tally.failures.note(error, at: rows.place(of: row.index), isStrict: settings.answering.data.strict)
    }

    /// The first answers of earlier runs where there are enough, else new ones; nil of rows that cannot be answered.
    private func answers(to batch: [SampledRow], _ tally: inout Tally) throws -> [[Answering.Sequence]?] {
        var answers: [[Answering.Sequence]?] = batch.map { cached($0) }
        guard let answering else { return answers }
        let wanted = settings.answering.generation.numReturnSequences
        var open: [(index: Int, prompt: [Int32])] = []
        for (index, row) in batch.enumerated() {
            let found = answers[index] ?? []
            answers[index] = Array(found.prefix(wanted))
            guard found.count < wanted else { continue }
            do {
                let prompt = try answering.fittedPrompt(row.asked, tools: row.tools, variables: row.variables)
                tally.asked += 1
                if prompt.cut > 0 { tally.cut += 1 }
                open.append((index, prompt.ids))
            } catch {
                answers[index] = nil
                try skip(row, because: error, &tally)
            }
        }
        guard !open.isEmpty else { return answers }
        let new = try answering.answers(
            to: open.map(\.prompt), draws: open.map { UInt64(batch[$0.index].index) },
            starts: open.map { answering.start(batch[$0.index].variables) })
        for (place, answer) in zip(open, new) {
            do {
                answers[place.index] = try answer.checked().sequences
            } catch {
                answers[place.index] = nil
                try skip(batch[place.index], because: error, &tally)
            }
        }
        return answers
    }

    private func cached(_ row: SampledRow) -> [Answering.Sequence] {
        cache.answers(to: row).map { answer in
            // How long an answer was in tokens, only a tokenizer knows.
            Answering.Sequence(
                text: answer.text, tokens: tokenizer?.encode(answer.text, addSpecialTokens: false) ?? [],
                isTruncated: answer.isTruncated)
        }
    }

    // MARK: - Judging

    private func judged(
        _ row: SampledRow, _ answers: [Answering.Sequence], _ tally: inout Tally
    ) throws -> (kept: [JSONObject], all: [JSONObject]) {
        guard !outcomes.isEmpty || process != nil else {
            let rows = answers.map { row.answered($0.text) }
            return (rows, settings.logCompletions ? rows : [])
        }
        // The answer that a row brings is one of those that are compared.
        let reference = row.reference.map { text in
            Answering.Sequence(
                text: text, tokens: tokenizer?.encode(text, addSpecialTokens: false) ?? [], isTruncated: false)
        }
        let candidates = answers + [reference].compactMap(\.self)
        let completions = candidates.map { row.completion($0) }
        let byName = try (outcomes + [process].compactMap(\.self)).map { reward in
            do {
                return (reward.name, try reward.rewards(of: completions))
            } catch let error as RewardError where error.isOfRow {
                throw error
            } catch {
                throw DatasetError(
                    "\(rows.place(of: row.index)): \(error)\nWhat was sampled before it is kept; --resume true goes on there."
                )
            }
        }
        for (name, rewards) in byName {
            let count = rewards.count { $0 == nil }
            if count > 0 { tally.unjudged[name, default: 0] += count }
        }
        let whole = outcomes.isEmpty ? nil : sum(byName.prefix(outcomes.count).map(\.1), count: candidates.count)
        let scores = SampleScores(
            outcomes: whole, processes: process == nil ? nil : byName.last?.1, count: candidates.count,
            threshold: settings.prmThreshold)
        let all = settings.logCompletions ? logged(row, answers, byName, scores) : []
        if let share = settings.easyQueryThreshold, scores.isEasy(share: share, of: answers.count) {
            tally.easy += 1
            return ([], all)
        }
        guard candidates.indices.contains(where: scores.isGood) else {
            tally.wrong += 1
            return ([], all)
        }
        let pairs = scores.pairs(keeping: settings.nBestToKeep).filter {
            candidates[$0.chosen].text != candidates[$0.rejected].text
        }
        if pairs.isEmpty { tally.undecided += 1 }
        let kept = pairs.map { pair in
            var answered = row.answered(candidates[pair.chosen].text)
            answered["rejected_response"] = .string(candidates[pair.rejected].text)
            return answered
        }
        return (kept, all)
    }

    /// The sum of rewards by their weights; nil where no reward says anything of an answer.
    private func sum(_ rewards: [[Double?]], count: Int) -> [Double?] {
        // Whoever names weights names one for each; without any, all count the same.
        let weights = settings.rewards.rewardWeights ?? []
        return (0..<count).map { index in
            let known = rewards.enumerated().compactMap { place, rewards in
                rewards[index].map { $0 * (weights.indices.contains(place) ? weights[place] : 1) }
            }
            return known.isEmpty ? nil : known.reduce(0, +)
        }
    }

    private func logged(
        _ row: SampledRow, _ answers: [Answering.Sequence], _ rewards: [(String, [Double?])], _ scores: SampleScores
    ) -> [JSONObject] {
        answers.enumerated().map { index, answer in
            var logged = row.answered(answer.text, beside: ["rewards", "score"])
            logged["rewards"] = .object(
                rewards.reduce(into: JSONObject()) { $0[$1.0] = $1.1[index].map(JSONValue.double) ?? .null })
            logged["score"] = scores.totals[index].map(JSONValue.double) ?? .null
            logged["is_truncated"] = .bool(answer.isTruncated)
            return logged
        }
    }

    private func report(_ tally: Tally, of count: Int, failedBefore: Int) {
        let reasons = [
            (tally.withoutAnswers, "have no answer in --cache_files"),
            (tally.easy, "are too easy (--easy_query_threshold)"),
            (tally.wrong, "have no answer that is right and good enough"),
            (tally.undecided, "have no two answers that differ in score"),
        ]
        if let answering, tally.cut > 0 {
            let settings = settings.answering.encoding
            console.print(CutPrompts.note((tally.cut, tally.asked), to: answering.shownLimit, settings))
        }
        for (number, reason) in reasons where number > 0 { console.print("  \(number) rows \(reason)") }
        for (name, number) in tally.unjudged.sorted(by: { $0.key < $1.key }) {
            console.print("  \(number) answers got no reward of \(name), and count as unjudged by it")
        }
        console.print("output: \(path): \(tally.written) rows in this run, of \(count) questions")
        for line in tally.failures.lines { console.print(line) }
        if failedBefore > 0 { console.print("  \(failedBefore) × before the run was cut off") }
    }
}

/// Some rows could not be asked or judged; of the others the output has what was found.
struct SkippedRows: ExitCodeProviding, CustomStringConvertible {
    let failed: Int
    let count: Int
    let path: String

    var exitCode: Int32 { ExitCode.data }
    var description: String {
        "\(failed) of \(count) questions could not be asked or judged, and \(path) is without them; --strict true stops at the "
            + "first"
    }
}
