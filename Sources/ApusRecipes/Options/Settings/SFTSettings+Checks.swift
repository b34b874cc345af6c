import ApusDatasets
import ApusOptimizers
import ApusTorch
import ApusTraining

// What settings of several parts do not go with.

extension SFTSettings {
    /// The optimizer of ms-swift's own, and the course of the learning rate, beside the other settings.
    mutating func checkOptimizer() throws {
        switch optimization.optimizer {
        case .galore: galore.isOn = true
        case .lorap where tuner.methodOptions["lorap_lr_ratio"] == nil:
            throw SettingsError("--optimizer lorap needs the ratio of its learning rates: give --lorap_lr_ratio 16.")
        case .muon where galore.isOn:
            throw SettingsError("--optimizer muon and --use_galore true are two optimizers. Give one of them.")
        case .muon where optimization.optim.followsInPass:
            throw SettingsError(
                "--optimizer muon and --optim \(optimization.optim.rawValue) are two optimizers. Leave --optim out.")
        default: break
        }
        _ = try optimization.scheduleOptions(peak: learningRate)
        guard optimization.lrSchedulerType == .reduceOnPlateau else { return }
        guard evalStrategy != .no else {
            throw SettingsError(
                "--lr_scheduler_type reduce_lr_on_plateau follows evaluations, and there are none. Give --val_dataset or "
                    + "--split_dataset_ratio, and no --eval_strategy no.")
        }
        guard !evaluation.greaterIsBetter || optimization.lrSchedulerKwargs?.contains("\"mode\"") == true else {
            throw SettingsError(
                "--lr_scheduler_type reduce_lr_on_plateau lowers the learning rate where "
                    + "\(evaluation.metricForBestModel) does not fall, and more of it is better. Give "
                    + "--lr_scheduler_kwargs '{\"mode\": \"max\"}'.")
        }
    }

    /// Gradients that are followed in the backward pass are there once, and in part.
    func checkFollowing(_ notices: inout [String]) throws {
        let word = optimization.optim.rawValue
        guard optimization.optim.followsInPass else { return }
        guard !model.tunerType.isAdapter else {
            throw SettingsError(
                "--optim \(word) keeps no gradients, which saves memory where the model's own weights train, and --tuner_type "
                    + "\(model.tunerType.rawValue) trains an adapter. Give --tuner_type full, or another --optim.")
        }
        guard optimization.gradientAccumulationSteps == 1 else {
            throw SettingsError(
                "--gradient_accumulation_steps \(optimization.gradientAccumulationSteps): --optim \(word) keeps no gradients "
                    + "that could be added up. Give --gradient_accumulation_steps 1.")
        }
        guard precision != .float16 else {
            throw SettingsError(
                "--optim \(word) follows gradients before it is known whether float16 overflowed. Give --torch_dtype bfloat16 or "
                    + "float32.")
        }
        guard optimization.gradientCheckpointing != false else {
            throw SettingsError(
                "--gradient_checkpointing false: with --optim \(word) a layer's gradients are complete when it runs again in "
                    + "the backward pass. Leave it out.")
        }
        guard preferences?.learnsExperts != true else {
            throw SettingsError(
                "--optim \(word) follows a layer's gradients when they are complete, and beside --chord_sft_dataset the model "
                    + "runs twice in a step. Give another --optim, or leave --chord_sft_dataset out.")
        }
        if optimization.maxGradNorm > 0 {
            notices.append(
                "--max_grad_norm \(optimization.maxGradNorm): --optim \(word) needs a backward pass of its own to know the norm; "
                    + "0 clips nothing and takes half of the time.")
        }
    }

    mutating func settleQuantization(_ notices: inout [String]) throws {
        try model.quantization.settle()
        if let method = model.quantization.method, model.tunerType == .full {
            throw SettingsError(
                "--quant_method \(method.rawValue) does not go with --tuner_type full: quantised weights are indices, which "
                    + "no gradient moves. Train an adapter over them (--tuner_type lora), or leave --quant_method out.")
        }
        if let reason = model.quantization.idleReason,
            let notice = withoutEffect(QuantizationOptions.ofFourBits, because: reason)
        {
            notices.append(notice)
        } else if model.quantization.storageType != nil {
            notices.append("--bnb_4bit_quant_storage: without effect, because the bytes are the same under any type.")
        }
    }

    /// What learning preferences does not go with.
    func checkPreferences() throws {
        guard let preferences else { return }
        let method = preferences.method
        let wanted: TaskType = method == .rewardModel ? .sequenceClassification : .causalLM
        guard model.taskType == nil || model.taskType == wanted else {
            throw SettingsError(
                "--rlhf_type \(method.rawValue) is for models of --task_type \(wanted.rawValue), and this one is for "
                    + "\(model.taskType?.rawValue ?? ""). Leave --task_type out, or give another model.")
        }
        guard encoding.truncationStrategy != .split || preferences.samplesAnswers else {
            throw SettingsError(
                "--truncation_strategy split: answers that are compared cannot be split. Give delete, left or right.")
        }
        if method == .kto, preferences.judgedLoss.comparesWithOthers,
            optimization.perDeviceTrainBatchSize * optimization.gradientAccumulationSteps == 1
        {
            throw SettingsError(
                "--rlhf_type kto with one sample a step: its answers are compared with those to other questions of the step. "
                    + "Give more --per_device_train_batch_size or --gradient_accumulation_steps, or --loss_type "
                    + "apo_zero_unpaired.")
        }
    }

    /// Apus computes in the type of the weights, so `bf16` and `fp16` can only repeat it.
    func checkPrecision() throws {
        for (flag, isSet, type) in [("bf16", optimization.bf16, DType.bfloat16), ("fp16", optimization.fp16, .float16)]
        {
            guard isSet == true, let weights = model.torchDType, weights != type else { continue }
            throw SettingsError(
                "--\(flag) true computes in \(type.rawValue), but --torch_dtype is \(weights.rawValue), and Apus "
                    + "computes in the type of the weights. Give --torch_dtype \(type.rawValue), or leave --\(flag) out."
            )
        }
    }
}
