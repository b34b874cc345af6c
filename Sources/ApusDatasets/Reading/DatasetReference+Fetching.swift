extension DatasetReference {
    /// How to get a data set of a hub, for messages.
    static func fetching(_ id: String, from hub: Hub?) -> String {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            return "give the path of a .jsonl, .json or .csv file"
        }
        let folder = parts[1]
        let modelScope = "`modelscope download --dataset \(id) --local_dir \(folder)`"
        let huggingFace = "`hf download --repo-type dataset \(id) --local-dir \(folder)`"
        let command =
            switch hub {
            case .huggingFace: huggingFace
            case .modelScope: modelScope
            case nil: "\(modelScope), or if it is one of Hugging Face with \(huggingFace)"
            }
        return "data sets are not fetched from hubs yet: fetch it with \(command), then give one of its files, "
            + "as in --dataset \(folder)/train.jsonl"
    }
}
