import ApusAdapters
import ApusDatasets
import ApusJSON
import ApusWeights
import Foundation

/// How a trained classifier's labels are to be read: from the settings, the `args.json` beside its adapter, or its
/// `config.json`.
struct LabelReading {
    private let config: JSONValue
    private let arguments: JSONValue
    /// Rows of the head that an adapter stores.
    private let stored: Int?

    init(config: JSONValue, adapter: String? = nil) throws {
        self.config = config
        var arguments = JSONValue.null
        if let adapter, let data = FileManager.default.contents(atPath: "\(adapter)/args.json") {
            arguments = try JSONValue(parsing: data)
        }
        self.arguments = arguments
        guard let adapter else {
            stored = nil
            return
        }
        let file = try AdapterFiles.weights(in: adapter).store
        let heads = ["score.weight", "classifier.weight", "classifier.out_proj.weight"]
        let head = file.tensorNames.first { name in heads.contains { name.hasSuffix("." + $0) } }
        stored = try head.flatMap { try file.shape(of: $0).first }
    }

    func scheme(labelCount: Int?, problemType: ProblemType? = nil) throws -> LabelScheme {
        let map = try LabelMap(config: arguments) ?? LabelMap(config: config)
        let count =
            labelCount ?? stored ?? arguments["num_labels"]?.intValue ?? config["num_labels"]?.intValue
            ?? map?.count ?? 2
        let named = arguments["problem_type"]?.stringValue ?? config["problem_type"]?.stringValue
        let problem =
            problemType ?? named.flatMap { ProblemType(rawValue: $0) } ?? (count == 1 ? .regression : .singleLabel)
        return try LabelScheme(
            problemType: problem, labelCount: count, map: map?.count == count ? map : nil,
            format: arguments["multi_label_format"]?.stringValue.flatMap { MultiLabelFormat(rawValue: $0) })
    }
}

extension LabelScheme {
    /// Whether a `config.json` is a classifier's.
    static func isDescribed(by config: JSONValue) -> Bool {
        (config["architectures"]?.arrayValue ?? []).contains {
            $0.stringValue?.hasSuffix("ForSequenceClassification") == true
        }
    }
}

extension LabelMap {
    /// The names of classes that a `config.json` knows, if it knows any.
    init?(config: JSONValue) throws {
        guard let names = config["id2label"], !names.isNull else { return nil }
        try self.init(id2label: names)
    }
}

extension LabelScheme {
    /// What the `config.json` of a classifier says of its labels.
    var configuration: JSONObject {
        let placeholder = try? LabelMap(names: (0..<labelCount).map { "LABEL_\($0)" })
        var object: JSONObject = ["problem_type": .string(problemType.rawValue)]
        if let names = map ?? placeholder {
            object["id2label"] = .object(names.id2label)
            object["label2id"] = .object(names.label2id)
        }
        return object
    }
}

extension LabelScheme {
    /// A target as a person reads it.
    func shown(_ target: LabelTarget) -> String {
        switch target {
        case .classID(let id): map.map { "\(id) (\($0.names[Int(id)]))" } ?? "\(id)"
        case .values(let values): values.count == 1 ? "\(values[0])" : "\(values)"
        }
    }

    /// What a run says of its labels.
    var text: String {
        "problem_type: \(problemType.rawValue), num_labels: \(labelCount)"
            + (format == .multiHot ? ", labels are lists of 0 or 1 for each class" : "")
            + (map.map { "\nlabels: \($0)" } ?? "")
    }
}
