// Made by Scripts/fixtures/make_dataset_names.py of ms-swift 4.6.0; do not edit.
extension KnownDatasets {
    /// One data set a line: its ids on ModelScope and Hugging Face, its short name, splits, columns (old>new), rule,
    /// subsets (name|configuration|rule|columns); `-` where there is none.
    static let table = """
        - allenai/c4 - train - - -
        - cerebras/SlimPajama-627B - train - - -
        - HuggingFaceFW/fineweb - train - - -
        - HuggingFaceTB/cosmopedia - train - - auto_math_text|||,khanacademy|||,openstax|||,stanford|||,\
        stories|||,web_samples_v1|||,web_samples_v2|||,wikihow|||
        - tiiuae/falcon-refinedweb - train content>response - -
        AI-MO/NuminaMath-1.5 AI-MO/NuminaMath-1.5 - train - - -
        AI-MO/NuminaMath-CoT AI-MO/NuminaMath-CoT - train - - -
        AI-MO/NuminaMath-TIR AI-MO/NuminaMath-TIR - train - - -
        AI-ModelScope/alpaca-cleaned yahma/alpaca-cleaned - train - - -
        AI-ModelScope/alpaca-gpt4-data-en vicgalle/alpaca-gpt4 - train - - -
        AI-ModelScope/alpaca-gpt4-data-zh llm-wizard/alpaca-gpt4-data-zh - train - without-input-mark -
        AI-ModelScope/blossom-math-v2 Azure99/blossom-math-v2 - train - worked-answer -
        AI-ModelScope/chartqa_digit_r1v_format zyang39/chartqa_digit_r1v_format - train - - -
        AI-ModelScope/CodeAlpaca-20k HuggingFaceH4/CodeAlpaca_20K - train - - -
        AI-ModelScope/COIG-CQIA - - train - - chinese_traditional|||,coig_pc|||,exam|||,finance|||,douban|||,\
        human_value|||,logi_qa|||,ruozhiba|||,segmentfault|||,wiki|||,wikihow|||,xhs|||,zhihu|||
        AI-ModelScope/databricks-dolly-15k databricks/databricks-dolly-15k - train - context-first -
        AI-ModelScope/deepctrl-sft-data - - train - - default|||,en|||
        AI-ModelScope/DISC-Law-SFT ShengbinYue/DISC-Law-SFT - train input>query,output>response - -
        AI-ModelScope/DISC-Med-SFT Flmc/DISC-Med-SFT - train - - -
        AI-ModelScope/Duet-v0.5 G-reen/Duet-v0.5 - train rewritten_question>query,rewritten_answer>response - -
        AI-ModelScope/firefly-train-1.1M YeungNLP/firefly-train-1.1M - train - known-kinds -
        AI-ModelScope/function-calling-chatml Locutusque/function-calling-chatml - train - described-functions -
        AI-ModelScope/generated_chat_0.4M BelleGroup/generated_chat_0.4M - train - - -
        AI-ModelScope/guanaco_belle_merge_v1.0 Chinese-Vicuna/guanaco_belle_merge_v1.0 - train - - -
        AI-ModelScope/GuanacoDataset JosephusCheung/GuanacoDataset - train - spoken-rounds -
        AI-ModelScope/hh-rlhf - - train,test - dialogues helpful-base|||,helpful-online|||,helpful-rejection-sampled|||
        AI-ModelScope/hh_rlhf_cn - - train,test context>messages two-ends hh_rlhf|||,harmless_base_cn|||,\
        harmless_base_en|||,helpful_base_cn|||,helpful_base_en|||
        AI-ModelScope/lawyer_llama_data Skepsun/lawyer_llama_data - train instruction>query,output>response,\
        history>- - -
        AI-ModelScope/leetcode-solutions-python - - train - explained-code -
        AI-ModelScope/lmsys-chat-1m lmsys/lmsys-chat-1m - train - loose-messages -
        AI-ModelScope/LongAlpaca-12k Yukang/LongAlpaca-12k - train - without-answer-mark -
        AI-ModelScope/Magpie-Qwen2-Pro-200K-Chinese Magpie-Align/Magpie-Qwen2-Pro-200K-Chinese - train - - -
        AI-ModelScope/Magpie-Qwen2-Pro-200K-English Magpie-Align/Magpie-Qwen2-Pro-200K-English - train - - -
        AI-ModelScope/Magpie-Qwen2-Pro-300K-Filtered Magpie-Align/Magpie-Qwen2-Pro-300K-Filtered - train - - -
        AI-ModelScope/MATH-lighteval DigitalLearningGmbH/MATH-lighteval - train problem>query - -
        AI-ModelScope/math-trn-format - - train - query-and-response -
        AI-ModelScope/MathInstruct TIGER-Lab/MathInstruct - train instruction>query,output>response - -
        AI-ModelScope/ms_agent_for_agentfabric - - train - - default|||,addition|||
        AI-ModelScope/Open-Platypus garage-bAInd/Open-Platypus - train - - -
        AI-ModelScope/OpenO1-SFT O1-OPEN/OpenO1-SFT - train - - -
        AI-ModelScope/OpenOrca - - train question>query - default|||,3_5M|||
        AI-ModelScope/OpenOrca-Chinese yys/OpenOrca-Chinese - train system_prompt>system,question>query - -
        AI-ModelScope/orpo-dpo-mix-40k mlabonne/orpo-dpo-mix-40k - train chosen>messages,\
        rejected>rejected_messages without-toxic -
        AI-ModelScope/pile EleutherAI/pile - train - - -
        AI-ModelScope/ruozhiba - - train - unnumbered-title post-annual|||,title-good|||,title-norm|||
        AI-ModelScope/school_math_0.25M BelleGroup/school_math_0.25M - train - - -
        AI-ModelScope/SFT-Nectar AstraMindAI/SFT-Nectar - train - - -
        AI-ModelScope/sharegpt_gpt4 - - train - - default|||,V3_format|||,zh_38K_format|||
        AI-ModelScope/SkyPile-150B Skywork/SkyPile-150B - train - - -
        AI-ModelScope/sql-create-context b-mc2/sql-create-context - train question>instruction,context>input,\
        answer>output - -
        AI-ModelScope/stack-exchange-paired lvwerra/stack-exchange-paired - train question>query,\
        response_j>response,response_k>rejected_response - -
        AI-ModelScope/starcoderdata bigcode/starcoderdata - train content>response - -
        AI-ModelScope/synthetic_text_to_sql gretelai/synthetic_text_to_sql - train - explained-sql -
        AI-ModelScope/texttosqlv2_25000_v2 Clinton/texttosqlv2_25000_v2 - train - - -
        AI-ModelScope/the-stack bigcode/the-stack - train content>response - -
        AI-ModelScope/tigerbot-law-plugin TigerResearch/tigerbot-law-plugin - train - law-text -
        AI-ModelScope/train_0.5M_CN BelleGroup/train_0.5M_CN - train - - -
        AI-ModelScope/train_1M_CN BelleGroup/train_1M_CN - train - - -
        AI-ModelScope/train_2M_CN BelleGroup/train_2M_CN - train - - -
        AI-ModelScope/tulu-v2-sft-mixture allenai/tulu-v2-sft-mixture - train - - -
        AI-ModelScope/ultrafeedback-binarized-preferences-cleaned-kto - - train - - -
        AI-ModelScope/webnovel_cn zxbsmk/webnovel_cn - train - - -
        AI-ModelScope/wikipedia-cn-20230720-filtered pleisto/wikipedia-cn-20230720-filtered - train \
        completion>response - -
        AI-ModelScope/WizardLM_evol_instruct_V2_196k WizardLM/WizardLM_evol_instruct_V2_196k - train - - -
        AI-ModelScope/zhihu_rlhf_3k liyucheng/zhihu_rlhf_3k - train prompt>query,chosen>response,\
        rejected>rejected_response - -
        bespokelabs/Bespoke-Stratos-17k bespokelabs/Bespoke-Stratos-17k - train - - -
        codefuse-ai/CodeExercise-Python-27k - - train chat_rounds>messages - -
        codefuse-ai/Evol-instruction-66k - - train instruction>query,output>response - -
        damo/MSAgent-Bench - - train,validation - - default|||,mini||several-tools|
        damo/nlp_polylm_multialpaca_sft - - train - - ar|||,de|||,es|||,fr|||,id|||,ja|||,ko|||,pt|||,ru|||,th|||,vi|||
        damo/zh_cls_fudan-news - - train prompt>query,answer>response - -
        damo/zh_ner-JAVE - - train prompt>query,answer>response - -
        DAMO_NLP/jd - - train,validation - - default||named-sentiment|,cls|default||sentence>query
        FreedomIntelligence/medical-o1-reasoning-SFT FreedomIntelligence/medical-o1-reasoning-SFT - train - - \
        en|||,zh|||
        hjh0119/shareAI-Llama3-DPO-zh-en-emoji shareAI/DPO-zh-en-emoji - train answer_zh>response,\
        answer_en>rejected_response without-emoji-marks -
        huangjintao/AgentInstruct_copy - - train - loose-messages alfworld|||,db|||,kg|||,mind2web|||,os|||,webshop|||
        HumanLLMs/Human-Like-DPO-Dataset HumanLLMs/Human-Like-DPO-Dataset - train prompt>query,chosen>response,\
        rejected>rejected_response - -
        iic/100PoisonMpts - - train prompt>query,answer>response - -
        iic/DocQA-RL-1.6K Tongyi-Zhiwen/DocQA-RL-1.6K - train prompt>messages - -
        iic/ms_agent - - train - - -
        iic/ms_bench - - train - nameless-bench -
        iic/MSAgent-MultiRole - - train - several-roles -
        iic/MSAgent-Pro - - train - - -
        liucong/Chinese-DeepSeek-R1-Distill-data-110k-SFT Congliu/Chinese-DeepSeek-R1-Distill-data-110k-SFT - \
        train - - -
        LLM-Research/xlam-function-calling-60k Salesforce/xlam-function-calling-60k - train - - \
        default|dataset|calls-in-column|,grpo|dataset|code|
        lmms-lab/multimodal-open-r1-8k-verified lmms-lab/multimodal-open-r1-8k-verified - train - - -
        lvjianjin/AdvertiseGen shibing624/AdvertiseGen - train,validation content>query,summary>response \
        advertisement -
        mapjack/openwebtext_dataset - - train - - -
        modelscope/chinese-poetry-collection - - test text1>response - -
        modelscope/clue clue - train,validation - named-inference cmnli|||
        modelscope/DuReader_robust-QG - - train,validation,test - question-generation -
        modelscope/gsm8k - - train - - main|||
        modelscope/MathR - - train - - default|||,clean|||
        modelscope/MathR-32B-Distill - - train - - data|||
        MTEB/scidocs-reranking mteb/scidocs-reranking - validation,test - - -
        MTEB/stackoverflowdupquestions-reranking mteb/stackoverflowdupquestions-reranking - train,test - - -
        OmniData/Zhihu-KOL wangrui6/Zhihu-KOL - train - - -
        OmniData/Zhihu-KOL-More-Than-100-Upvotes bzb2023/Zhihu-KOL-More-Than-100-Upvotes - train - - -
        open-r1/DAPO-Math-17k-Processed open-r1/DAPO-Math-17k-Processed - train - - all|||
        open-r1/verifiable-coding-problems-python open-r1/verifiable-coding-problems-python - train \
        problem_statement>query - -
        open-r1/verifiable-coding-problems-python-10k open-r1/verifiable-coding-problems-python-10k - train - - -
        open-r1/verifiable-coding-problems-python-10k_decontaminated \
        open-r1/verifiable-coding-problems-python-10k_decontaminated - train - - -
        open-r1/verifiable-coding-problems-python_decontaminated \
        open-r1/verifiable-coding-problems-python_decontaminated - train problem_statement>query - -
        open-thoughts/OpenThoughts-114k open-thoughts/OpenThoughts-114k - train - - -
        PowerInfer/LONGCOT-Refine-500K PowerInfer/LONGCOT-Refine-500K - train - - -
        PowerInfer/QWQ-LONGCOT-500K PowerInfer/QWQ-LONGCOT-500K - train - - -
        sapientinc/sudoku-extreme-1k sapientinc/sudoku-extreme-1k - train - sudoku -
        sentence-transformers/stsb sentence-transformers/stsb - train - - default||positive-pair|,\
        positive||near-pair|,generate||score-as-text|,reg||scored-question|
        ServiceNow-AI/R1-Distill-SFT ServiceNow-AI/R1-Distill-SFT - train - - \
        v0|||problem>query;reannotated_assistant_content>response,v1|||messages>_;reannotated_messages>messages
        shenweizhou/alpha-umi-toolbench-processed-v2 - - train - named-answerer backbone|||,caller|||,planner|||,\
        summarizer|||
        simpleai/HC3 Hello-SimpleAI/HC3 - train - code -
        simpleai/HC3-Chinese Hello-SimpleAI/HC3-Chinese - train - code -
        swift/aya_collection CohereForAI/aya_collection - train inputs>query,targets>response - aya_dataset|||
        swift/ChartQA HuggingFaceM4/ChartQA - train label>response - -
        swift/chinese-c4 shjwudp/chinese-c4 - train - - -
        swift/Chinese-Qwen3-235B-2507-Distill-data-110k-SFT - - train - - -
        swift/Chinese-Qwen3-235B-Thinking-2507-Distill-data-110k-SFT - - train - - -
        swift/cinepile tomg-group-umd/cinepile - train yt_clip_link>videos,question>query,answer_key>response - -
        swift/classical_chinese_translate - - train - - -
        swift/cosmopedia-100k HuggingFaceTB/cosmopedia-100k - train - - -
        swift/dolma allenai/dolma - train - - v1_7|||
        swift/dolphin cognitivecomputations/dolphin - train - - flan1m-alpaca-uncensored|||,flan5m-alpaca-uncensored|||
        swift/GenQA tomg-group-umd/GenQA - code,dialog,general,math,mmlu,multiple_choice,writing,academic,task \
        text>messages - -
        swift/github-code codeparrot/github-code - train code>response - -
        swift/Infinity-Instruct BAAI/Infinity-Instruct - train label>_ - 3M|||,7M|||,0625|||,Gen|||,7M_domains|||
        swift/llava-med-zh-instruct-60k BUAADreamer/llava-med-zh-instruct-60k - train - - -
        swift/longwriter-6k-filtered - - train - - -
        swift/medical_zh - - train,val,test - - en|||input>query;output>response,zh|||instruction>query;output>response
        swift/moondream2-coyo-5M-captions isidentical/moondream2-coyo-5M-captions - train url>images,\
        moondream2_caption>response - -
        swift/no_robots HuggingFaceH4/no_robots - train - - -
        swift/OpenHermes-2.5 teknium/OpenHermes-2.5 - train - - -
        swift/orca_dpo_pairs Intel/orca_dpo_pairs - train question>query,chosen>response,rejected>rejected_response - -
        swift/path-vqa flaviagiammarino/path-vqa - train question>query,answer>response - -
        swift/pile-val-backup mit-han-lab/pile-val-backup - validation - - -
        swift/RedPajama-Data-1T togethercomputer/RedPajama-Data-1T - train - - -
        swift/RedPajama-Data-V2 togethercomputer/RedPajama-Data-V2 - train raw_content>response - -
        swift/self-cognition modelscope/self-cognition self-cognition train - - default|||,qwen3||no-think|,\
        empty_think||empty-thought|
        swift/sharegpt - - train - - common-zh|||,unknow-zh|||,common-en|||
        swift/SlimOrca Open-Orca/SlimOrca - train - - -
        swift/swift-sft-mixture - - train - - sharegpt|||,firefly|||,codefuse|||,metamathqa|||
        swift/tagengo-gpt4 lightblue/tagengo-gpt4 - train - - -
        swift/ToolBench - - train - - -
        swift/train_3.5M_CN BelleGroup/train_3.5M_CN - train - - -
        swift/ultrachat_200k HuggingFaceH4/ultrachat_200k - train_sft - - -
        swift/VQAv2 HuggingFaceM4/VQAv2 - train question>query,multiple_choice_answer>response - -
        swift/WebInstructSub TIGER-Lab/WebInstructSub - train question>query,answer>response - -
        swift/wikipedia wikipedia - train - - -
        tastelikefeet/competition_math - - train - - default|||
        TIGER-Lab/MATH-plus TIGER-Lab/MATH-plus - train - - train|||
        wyj123456/code_alpaca_en sahil2801/CodeAlpaca-20k - train - - -
        wyj123456/finance_en ssbuild/alpaca_finance_en - train - - -
        wyj123456/GPT4all - - train - - -
        wyj123456/instinwild - - train - - default|||,subset|||
        wyj123456/instruct - - train prompt>query,completion>response - -
        YorickHe/CoT - - train - - -
        YorickHe/CoT_zh - - train - - -
        ZefanCai/Open-Jev - open_jev_clef train - code -
        ZefanCai/Open-Jev - open_jev_jev train - code -
        ZefanCai/Open-Jev - open_jev_omnijev train - code -
        ZefanCai/Open-Jev-v1.1 - open_jev_clef_v11 train - code community-hard-mix-v2-redistributable|||
        ZefanCai/Open-Jev-v1.1 - open_jev_jev_v11 train - code community-hard-mix-v2-redistributable|||
        ZefanCai/Open-Jev-v1.1 - open_jev_omnijev_v11 train - code community-hard-mix-v2-redistributable|||
        ZhipuAI/LongWriter-6k zai-org/LongWriter-6k - train - - -
        zouxuhong/Countdown-Tasks-3to4 - - train - countdown default|||
        """
}
