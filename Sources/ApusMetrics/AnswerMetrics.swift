import Foundation

/// How near answers come to the ones that were wanted, as means over N rows.
///
/// - exact_match, f1: of the texts in lower case without punctuation and English articles, whether they are equal, and the
///   harmonic mean of precision and recall of their words (Rajpurkar et al. 2016, <https://arxiv.org/abs/1606.05250>).
/// - rouge-1, rouge-2: the same mean over words and over pairs of words; rouge-l: over the longest common subsequence of
///   words (Lin 2004, <https://aclanthology.org/W04-1013>). Words are runs of letters and digits in lower case; each
///   ideograph is one. For texts in the letters a to z these are the numbers of `rouge_score` without a stemmer.
/// - bleu-4: the geometric mean of the precisions of 1 to 4 words in a row, times a penalty for short answers (Papineni et
///   al. 2002, <https://aclanthology.org/P02-1040>), of each row, with the third smoothing of Chen and Cherry 2014, as
///   ms-swift calls it; it cuts Chinese into words by a dictionary first, which makes other numbers there.
///
/// The first two are shares, from 0 to 1; rouge and bleu are in percent, from 0 to 100, as ms-swift writes them.
package struct AnswerMetrics: Sendable {
    package static let names = ["exact_match", "f1"] + inPercent
    package static let inPercent = ["rouge-1", "rouge-2", "rouge-l", "bleu-4"]

    package let values: [MetricValue]

    /// - Throws: `MetricError` when there are no rows.
    package init(_ rows: [(answer: String, wanted: String)]) throws {
        guard !rows.isEmpty else {
            throw MetricError("answers: no rows to evaluate; is the validation set empty?")
        }
        var sums = Self.names.map { _ in 0.0 }
        for (answer, wanted) in rows {
            let plain = (Self.plainWords(answer), Self.plainWords(wanted))
            let words = (Self.words(answer), Self.words(wanted))
            let row = [
                plain.0 == plain.1 ? 1 : 0, Self.plainOverlap(plain.0, plain.1), Self.overlap(words.0, words.1),
                Self.overlap(Self.pairs(words.0), Self.pairs(words.1)), Self.common(words.0, words.1),
                Self.bleu(words.0, words.1),
            ]
            for (index, value) in row.enumerated() { sums[index] += value }
        }
        values = zip(Self.names, sums).map { name, sum in
            (name, (Self.inPercent.contains(name) ? 100 : 1) * sum / Double(rows.count))
        }
    }

    /// Runs of letters and digits in lower case; each ideograph is a word.
    static func words(_ text: String) -> [String] {
        var words: [String] = []
        var isInWord = false
        for scalar in text.lowercased().unicodeScalars {
            let properties = scalar.properties
            if properties.isIdeographic {
                words.append(String(scalar))
                isInWord = false
            } else if properties.isAlphabetic || properties.numericType != nil || isMark(properties) && isInWord {
                if isInWord {
                    words[words.count - 1].unicodeScalars.append(scalar)
                } else {
                    words.append(String(scalar))
                }
                isInWord = true
            } else {
                isInWord = false
            }
        }
        return words
    }

    private static func isMark(_ properties: Unicode.Scalar.Properties) -> Bool {
        [.nonspacingMark, .spacingMark, .enclosingMark].contains(properties.generalCategory)
    }

    /// Words between spaces in lower case, without punctuation and articles.
    private static func plainWords(_ text: String) -> [String] {
        let bare = text.lowercased().unicodeScalars.filter { !($0.isASCII && punctuation.contains($0)) }
        return String(String.UnicodeScalarView(bare)).split(whereSeparator: \.isWhitespace).map(String.init)
            .filter { !["a", "an", "the"].contains($0) }
    }

    private static let punctuation = Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".unicodeScalars)

    private static func plainOverlap(_ a: [String], _ b: [String]) -> Double {
        a.isEmpty || b.isEmpty ? (a == b ? 1 : 0) : overlap(a, b)
    }

    private static func pairs(_ words: [String]) -> [String] {
        zip(words, words.dropFirst()).map { "\($0) \($1)" }
    }

    /// The harmonic mean of precision and recall of what two lists have in common, each as often as it comes.
    private static func overlap(_ a: [String], _ b: [String]) -> Double {
        var left = Dictionary(b.map { ($0, 1) }, uniquingKeysWith: +)
        var shared = 0
        for word in a {
            guard let count = left[word], count > 0 else { continue }
            left[word] = count - 1
            shared += 1
        }
        return mean(shared, a.count, b.count)
    }

    /// The same of the longest list that both contain in this order.
    private static func common(_ a: [String], _ b: [String]) -> Double {
        var lengths = Array(repeating: 0, count: b.count + 1)
        for word in a {
            var diagonal = 0
            for (index, other) in b.enumerated() {
                let above = lengths[index + 1]
                lengths[index + 1] = word == other ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        return mean(lengths[b.count], a.count, b.count)
    }

    /// BLEU of an answer against what was wanted; a precision of 0 counts as 1/2, 1/4 … of one hit.
    private static func bleu(_ answer: [String], _ wanted: [String]) -> Double {
        var (sum, halvings) = (0.0, 1.0)
        for length in 1...4 {
            func parts(_ words: [String]) -> [ArraySlice<String>] {
                guard words.count >= length else { return [] }
                return (0...words.count - length).map { words[$0..<$0 + length] }
            }
            let own = parts(answer)
            var left = Dictionary(parts(wanted).map { ($0, 1) }, uniquingKeysWith: +)
            var shared = 0.0
            for part in own {
                guard let count = left[part], count > 0 else { continue }
                left[part] = count - 1
                shared += 1
            }
            if length == 1, shared == 0 { return 0 }
            if shared == 0 {
                shared = 1 / exp2(halvings)
                halvings += 1
            }
            sum += 0.25 * log(shared / Double(max(1, own.count)))
        }
        let penalty = answer.count > wanted.count ? 1 : exp(1 - Double(wanted.count) / Double(answer.count))
        return penalty * exp(sum)
    }

    /// `2 p r / (p + r)` with p = shared / a and r = shared / b.
    private static func mean(_ shared: Int, _ a: Int, _ b: Int) -> Double {
        guard shared > 0 else { return 0 }
        let (precision, recall) = (Double(shared) / Double(a), Double(shared) / Double(b))
        return 2 * precision * recall / (precision + recall)
    }
}
