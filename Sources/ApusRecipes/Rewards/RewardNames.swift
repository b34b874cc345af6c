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
        if isModel, !names.contains(word) {
            return try RewardModel(word, device: device, surroundings: surroundings)
        }
        return try named([word], options: options)[0]
    }
}
