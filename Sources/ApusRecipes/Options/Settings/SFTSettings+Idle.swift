import ApusAdapters
import ApusJSON
import ApusOptimizers

// What is said of settings that a run has no use for.

extension SFTSettings {
    /// Says that nothing is evaluated though it was asked for.
    func noteNoEvaluation(_ notices: inout [String]) {
        if !data.valDataset.isEmpty, !evaluation.evalOnStart, let reason = evaluation.neverReason {
            notices.append("--val_dataset: nothing is evaluated, because \(reason). Give --eval_strategy steps.")
        }
        let asked = evaluation.askedWords
        guard !data.hasValidation, !asked.isEmpty else { return }
        notices.append(
            "\(asked.joined(separator: ", ")): nothing is evaluated, because there is no validation data. "
                + "Give --val_dataset, or --split_dataset_ratio 0.05 to hold some training data back.")
    }

    /// Says which settings were chosen that this run has no use for.
    func noteIdle(_ notices: inout [String]) {
        func note(_ reason: String, _ names: some Collection<String>) {
            if let notice = withoutEffect(names, because: reason) { notices.append(notice) }
        }
        let read = model.tunerType.options
        let idle = (TunerSettings.fields.map(\.name) + FullTuningSettings.fields.map(\.name)).filter {
            !read.contains($0)
        }
        note(
            "--tuner_type \(model.tunerType.rawValue) "
                + (model.tunerType.isAdapter ? "does not read it" : "has no adapter"), idle)
        if model.adapters.isEmpty { noteConditions(note) }
        if !galore.isOn {
            note("--use_galore is false", GaLoreSettings.fields.map(\.name).filter { $0 != "use_galore" })
        }
        if galore.isOn, !galore.isQuantized {
            note("--galore_quantization is false", GaLoreSettings.ofQuantization)
        }
        // Optimizers without a schedule warm up by themselves.
        let warmsUp = optimization.optimizer != .muon && optimization.optim.warmsUp
        if [.constant, .reduceOnPlateau].contains(optimization.lrSchedulerType), !warmsUp {
            note("--lr_scheduler_type is \(optimization.lrSchedulerType.rawValue)", ["warmup_ratio", "warmup_steps"])
        }
        if optimization.optimizer == .muon { note("--optimizer is muon", ["optim"]) }
        if optimization.optim != .apollo { note("--optim is not apollo_adamw", ["optim_target_modules"]) }
        if optimization.optimizer != .muon {
            let word = optimization.optim.rawValue
            note(
                optimization.optim == .grokAdamW
                    ? "--optim grokadamw has constants of its own, as in the Trainer"
                    : "--optim \(word) does not read it",
                OptimizerName.adamConstants.subtracting(optimization.optim.readConstants))
        }
        if optimization.optim == .grokAdamW {
            if optimization.optimArgs?.contains("grokking_signal_decay_rate") == true {
                notices.append(
                    "--optim_args grokking_signal_decay_rate: without effect, because no losses are compared, as in the "
                        + "Trainer.")
            }
        }
        if !optimization.optim.isPaged { note("--optim is not a paged one", ["paged_memory"]) }
        if full.lisaActivatedLayers == 0 { note("--lisa_activated_layers is 0", ["lisa_step_interval"]) }
        if !model.adapters.isEmpty {
            note("the file of the adapter says it", read.subtracting(["lora_dtype", "lorap_lr_ratio"]))
        }
        note("--task_type is \(taskType.rawValue)", taskType.idleOptions.subtracting(task.options))
        if !task.generatedMetrics.isEmpty, !evaluation.predictWithGenerate {
            note("--predict_with_generate is false", ["generation_max_length", "max_new_tokens"])
        }
        if taskType.task.options.contains("generation_max_length") {
            note("--generation_max_length says it with --task_type \(taskType.rawValue)", ["max_new_tokens"])
        }
        if evalStrategy != .epoch { note("--eval_strategy is not epoch", ["eval_epochs"]) }
        if evaluation.saveStrategy != .epoch { note("--save_strategy is not epoch", ["save_epochs"]) }
        if output.loggingStrategy != .steps { note("--logging_strategy is not steps", ["logging_steps"]) }
        if !batches.packing { note("--packing is false", ["packing_length", "packing_strategy"]) }
        if !batches.streaming { note("--streaming is false", ["shuffle_buffer_size"]) }
        if batches.streaming { note("--streaming is true", ["load_from_cache_file"]) }
        if data.interleaveProb.isEmpty { note("--interleave_prob is not given", ["stopping_strategy"]) }
        if lossType != .infoNCE { note("--loss_type is not infonce", ["infonce_temperature"]) }
        if output.addVersion { note("each run gets a new folder", ["overwrite_output_dir"]) }
    }

    /// Says which options of the method are read beside other choices than were made.
    private func noteConditions(_ note: (_ reason: String, _ names: [String]) -> Void) {
        let options = AdapterMethods.of(tunerType: model.tunerType.rawValue)?.options ?? []
        var idle: [(reason: String, names: [String])] = []
        for option in options {
            let unmet = option.conditions.first { condition in
                let chosen = Self.fields.first { $0.name == condition.option }?.read(self)?.plainJSON ?? .null
                return !condition.words.contains((chosen.stringValue ?? chosen.serialized()).lowercased())
            }
            guard let unmet else { continue }
            let reason = "--\(unmet.option) is not \(unmet.words[0])"
            if let index = idle.firstIndex(where: { $0.reason == reason }) {
                idle[index].names.append(option.name)
            } else {
                idle.append((reason, [option.name]))
            }
        }
        for (reason, names) in idle { note(reason, names) }
    }
}
