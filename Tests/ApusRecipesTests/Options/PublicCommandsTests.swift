import Testing

@testable import ApusRecipes

/// Commands as tutorials, example scripts and threads write them, for ms-swift 2.x to 4.x.
struct PublicCommandsTests {
    private static let supervised = [
        // 4.x
        "--model Qwen/Qwen2.5-7B-Instruct --tuner_type lora --dataset AI-ModelScope/alpaca-gpt4-data-zh#500 AI-ModelScope/alpaca-gpt4-data-en#500 swift/self-cognition#500 --torch_dtype bfloat16 --num_train_epochs 1 --per_device_train_batch_size 1 --per_device_eval_batch_size 1 --learning_rate 1e-4 --lora_rank 8 --lora_alpha 32 --target_modules all-linear --gradient_accumulation_steps 16 --eval_steps 50 --save_steps 50 --save_total_limit 2 --logging_steps 5 --max_length 2048 --output_dir output --system 'You_are_a_helpful_assistant.' --warmup_ratio 0.05 --dataloader_num_workers 4 --dataset_num_proc 4 --model_name 小黄 'Xiao-Huang' --model_author 魔搭 ModelScope",
        "--model Qwen/Qwen3-8B --tuner_type lora --dataset d.jsonl --load_from_cache_file true --split_dataset_ratio 0.01 --torch_dtype bfloat16 --attn_impl flash_attn --padding_free true --use_liger_kernel true --deepspeed zero3 --save_only_model true",
        "--model Qwen/Qwen2.5-7B --tuner_type full --dataset d.jsonl --deepspeed zero2_offload --gradient_checkpointing true --max_length 8192 --weight_decay 0.1 --adam_beta2 0.95 --warmup_ratio 0.03 --report_to tensorboard wandb --run_name exp1",
        "--model m --task_type seq_cls --num_labels 2 --use_chat_template false --tuner_type lora --dataset DAMO_NLP/jd:cls#2000 --loss_type cross_entropy",
        "--model m --task_type seq_cls --num_labels 1 --problem_type regression --use_chat_template false --tuner_type lora --dataset sentence-transformers/stsb:reg#20000 --val_dataset v.csv --eval_strategy steps --eval_steps 100 --label_names labels --dataloader_drop_last false",
        "--model m --task_type embedding --loss_type infonce --tuner_type full --dataset d.jsonl --split_dataset_ratio 0.05 --eval_strategy steps --output_dir output --eval_steps 20 --num_train_epochs 5 --save_steps 70 --per_device_train_batch_size 4 --per_device_eval_batch_size 4 --gradient_accumulation_steps 4 --learning_rate 6e-6 --dataloader_drop_last true --label_names labels",
        "--model m --task_type reranker --loss_type listwise_reranker --dataset MTEB/scidocs-reranking --split_dataset_ratio 0.05 --tuner_type full --learning_rate 6e-6 --label_names labels --dataloader_drop_last true",
        "--model m --dataset d.jsonl --neftune_noise_alpha 5 --label_smoothing_factor 0.1 --callbacks early_stop --early_stop_interval 3 --eval_on_start true --split_dataset_ratio 0.1 --lr_scheduler_type cosine_with_min_lr --lr_scheduler_kwargs {\"min_lr\":1e-6} --optim adafactor",
        // 3.x
        "--model Qwen/Qwen2.5-7B-Instruct --train_type lora --dataset d.jsonl --torch_dtype bfloat16 --num_train_epochs 1 --per_device_train_batch_size 1 --per_device_eval_batch_size 1 --learning_rate 1e-4 --lora_rank 8 --lora_alpha 32 --target_modules all-linear --gradient_accumulation_steps 16 --eval_steps 50 --save_steps 50 --save_total_limit 5 --logging_steps 5 --max_length 2048 --output_dir output --warmup_ratio 0.05 --dataloader_num_workers 4",
        "--model m --train_type lora --dataset d.jsonl --lazy_tokenize true --tuner_backend peft --template qwen2_5 --model_type qwen2_5 --deepspeed zero2 --ddp_backend nccl",
        "--model m --train_type full --dataset d.jsonl --freeze_vit true --freeze_aligner true --attn_impl flash_attention_2 --ddp_find_unused_parameters false --dataloader_pin_memory true",
        "--model m --train_type lora --use_hf true --dataset hf::org/data --hub_token x --check_model false --load_args false --seed 1234",
        "--model m --train_type lora --dataset d.jsonl --neftune_noise_alpha 0 --label_smoothing_factor 0 --lora_bias none --use_dora false --packing false --streaming false",
        "--model m --train_type lora --dataset d.jsonl --report_to swanlab --swanlab_project p --swanlab_exp_name e",
        "--model m --train_type lora --dataset d.jsonl --save_strategy epoch --eval_strategy epoch --split_dataset_ratio 0.1 --load_best_model_at_end true --metric_for_best_model loss --greater_is_better false",
        "--model m --train_type lora --dataset d.jsonl --torch_compile true --bf16_full_eval true --full_determinism true --tf32 true",
        "--model m --train_type lora --dataset d.jsonl --sequence_parallel_size 1 --zero_hpz_partition_size 8 --ddp_timeout 3600 --save_on_each_node true --local_rank -1",
        "--model m --train_type lora --dataset d.jsonl --max_new_tokens 512 --temperature 0.7 --device_map auto --max_memory {}",
        "--model m --train_type lora --dataset d.jsonl --optim paged_adamw_32bit --lr_scheduler_type linear --max_grad_norm 1.0 --bf16 true",
        // 2.x
        "--model_type qwen2_5-7b-instruct --model_id_or_path qwen/Qwen2.5-7B-Instruct --sft_type lora --tuner_backend peft --template_type qwen --dtype AUTO --output_dir output --dataset d.jsonl --num_train_epochs 1 --max_length 2048 --check_dataset_strategy warning --lora_rank 8 --lora_alpha 32 --lora_dropout_p 0.05 --lora_target_modules DEFAULT --gradient_checkpointing true --batch_size 1 --weight_decay 0.1 --learning_rate 1e-4 --gradient_accumulation_steps 16 --max_grad_norm 0.5 --warmup_ratio 0.03 --eval_steps 100 --save_steps 100 --save_total_limit 2 --logging_steps 10 --use_flash_attn false --self_cognition_sample 1000 --model_name 卡卡罗特 Goku --model_author 陶白白 Tao",
        "--model_type qwen-7b-chat --model_id_or_path m --sft_type full --custom_train_dataset_path d.jsonl --custom_val_dataset_path v.jsonl --deepspeed default-zero3 --train_backend transformers --only_save_model true",
        "--model_id_or_path m --sft_type lora --dataset d.jsonl --dataset_test_ratio 0.01 --preprocess_num_proc 4 --evaluation_strategy steps --eval_batch_size 1 --neftune_noise_alpha 0.0 --quantization_bit 0 --push_to_hub false",
        "--model_id_or_path m --sft_type lora --dataset d.jsonl --lora_lr_ratio None --use_loss_scale_x false --ignore_args_error true",
        "--model_id_or_path m --sft_type lora --dtype bf16 --dataset d.jsonl --acc_strategy token --save_safetensors true --disable_tqdm false --dataset_seed 42",
        // Hugging Face's scripts and LLaMA-Factory
        "--model_name_or_path m --train_file train.json --validation_file dev.json --do_train --do_eval --max_seq_length 512 --per_device_train_batch_size 8 --learning_rate 2e-5 --num_train_epochs 3 --output_dir out --overwrite_output_dir --task_type seq_cls",
        "--stage sft --do_train true --model_name_or_path m --dataset d.jsonl --template qwen --finetuning_type lora --lora_target q_proj,v_proj --output_dir out --overwrite_cache true --per_device_train_batch_size 2 --gradient_accumulation_steps 8 --lr_scheduler_type cosine --logging_steps 10 --save_steps 1000 --learning_rate 5e-5 --num_train_epochs 3.0 --plot_loss true --bf16 true --cutoff_len 1024 --preprocessing_num_workers 16 --val_size 0.1",
    ]

