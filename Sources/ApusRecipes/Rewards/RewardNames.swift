import ApusRewards
import ApusTorch
import Foundation

extension RewardFunctions {
    /// The reward of a word that may also be a trained reward model: a name, a program, or a model's folder or id.
    static func any(
        _ word: String, options: RewardOptions, device: Device, surroundings: Surroundings
    ) throws -> any RewardFunction {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: word, isDirectory: &isFolder)
        let isModel =
            exists ? isFolder.boolValue : word.contains("/") && !word.hasPrefix(".") && !word.hasPrefix("exec:")
        // An id of a hub is an owner and a name; all else that has a slash was meant as a path.
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        let isScript = ["py", "sh", "js", "rb", "pl"].contains((parts.last ?? "").split(separator: ".").last ?? "")
        guard !isModel || exists || (parts.count == 2 && !parts.contains("") && parts[0] != "~" && !isScript) else {
            throw RewardError("\(word): there is no such file or folder.")
        }
        if isModel, !names.contains(word) {
            return try RewardModel(word, device: device, surroundings: surroundings)
        }
        return try named([word], options: options)[0]
    }
}
