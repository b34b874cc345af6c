extension DatasetReference {
    /// How to get a data set of a hub, for messages of where none is fetched.
    static func fetching(_ id: String, from hub: Hub?) -> String {
        let parts = id.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
            return "give the path of a .jsonl, .json or .csv file, or the id of a data set on a hub such as owner/name"
        }
        let prefix = hub.map { "\($0.rawValue)::" } ?? ""
        return "`apus download --dataset \(prefix)\(id)` fetches it from a hub; then it is found by that id"
    }
}
