import ApusDatasets
import ApusJSON
import ApusText
import Foundation

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Measures how fast conversations become samples, with ms-swift's template `qwen2_5`, and in how much memory.
///
///     DataBench prepare TOKENIZER DATA.jsonl [THREADS] [CACHE]
///     DataBench stream TOKENIZER DATA.jsonl SAMPLES [THREADS]
///
/// `prepare` reads, encodes and packs all rows before a run, as `apus sft --packing true` does; `stream` takes so
/// many samples of a stream, as `--streaming true` does. With CACHE, a folder, rows that were encoded before are taken from there,
/// and others are kept there. Each prints one JSON object. Its `checksum` is, over all samples,
/// the sum of id · place, places counted from 1, and again over the targets alone; it is compared with that of ms-swift.
@main
struct DataBench {
    private static let limit = 2048

    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("prepare", 3...5):
            let cache =
                arguments.count > 4
                ? SampleCache(folder: arguments[4], origin: { arguments[1] }, say: { _ in }) : nil
            try prepare(
                try encoder(arguments[1]), file: arguments[2], threads: number(arguments, 3), cache: cache)
        case ("stream", 4...5):
            try stream(
                try encoder(arguments[1]), file: arguments[2], count: number(arguments, 3),
                threads: number(arguments, 4))
        default:
            print(
                "usage: DataBench prepare TOKENIZER DATA.jsonl [THREADS] [CACHE] | "
                    + "DataBench stream TOKENIZER DATA.jsonl SAMPLES [THREADS]")
            exit(2)
        }
    }

    private static func number(_ arguments: [String], _ index: Int) -> Int {
        arguments.indices.contains(index) ? max(1, Int(arguments[index]) ?? 1) : 2
    }

    private static func encoder(_ folder: String) throws -> ConversationEncoder {
        let tokenizer = try Tokenizer.load(folder: URL(filePath: folder))
        guard let template = NamedTemplate.named("qwen2_5") else { throw DatasetError("there is no template qwen2_5") }
        let chat = try ChatEncoder(named: template, tokens: NamedTemplateTokens(tokenizer)) {
            tokenizer.encode($0, addSpecialTokens: false)
        }
        return ConversationEncoder(tokenizer: tokenizer, chat: chat)
    }

    private static func prepare(_ encoder: ConversationEncoder, file: String, threads: Int, cache: SampleCache?) throws
    {
        var loader = DatasetLoader()
        loader.threads = threads
        loader.shufflesTraining = false
        let truncation = try Truncation(maximumLength: limit)
        let clock = ContinuousClock()
        let (start, processor) = (clock.now, processorSeconds())
        let rows = try loader.load([file])
        let read = clock.now
        let data = try rows.train.tokenized(
            truncation: truncation, threads: threads, cache: cache, encode: encoder.encode
        ).dataset
        let encoded = clock.now
        let lengths = data.indices.map { Int32(data.length(of: $0)) }
        let packs = SamplePacking.packs(lengths: lengths, capacity: limit, strategy: .binPacking)
        let end = clock.now
        let (used, memory) = (processorSeconds() - processor, peakMemoryMiB())
        var checksum = Checksum()
        for index in data.indices { checksum.add(data.sample(index)) }
        report([
            "name": .string("Apus"), "rows": .int(rows.train.count), "samples": .int(data.count),
            "tokens": .int(checksum.tokens), "packs": .int(packs.count), "checksum": checksum.json,
            "readSeconds": .double(seconds(start, read)), "encodeSeconds": .double(seconds(read, encoded)),
            "packSeconds": .double(seconds(encoded, end)), "seconds": .double(seconds(start, end)),
            "rowsPerSecond": .double(Double(rows.train.count) / seconds(start, end)),
            "processorSeconds": .double(used), "peakMemoryMiB": .double(memory),
        ])
    }

    private static func stream(_ encoder: ConversationEncoder, file: String, count: Int, threads: Int) throws {
        var options = StreamedDataset.Options(truncation: try Truncation(maximumLength: limit))
        options.threads = threads
        let recognizer = try ConversationRecognizer(ConversationRecognizer.Options())
        let clock = ContinuousClock()
        let (start, processor) = (clock.now, processorSeconds())
        let samples = try StreamedDataset([file], as: recognizer, options: options, encode: encoder.encode)
        var tokens = 0
        for index in 0..<count {
            try samples.prepare([index])
            tokens += samples.samples(index).reduce(0) { $0 + $1.ids.count }
        }
        let time = seconds(start, clock.now)
        report([
            "name": .string("Apus, streamed"), "samples": .int(count), "tokens": .int(tokens),
            "seconds": .double(time), "rowsPerSecond": .double(Double(count) / time),
            "processorSeconds": .double(processorSeconds() - processor), "peakMemoryMiB": .double(peakMemoryMiB()),
        ])
    }

    private static func report(_ result: JSONObject) {
        print(JSONValue.object(result).serialized())
    }

    private static func seconds(_ start: ContinuousClock.Instant, _ end: ContinuousClock.Instant) -> Double {
        let time = (end - start).components
        return Double(time.seconds) + Double(time.attoseconds) / 1e18
    }

    private static func peakMemoryMiB() -> Double {
        #if canImport(Darwin)
            Double(usage().ru_maxrss) / 1024 / 1024
        #else
            Double(usage().ru_maxrss) / 1024
        #endif
    }

    /// Of all threads.
    private static func processorSeconds() -> Double {
        let usage = usage()
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }

    private static func usage() -> rusage {
        var usage = rusage()
        #if canImport(Darwin)
            getrusage(RUSAGE_SELF, &usage)
        #else
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        #endif
        return usage
    }
}

/// A number that samples share only if they have the same ids and targets, whatever their order.
private struct Checksum {
    private(set) var tokens = 0
    private var (all, targets) = (0, 0)

    mutating func add(_ sample: TokenizedDataset.Sample) {
        tokens += sample.ids.count
        for (place, id) in sample.ids.enumerated() {
            all &+= Int(id) * (place + 1)
            if sample.isTrained[place] { targets &+= Int(id) * (place + 1) }
        }
    }

    var json: JSONValue { .array([.int(all), .int(targets)]) }
}
