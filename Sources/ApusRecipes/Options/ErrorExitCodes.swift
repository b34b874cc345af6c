import ApusAdapters
import ApusDatasets
import ApusHub
import ApusLanguageModel
import ApusRewards
import ApusText
import ApusTorch
import ApusTraining
import ApusWeights

// With which code the program ends for the errors of the rooms below.

extension HubError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.data } }
extension DatasetError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.data } }
extension ModelError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.configuration } }
extension AdapterError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.configuration } }
extension RewardError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.configuration } }
extension WeightsError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.data } }
extension TokenizerError: ExitCodeProviding { package var exitCode: Int32 { ExitCode.data } }

extension TorchError: ExitCodeProviding {
    package var exitCode: Int32 { kind == .outOfMemory ? ExitCode.outOfMemory : ExitCode.failure }
}

extension TrainingError: ExitCodeProviding {
    package var exitCode: Int32 {
        switch kind {
        case .notFinite: ExitCode.notANumber
        case .resume: ExitCode.configuration
        case .other: ExitCode.failure
        }
    }
}