    @Test(arguments: supervised)
    func supervisedRuns(words: String) throws {
        var notices: [String] = []
        let words = words.replacing("'", with: "").split(separator: " ").map(String.init)
        let settings = try SFTSettings(ArgumentLine(words, for: .sft), notices: &notices)
        #expect(settings.model.name?.isEmpty == false && !settings.data.dataset.isEmpty)
    }

    @Test(
        arguments: [
            (.infer, "--adapters output/vx-xxx/checkpoint-xxx --stream true --temperature 0 --max_new_tokens 2048"),
            (
                .infer,
                "--adapters a --stream true --merge_lora true --infer_backend vllm --vllm_max_model_len 8192 --temperature 0 --max_new_tokens 2048"
            ),
            (
                .infer,
                "--model Qwen/Qwen2.5-7B-Instruct --infer_backend pt --model_type qwen2_5 --template qwen2_5 --stream true"
            ),
            (.infer, "--ckpt_dir output/checkpoint-100 --load_dataset_config true --ignore_args_error true"),
            (
                .infer,
                "--adapters a --load_data_args true --max_batch_size 1 --vllm_tensor_parallel_size 1 --vllm_gpu_memory_utilization 0.9 --vllm_enforce_eager true"
            ),
            (
                .infer,
                "--model m --val_dataset v.jsonl --result_path r.jsonl --write_batch_size 1000 --attn_impl flash_attn --use_hf true"
            ),
            (
                .export,
                "--adapters output/vx-xxx/checkpoint-xxx --merge_lora true --safe_serialization true --max_shard_size 2GB"
            ),
            (.export, "--ckpt_dir a --merge_lora true --quant_bits 0 --device_map auto"),
            (.export, "--ckpt_dir a --merge_lora true --to_gguf true --gguf_type Q4_K_M"),
            (.mergeLoRA, "--adapters a --output_dir merged --exist_ok true --use_hf true"),
        ] as [(Command, String)])
    func otherCommands(command: Command, words: String) {
        #expect(refusal(words.split(separator: " ").map(String.init), for: command) == [])
    }

