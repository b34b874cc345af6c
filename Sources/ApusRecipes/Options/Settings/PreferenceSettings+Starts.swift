import ApusText

extension PreferenceSettings {
    /// Looks whether the marks of learned tokens tell where the last answer begins, where its question gets another.
    ///
    /// - Throws: `SettingsError` for a `--loss_scale` that learns questions too, or leaves parts out within answers.
    func checkAnswerStarts() throws {
        let scale = chosenLossScale
        let what: String
        switch method {
        case .kto where chosenLossTypes == [.kto]:
            what = "puts answers behind other questions (but for --loss_type apo_zero_unpaired)"
        case .gkd where distillation.lmbda > 0: what = "has the model answer questions itself (but for --lmbda 0)"
        default: return
        }
        let leavesPartsOut = scale.modifiers.contains { [.react, .qwen, .agentFlan, .alphaUmi].contains($0) }
        guard scale.base == .all || leavesPartsOut else { return }
        throw SettingsError(
            "--loss_scale \(scale.rawValue): --rlhf_type \(method.rawValue) \(what), and where "
                + (scale.base == .all ? "questions are learned too" : "parts of answers are left out")
                + " it is not known where an answer begins. Give default or last_round.")
    }
}
