/// Environment variables that ms-swift or the programs below it read, and what becomes of them here.
///
/// A variable is read, stands for an option, is refused, or is noted as having no effect; none is passed over silently.
package enum EnvironmentVariables {
    package enum Standing: Sendable {
        /// Apus reads it, and for what.
        case read(String)
        /// The same as an option that was not given.
        case option(String)
        /// Refused unless it has the value that stands for what Apus does, where a setting has a value beside which
        /// ms-swift reads it.
        case only(String, beside: (option: String, value: String)?, instead: String)
        /// One process on one device: any value but 1 is refused.
        case oneProcess
        case withoutEffect(String)
    }

    private static let processes =
        "Apus computes in one process on one device. Unset it, or set it to 1; --gradient_accumulation_steps keeps the "
        + "samples of a step that several devices would share."
    private static let infoNCE: (option: String, value: String) = ("loss_type", "infonce")
    private static let listwise: (option: String, value: String) = ("loss_type", "listwise_reranker")
    private static let reranker: (option: String, value: String) = ("task_type", "reranker")
    private static let seed: (option: String, value: String) = ("template", "seed_oss")

    package static let all: [(names: [String], standing: Standing)] = [
        (["USE_HF"], .read("1: Hugging Face where a name does not say which hub; --use_hf wins")),
        (
            ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"],
            .read("the token of Hugging Face; --hub_token wins")
        ),
        (["HF_ENDPOINT"], .read("the address of Hugging Face or of a mirror")),
        (
            ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"],
            .read("where Hugging Face's cache lies")
        ),
        (["XDG_CACHE_HOME"], .read("where the caches of Hugging Face and of Apus lie that no other variable names")),
        (["HF_DATASETS_CACHE"], .read("where encoded rows are kept; else in the user's cache folder")),
        (["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"], .read("1: the hubs are not reached")),
        (["HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"], .read("seconds to wait for the hub")),
        (["MODELSCOPE_CACHE"], .read("where ModelScope's cache lies")),
        (["MODELSCOPE_API_TOKEN"], .read("the token of ModelScope; --hub_token wins")),
        (["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"], .read("the address of ModelScope or of a mirror")),
        (["CUDA_VISIBLE_DEVICES"], .read("the devices that libtorch sees; Apus computes on the first")),
        (["OMP_NUM_THREADS"], .read("threads that compute; the numbers do not depend on it")),
        (["NO_COLOR", "COLUMNS", "TERM", "LC_ALL", "LC_CTYPE", "LANG"], .read("how lines are printed")),
        (["INFONCE_TEMPERATURE"], .option("infonce_temperature")),
        (["NPROC_PER_NODE", "NNODES", "WORLD_SIZE", "LOCAL_WORLD_SIZE"], .oneProcess),
        (
            ["INFONCE_USE_BATCH"],
            .only("true", beside: infoNCE, instead: "the other texts of a batch are always negatives; unset it")
        ),
        (
            ["INFONCE_HARD_NEGATIVES"],
            .only("", beside: infoNCE, instead: "every negative of a row counts; cut the rows, and unset it")
        ),
        (
            ["INFONCE_MASK_FAKE_NEGATIVE", "INFONCE_INCLUDE_QQ", "INFONCE_INCLUDE_DD"],
            .only("false", beside: infoNCE, instead: "there is one form of the loss; unset it")
        ),
        (
            ["LISTWISE_RERANKER_TEMPERATURE"],
            .only("1.0", beside: listwise, instead: "scores are compared as they are; unset it")
        ),
        (
            ["LISTWISE_RERANKER_MIN_GROUP_SIZE"],
            .only("2", beside: listwise, instead: "questions with one document alone are left out; unset it")
        ),
        (
            ["MAX_POSITIVE_SAMPLES"],
            .only("1", beside: reranker, instead: "one positive is drawn for each group; unset it")
        ),
        (
            ["MAX_NEGATIVE_SAMPLES"],
            .only("7", beside: reranker, instead: "at most seven negatives are drawn for each group; unset it")
        ),
        (
            ["THINKING_BUDGET"],
            .only("", beside: seed, instead: "the budget is that of the longest thoughts of the row; unset it")
        ),
        (
            ["SEED_USE_THINKING"],
            .only("true", beside: seed, instead: "the budget is always written; unset it")
        ),
        (
            ["SEED_USE_BUDGET_INTERVAL"],
            .only("false", beside: seed, instead: "no counts are written into thoughts; write them, and unset it")
        ),
        (
            ["RANDOM_DATASET_RESPONSE"],
            .only("false", beside: nil, instead: "of several answers the first is taken; unset it")
        ),
        (
            [
                "MAX_PIXELS", "MIN_PIXELS", "VIDEO_MAX_PIXELS", "VIDEO_MIN_PIXELS", "VIDEO_TOTAL_PIXELS", "FPS",
                "FPS_MAX_FRAMES", "FPS_MIN_FRAMES", "NFRAMES", "MAX_NUM", "INPUT_SIZE", "MAX_SLICE_NUMS",
                "VIDEO_MAX_SLICE_NUMS", "IMAGE_MAX_TOKEN_NUM", "VIDEO_MAX_TOKEN_NUM", "SIZE_FACTOR", "HD_NUM",
                "SAMPLING_RATE", "ENABLE_AUDIO_OUTPUT", "USE_AUDIO_IN_VIDEO", "ROOT_IMAGE_DIR", "QWENVL_BBOX_FORMAT",
                "SPATIAL_MERGE_SIZE", "SWIFT_AUDIO_LOAD_BACKEND",
            ],
            .withoutEffect("the models of Apus read no pictures, sound or video")
        ),
        (
            ["RANK", "LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "ACCELERATE_USE_FSDP", "FSDP_VERSION"],
            .withoutEffect("Apus computes in one process")
        ),
        (
            ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"],
            .read("how libtorch takes memory of a GPU")
        ),
        (
            ["VLLM_USE_V1", "VLLM_WORKER_MULTIPROC_METHOD", "VLLM_ENGINE_ITERATION_TIMEOUT_S", "USE_FAST_INFERENCE"],
            .withoutEffect("Apus answers with its own engine")
        ),
        (
            ["WANDB_PROJECT", "WANDB_ENTITY", "WANDB_NAME", "WANDB_DIR", "SWANLAB_PROJECT", "SWANLAB_LOG_DIR"],
            .read("what --report_to wandb and swanlab write, and where")
        ),
        (
            ["WANDB_API_KEY", "WANDB_MODE", "SWANLAB_API_KEY", "SWANLAB_MODE"],
            .withoutEffect("nothing is sent; `wandb sync` and `swanlab sync` upload what a run wrote")
        ),
        (
            [
                "GENERATIVE_RERANKER_POSITIVE_TOKEN", "GENERATIVE_RERANKER_NEGATIVE_TOKEN",
            ], .withoutEffect("--task_type generative_reranker is not there yet")
        ),
        (
            ["LOG_LEVEL", "SWIFT_DEBUG", "MAX_LOG_LINES", "PAI_OUTPUT_TENSORBOARD"],
            .withoutEffect("there is one log; --logging_dir says where TensorBoard's files go")
        ),
        (
            ["PACKING_CACHE", "USE_HF_TRANSFER", "HF_HUB_ENABLE_HF_TRANSFER", "TOKENIZERS_PARALLELISM"],
            .withoutEffect("Apus has no cache of packs, and downloads and tokenizers of its own")
        ),
    ]

    /// The command line with what the environment says of options that were not given.
    package static func fill(_ line: inout ArgumentLine, from environment: [String: String]) throws -> [String] {
        let table = OptionTable.table(for: line.command)
        var notices: [String] = []
        for case (let names, .option(let option)) in all {
            for name in names {
                guard let value = environment[name], !value.isEmpty, let known = table[option] else { continue }
                guard line[option] == nil else {
                    notices.append("\(name)=\(value) has no effect: --\(option) is given.")
                    continue
                }
                guard let read = try OptionReader(option: known, spelling: name).value(of: [value]) else { continue }
                line.set(option, read, origin: .environment)
                notices.append("\(name)=\(value) is read as --\(option).")
            }
        }
        return notices
    }

    /// What the environment asks of a command that computes.
    ///
    /// - Returns: A line for each reason for which variables have no effect.
    /// - Throws: `UsageError` with a paragraph for each variable that asks for what is not there.
    package static func check<Settings: CommandSettings>(
        _ environment: [String: String], for settings: Settings
    ) throws -> [String] {
        var notices: [String] = []
        var problems: [String] = []
        for (names, standing) in all {
            let given = names.compactMap { name in
                environment[name].flatMap { $0.isEmpty ? nil : (name: name, value: $0) }
            }
            switch standing {
            case .read, .option: break
            case .oneProcess:
                problems += given.filter { $0.value != "1" }.map { "\($0.name)=\($0.value): \(processes)" }
                if given.contains(where: { $0.name == "NPROC_PER_NODE" && $0.value == "1" }) {
                    notices.append("NPROC_PER_NODE=1 has no effect: Apus computes in one process.")
                }
            case .only(let value, let condition, let instead):
                // Rows are read and templates write while answering too.
                let isRead =
                    settings.command.trains || condition?.option == "template"
                    || condition == nil && readsRows(settings)
                guard isRead, condition.map({ holds($0, in: settings) }) ?? true else { continue }
                for (name, word) in given where !isSame(word, value) {
                    problems.append("\(name)=\(word): ms-swift reads it, Apus does not yet: \(instead).")
                }
            case .withoutEffect(let reason):
                guard !given.isEmpty else { continue }
                // Values may be secrets.
                let names = given.map(\.name).joined(separator: ", ")
                notices.append("\(names): without effect, because \(reason).")
            }
        }
        guard problems.isEmpty else { throw UsageError(paragraphs: problems) }
        if let devices = environment["CUDA_VISIBLE_DEVICES"], devices.contains(",") {
            notices.append("CUDA_VISIBLE_DEVICES=\(devices): Apus computes on one device, the first of these.")
        }
        return notices
    }

    private static func holds<Settings: CommandSettings>(
        _ condition: (option: String, value: String), in settings: Settings
    ) -> Bool {
        Settings.fields.first { $0.name == condition.option }?.read(settings) == .text(condition.value)
    }

    private static func readsRows<Settings: CommandSettings>(_ settings: Settings) -> Bool {
        Settings.fields.contains { field in
            guard case .list(let files)? = field.read(settings) else { return false }
            return ["dataset", "val_dataset"].contains(field.name) && !files.isEmpty
        }
    }

    private static func isSame(_ word: String, _ value: String) -> Bool {
        let truths = ["true", "1", "yes", "y", "t", "on"]
        let falsehoods = ["false", "0", "no", "n", "f", "off"]
        let word = word.lowercased()
        return switch value {
        case "true": truths.contains(word)
        case "false": falsehoods.contains(word)
        default: word == value || Double(word) != nil && Double(word) == Double(value)
        }
    }
}