    /// Another name for the same numbers is read as that, and said.
    @Test(arguments: [
        "--report_to mlflow", "--optim adamw_hf", "--model_type qwen2_5-7b-instruct", "--deepspeed zero3",
        "--device_map auto", "--tuner_backend unsloth", "--lazy_tokenize true",
        "--label_names labels",
    ])
    func areSaid(words: String) throws {
        let line = try ArgumentLine(words.split(separator: " ").map(String.init), for: .sft)
        #expect(line.notices.count == 1, "\(line.notices)")
    }

    /// What would change numbers and is not there is refused by name, with a way out.
    @Test(
        arguments: [
            (.sft, "--quant_method hqq", "Apus has bnb"), (.infer, "--quant_method eetq", "Apus has bnb"),
            (.sft, "--tuner_type lora_llm", "Apus has lora"),
            (.sft, "--galore_optim_per_parameter true", "Leave it out"),
            (.sft, "--sequence_parallel_size 2", "one device"),
            (.sft, "--external_plugins plugin.py", "no code"),
            (.rlhf, "--external_plugins plugin.py", "turns: --multi_turn_scheduler ./turns.py."),
            (.sample, "--external_plugins plugin.py", "Give rewards as programs: --reward_funcs ./score.py."),
            (.sft, "--device_map cpu", "--device cpu"),
            (.sft, #"--deepspeed {"optimizer":{"type":"Lion"}}"#, "--optim"),
            (.sft, "--train_sampling_strategy sequential", "--train_dataloader_shuffle false"),
            (.infer, "--vllm_tensor_parallel_size 4", "one device"),
            (.mergeLoRA, "--quant_bits 4", "apus export"), (.export, "--quant_method awq", "Apus has bnb"),
            (.export, "--to_ollama true", "--to_gguf true"),
        ] as [(Command, String, String)])
    func refusals(command: Command, words: String, advice: String) {
        let problems = refusal(words.split(separator: " ").map(String.init), for: command)
        #expect(problems.count == 1 && problems[0].contains(advice), "\(problems)")
    }

    /// Whoever is refused is told what to do.
    @Test(arguments: [Command.sft, .infer, .export, .mergeLoRA])
    func everyRefusalHasAWayOut(command: Command) {
        for field in OptionTable.table(for: command).notYetSupported {
            #expect(NotYetOptions.advice(field, command) != nil, "\(command.rawValue) --\(field)")
        }
    }
}
