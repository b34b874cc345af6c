extension AgentTemplate {
    /// The agent templates by their names in ms-swift.
    static let named: [String: AgentTemplate] = [
        "react_en": react(reactEnglish), "react_zh": react(reactChinese), "react_grpo": react(reactThinking),
        "qwen_en": qwen(english: true, qwenEnglish), "qwen_zh": qwen(english: false, qwenChinese),
        "qwen_en_parallel": qwen(english: true, qwenEnglishParallel),
        "qwen_zh_parallel": qwen(english: false, qwenChineseParallel),
        "toolbench": AgentTemplate(tools: toolBench),
        "hermes": hermes(), "hunyuan_hermes": hunyuan, "youtu": youtu,
        "llama3": llama("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        "llama4": llama("<|header_start|>", "<|header_end|>", "<|eot|>"),
        "chatglm4": glm(greets: true), "glm4": glm(greets: false),
        "glm4_5": glmTags(breaksLines: true, wraps: true), "glm4_7": glmTags(breaksLines: false, wraps: true),
        "glm5_1": glmTags(breaksLines: false, wraps: false),
        "qwen3_coder": qwenCoder, "qwen3_5": qwen35, "deepseek_v3_1": deepSeek, "mistral": mistral,
        "minimax_m2": miniMax, "minicpm5": miniCPM, "hy_v3_preview": hunyuanTags(""),
        "hy_v3": hunyuanTags(":opensource"),
        "ling3": ling, "spark2_5": spark, "xing4_0": xing, "seed_oss": seed, "gemma4": gemma4,
        "deepseek_v4": deepSeek4, "deepseek_v41": deepSeek41, "kimi_k25": kimi25, "kimi_k3": kimi3,
        "minimax_m3": miniMax3,
    ]

    // MARK: ReAct

    private static func react(_ tools: String) -> AgentTemplate {
        AgentTemplate(
            tools: tools, standalone: "{% for result in results +%}\n{{ observation }}\n{{ result }}{% endfor %}")
    }

    /// The functions of wrapped tools with their names and parameters in one line.
    private static let reactFunctions = """
        {%- macro lines(english) %}{% for tool in tools %}{% set f = tool.function or tool -%}
        {% set name = f.name_for_model or f.name %}{% set human = f.name_for_human or name -%}
        {% set parameters = f.parameters or {} -%}
        {% set about = f.description if f.description is defined else f.description_for_model -%}
        {% if english %}{{ name }}: Call this tool to interact with the {{ human }} API. What is the {{ human }} API \
        useful for? {{ about }} Parameters: {{ parameters if parameters is string else parameters | tojson }} Format the \
        arguments as a JSON object.{% else %}{{ name }}: 调用此工具与 {{ human }} API 进行交互。{{ human }} 有什么用？\
        {{ about }} 输入参数：{{ parameters if parameters is string else parameters | tojson }} 此工具的输入应为JSON对象。\
        {% endif %}{% if not loop.last +%}\n\n{% endif %}{% endfor %}{% endmacro -%}
        {% macro names() %}{% for tool in tools %}{% set f = tool.function or tool %}{{ f.name_for_model or f.name }}\
        {% if not loop.last %},{% endif %}{% endfor %}{% endmacro -%}

        """

    private static let reactEnglish =
        reactFunctions + """
            Answer the following questions as best you can. You have access to the following tools:

            {{ lines(true) }}

            Use the following format:

            Question: the input question you must answer
            Thought: you should always think about what to do
            Action: the action to take, should be one of [{{ names() }}]
            Action Input: the input to the action
            Observation: the result of the action
            ... (this Thought/Action/Action Input/Observation can be repeated zero or more times)
            Thought: I now know the final answer
            Final Answer: the final answer to the original input question

            Begin!{{ '\\n' }}
            """

    private static let reactChinese =
        reactFunctions + """
            尽可能地回答以下问题。你可以使用以下工具:

            {{ lines(false) }}

            请按照以下格式进行:

            Question: 需要你回答的输入问题
            Thought: 你应该总是思考该做什么
            Action: 需要使用的工具，应该是[{{ names() }}]中的一个
            Action Input: 传入工具的内容
            Observation: 行动的结果
            ... (这个Thought/Action/Action Input/Observation可以重复N次)
            Thought: 我现在知道最后的答案
            Final Answer: 对原始输入问题的最终答案

            现在开始！{{ '\\n' }}
            """

    private static let reactThinking =
        reactFunctions + """
            A conversation for tool calling between User and Assistant. The user asks a question which may be solved by \
            calling tools, and the Assistant solves it. The assistant first thinks about the reasoning process in the mind \
            and then provides the user with the answer. The reasoning process should be enclosed within <think> \
            </think>tags and answer should follow the ReACT format(Action:xxx
            Action Input:xxx), i.e., <think> reasoning process here </think> Action: action here
            Action Input: parameters here

            Answer the following questions as best as you can. You have access to the following tools:

            {{ lines(true) }}

            Use the following format:

            <think>you should always think about what to do</think>
            Action: the action to take, should be one of [{{ names() }}]
            Action Input: the input to the action
            Observation: the result of the action, given by the actual calling
            ... (this Thought/Action/Action Input/Observation can be repeated zero or more times)
            Final Answer: the final answer to the original input question

            Begin!{{ '\\n' }}
            """

    // MARK: Qwen before tool tags

    private static func qwen(english: Bool, _ rest: String) -> AgentTemplate {
        let (heading, access) = english ? ("Tools", "You have access to the following tools:") : ("工具", "你拥有如下工具：")
        let (parameters, format) =
            english
            ? ("Parameters:", "Format the arguments as a JSON object.") : ("输入参数：", "此工具的输入应为JSON对象。")
        let source = """
            {{ system or '' }}

            # \(heading)

            ## \(access)

            {% for tool in tools %}{% set f = tool.function or tool -%}
            {% set name = f.name_for_model or f.name %}{% set parameters = f.parameters or {} -%}
            {% set about = f.description if f.description is defined else f.description_for_model -%}
            ### {{ f.name_for_human or name }}

            {{ name }}: {{ about }} \(parameters)\(english ? " " : "")\
            {{ parameters if parameters is string else parameters | tojson }} \(format){{ '\\n\\n' }}{% endfor -%}
            {% set names = tools | map(attribute='function') | map(attribute='name') | join(',') -%}

            """
        var template = AgentTemplate(tools: source + rest)
        template.words = ReActWords(action: "✿FUNCTION✿:", input: "✿ARGS✿:", observation: "✿RESULT✿:")
        return template
    }

    private static let qwenEnglish = """
        ## When you need to call a tool, please insert the following command in your reply, which can be called zero or \
        multiple times according to your needs:

        ✿FUNCTION✿: The tool to use, should be one of [{{ names }}]
        ✿ARGS✿: The input of the tool
        ✿RESULT✿: Tool results
        ✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)
        """

    private static let qwenChinese = """
        ## 你可以在回复中插入零次、一次或多次以下命令以调用工具：

        ✿FUNCTION✿: 工具名称，必须是[{{ names }}]之一。
        ✿ARGS✿: 工具输入
        ✿RESULT✿: 工具结果
        ✿RETURN✿: 根据工具结果进行回复，需将图片用![](url)渲染出来
        """

    private static let qwenEnglishParallel = """
        ## Insert the following command in your reply when you need to call N tools in parallel:

        ✿FUNCTION✿: The name of tool 1, should be one of [{{ names }}]
        ✿ARGS✿: The input of tool 1
        ✿FUNCTION✿: The name of tool 2
        ✿ARGS✿: The input of tool 2
        ...
        ✿FUNCTION✿: The name of tool N
        ✿ARGS✿: The input of tool N
        ✿RESULT✿: The result of tool 1
        ✿RESULT✿: The result of tool 2
        ...
        ✿RESULT✿: he result of tool N
        ✿RETURN✿: Reply based on tool results. Images need to be rendered as ![](url)
        """

    private static let qwenChineseParallel = """
        ## 你可以在回复中插入以下命令以并行调用N个工具：

        ✿FUNCTION✿: 工具1的名称，必须是[{{ names }}]之一
        ✿ARGS✿: 工具1的输入
        ✿FUNCTION✿: 工具2的名称
        ✿ARGS✿: 工具2的输入
        ...
        ✿FUNCTION✿: 工具N的名称
        ✿ARGS✿: 工具N的输入
        ✿RESULT✿: 工具1的结果
        ✿RESULT✿: 工具2的结果
        ...
        ✿RESULT✿: 工具N的结果
        ✿RETURN✿: 根据工具结果进行回复，需将图片用![](url)渲染出来
        """

    private static let toolBench = """
        You can use many tools(functions) to do the following task.
        First I will give you the task description, and your task start.
        At each step, you need to give your thought to analyze the status now and what to do next, with a function call to \
        actually execute your step. Your output should follow this format:
        Thought:
        Action:
        Action Input:

        After the call, you will get the call result, and you are now in a new state.
        Then you will analyze your status now, then decide what to do next...
        After many (Thought-call) pairs, you finally perform the task, then you can give your final answer.
        Remember:
        1.the state change is irreversible, you can't go back to one of the former state, if you want to restart the task, \
        say "I give up and restart".
        2.All the thought is short, at most in 5 sentence.
        3.You can do more then one try, so if your plan is to continuously try some conditions, you can do one of the \
        conditions per try.
        Let's Begin!
        Task description: You should use functions to help handle the real time user queries. Remember:
        1.ALWAYS call "Finish" function at the end of the task. And the final answer should contain enough information to \
        show to the user,If you can't handle the task, or you find that function calls always fail(the function is not valid \
        now), use function Finish->give_up_and_restart.
        2.Do not use origin tool names, use only subfunctions' names.
        Specifically, you have access to the following APIs: {{ tools | map(attribute='function') | list | tojson }}
        """
}
