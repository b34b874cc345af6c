import ApusJSON
import ApusTorch
import ApusTraining
import ApusWeights
import Crypto
import Foundation

/// What must be the same for a run to be resumed: model, data, seed and the settings that change the numbers.
enum RunIdentity {
    /// Settings that only say where things go or how they are shown.
    private static let irrelevant: Set<String> = [
        "model", "dataset", "val_dataset", "output_dir", "add_version", "resume_from_checkpoint", "resume_only_model",
        "logging_steps", "logging_first_step", "logging_dir", "report_to", "disable_tqdm", "save_steps",
        "save_strategy", "save_total_limit", "create_checkpoint_symlink", "eval_steps", "eval_strategy",
        "per_device_eval_batch_size", "dataset_num_proc", "dataloader_num_workers", "load_args", "load_data_args",
        "swift_version", "gradient_checkpointing", "strict", "model_type", "torch_dtype", "save_only_model",
        "metric_for_best_model", "greater_is_better", "use_cpu", "num_train_epochs", "max_epochs", "max_steps",
        "columns", "print_model", "model_name", "model_author", "split_dataset_ratio", "adapters", "device",
    ]

    static func json(
        _ settings: SFTSettings, config: JSONValue, source: ModelSource, dtype: DType, data: TrainingSamples,
        totalSteps: Int
    ) -> JSONValue {
        var identity = JSONObject()
        for (key, value) in settings.argsJSON() where !irrelevant.contains(key) { identity[key] = value }
        identity["torch_dtype"] = .string(dtype.rawValue)
        identity["total_steps"] = .int(totalSteps)
        identity["model_config"] = .string(digest(config.serialized(sortedKeys: true)))
        identity["train_data"] = .string(data.fingerprint)
        return .object(identity)
    }

    private static func digest(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).prefix(16).map { String(format: "%02x", $0) }.joined()
    }
}
