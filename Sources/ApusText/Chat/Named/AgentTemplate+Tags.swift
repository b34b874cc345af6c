import Foundation

/// Formats whose calls stand between tags.
extension AgentTemplate {
    private static let toolsOneALine = "{{ tools | map('tojson') | join('\\n') }}"
    private static let functionsOneALine = "{{ tools | map(attribute='function') | map('tojson') | join('\\n') }}"
    private static let callsOneALine = "{% for call in calls %}{{ '\\n' if not loop.first }}"

    private static let signatures = """
        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>

        """

    static func hermes() -> AgentTemplate {
        AgentTemplate(
            tools: """
                {{ system or '' }}

                \(signatures)\(toolsOneALine)
                </tools>

                For each function call, return a json object with function name and arguments within \
                <tool_call></tool_call> XML tags:
                <tool_call>
                {"name": <function-name>, "arguments": <args-json-object>}
                </tool_call>
                """,
            calls: callsOneALine + "<tool_call>\n{{ call | tojson }}\n</tool_call>{% endfor %}",
            results: "{% for result in results %}{{ '\\n' if not loop.first }}<tool_response>\n{{ result }}\n"
                + "</tool_response>{% endfor %}",
            place: .question())
    }

    static var hunyuan: AgentTemplate {
        var template = hermes()
        template.tools = """
            {{ system ~ '\\n\\n' if system }}\(signatures)\(toolsOneALine)
            </tools>

            For function call returns, you should first print <tool_calls>For each function call, you should return object \
            like:
            <tool_call>function_name
            ```json
            function_arguments_in_json_format
            ```</tool_call>At the end of function call returns, you should print </tool_calls>
            """
        template.calls = "<tool_calls>\n\(template.calls){{ '\\n' }}</tool_calls>"
        template.results =
            "<tool_responses>{% for result in results %}{{ '\\n' if not loop.first }}<tool_response>{{ result }}"
            + "</tool_response>{% endfor %}</tool_responses>"
        return template
    }

    static var youtu: AgentTemplate {
        AgentTemplate(
            tools: """
                {{ system ~ '\\n\\n' if system }}<|begin_of_tool_description|>Tool calling capabilities.
                You may call one or more functions to assist with the user query. You have the following functions available:
                {% for tool in tools %}```json
                {{ tool | tojson }}
                ```
                {% endfor %}For tool call returns, you MUST use the following format:
                <tool_call>{"name": "function-name", "arguments": {"param1": "value1", "param2": "value2"}}</tool_call>
                <|end_of_tool_description|>
                """,
            calls: "{% for call in calls %}<tool_call>{{ call | tojson }}</tool_call>{% endfor %}",
            results:
                "{% for result in results %}{{ '\\n' if not loop.first }}<tool_response>{{ result }}</tool_response>"
                + "{% endfor %}",
            place: .question())
    }

    static func llama(_ start: String, _ end: String, _ close: String) -> AgentTemplate {
        AgentTemplate(
            tools: "{{ system or '' }}",
            question: """
                Given the following functions, please respond with a JSON for a function call with its proper arguments that \
                best answers the given prompt.

                Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}. Do \
                not use variables.

                {% for tool in tools %}{{ '\\n\\n' if not loop.first }}{{ tool | tojson(indent=4) }}{% endfor +%}

                {{ question }}
                """,
            calls: callsOneALine + "{{ {'name': call.name, 'parameters': call.arguments} | tojson }}{% endfor %}",
            results: """
                \(close){% for result in results %}\(start)tool\(end)

                {{ result }}\(close){% endfor %}\(start)assistant\(end){{ '\\n\\n' }}
                """)
    }

    static func glm(greets: Bool) -> AgentTemplate {
        let greeting = "你是一个名为 GLM-4 的人工智能助手。你是基于智谱AI训练的语言模型 GLM-4 模型开发的，你的任务是针对用户的问题和要求提供适当的答复和支持。\n\n"
        return AgentTemplate(
            tools: """
                \(greets ? greeting : "")# 可用工具

                {% for tool in tools %}{{ '\\n' if not loop.first }}## {{ tool.function.name }}

                {{ tool.function | tojson(indent=4) }}
                在调用上述函数时，请使用 Json 格式表示调用的参数。{% endfor +%}
                """,
            calls: "{% for call in calls %}{{ '<|assistant|>' if not loop.first }}{{ call.name }}\n{{ call.arguments }}"
                + "{% endfor %}<|observation|>",
            results: "\n{% for result in results %}{{ '<|observation|>\\n' if not loop.first }}{{ result }}{% endfor %}"
                + "<|assistant|>{{ '\\n' }}",
            standalone: "{% for result in results %}<|observation|>\n{{ result }}{% endfor %}")
    }

    /// GLM from 4.5 on.
    ///
    /// - Parameters:
    ///   - breaksLines: Whether each tag has its line.
    ///   - wraps: Whether tools are listed with their type.
    static func glmTags(breaksLines: Bool, wraps: Bool) -> AgentTemplate {
        let line = breaksLines ? "\n" : ""
        let example =
            [
                "<tool_call>{function-name}", "<arg_key>{arg-key-1}</arg_key>", "<arg_value>{arg-value-1}</arg_value>",
                "<arg_key>{arg-key-2}</arg_key>", "<arg_value>{arg-value-2}</arg_value>", "...", "</tool_call>",
            ]
            .joined(separator: line)
        let head = breaksLines ? "" : "{{ '\\n' if not (system or '') | trim }}"
        var template = AgentTemplate(
            tools: """
                \(head)\(signatures)\(wraps ? toolsOneALine : functionsOneALine)
                </tools>

                For each function call, output the function name and arguments within the following XML format:
                \(example){{ '<|system|>\\n' ~ system | trim if system and system | trim }}
                """,
            calls:
                "{% for call in calls %}{{ '\(breaksLines ? "\\n" : "")' if not loop.first }}<tool_call>{{ call.name }}"
                + "{% for key, value in call.arguments.items() +%}\(line)<arg_key>{{ key }}</arg_key>\(line)<arg_value>"
                + "{{ value if value is string else value | tojson }}</arg_value>{% endfor +%}\(line)</tool_call>{% endfor %}"
                + "<|observation|>",
            results: breaksLines
                ? "{% for result in results +%}\n<tool_response>\n{{ result }}\n</tool_response>{% endfor %}"
                    + "<|assistant|>{{ '\\n' }}"
                : "{% for result in results %}<tool_response>{{ result }}</tool_response>{% endfor %}<|assistant|>",
            standalone: breaksLines
                ? "<|observation|>{% for result in results +%}\n<tool_response>\n{{ result }}\n</tool_response>{% endfor %}"
                : "<|observation|>{% for result in results %}<tool_response>{{ result }}</tool_response>{% endfor %}")
        if breaksLines {
            template.separator = { answer in
                let trimmed = answer.trimmingCharacters(in: .whitespacesAndNewlines)
                return trimmed.isEmpty ? (answer, "") : (trimmed, "\n")
            }
        }
        return template
    }

    private static let coderEnd = """
        </tools>

        If you choose to call a function ONLY reply in the following format with NO suffix:

        <tool_call>
        <function=example_function_name>
        <parameter=example_parameter_1>
        value_1
        </parameter>
        <parameter=example_parameter_2>
        This is the value for the second parameter
        that can span
        multiple lines
        </parameter>
        </function>
        </tool_call>

        <IMPORTANT>
        Reminder:
        - Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within \
        <tool_call></tool_call> XML tags
        - Required parameters MUST be specified
        - You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
        - If there is no function call available, answer the question like normal with your current knowledge and do not tell \
        the user about function calls
        </IMPORTANT>
        """

    private static let coderCalls = """
        {%- for call in calls %}{{ '\\n' if not loop.first }}<tool_call>
        <function={{ call.name }}>
        {% for key, value in call.arguments.items() %}<parameter={{ key }}>
        {{ value if value is string or value is number and value is not boolean else value | tojson }}
        </parameter>
        {% endfor %}</function>
        </tool_call>{% endfor +%}
        """

    static var qwenCoder: AgentTemplate {
        var template = AgentTemplate(
            tools: """
                {%- macro extra(value, known) %}{% if value is mapping %}{% for key, item in value.items() -%}
                {% if key not in known %}{{ '\\n' }}<{{ key }}>{{ item | tojson }}</{{ key }}>{% endif %}{% endfor %}{% endif -%}
                {% endmacro -%}
                {{ system if system is not none else \
                'You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks.' }}

                # Tools

                You have access to the following functions:

                <tools>
                {% for tool in tools %}{% set f = tool.function or tool %}<function>
                <name>{{ f.name }}</name>
                {%- if 'description' in f +%}
                <description>{{ f.description | trim }}</description>{% endif +%}
                <parameters>
                {%- if f.parameters is mapping and f.parameters.properties is mapping -%}
                {% for name, fields in f.parameters.properties.items() +%}
                <parameter>
                <name>{{ name }}</name>
                {%- if 'type' in fields +%}
                <type>{{ fields.type }}</type>{% endif -%}
                {% if 'description' in fields +%}
                <description>{{ fields.description | trim }}</description>{% endif -%}
                {{ extra(fields, ['name', 'type', 'description']) }}
                </parameter>{% endfor %}{% endif -%}
                {{ extra(f.parameters, ['type', 'properties']) }}
                </parameters>{{ extra(f, ['type', 'name', 'description', 'parameters']) }}
                </function>
                {% endfor %}\(coderEnd)
                """,
            calls: coderCalls,
            results: "{% for result in results %}<tool_response>\n{{ result }}\n</tool_response>\n{% endfor %}",
            place: .question())
        template.separator = { answer in
            let trimmed = answer.trimmingCharacters(in: .whitespacesAndNewlines)
            return (trimmed, trimmed.isEmpty ? "" : "\n\n")
        }
        return template
    }

    static var qwen35: AgentTemplate {
        var template = hermes()
        template.tools = """
            # Tools

            You have access to the following functions:

            <tools>
            \(toolsOneALine)
            \(coderEnd){{ '\\n\\n' ~ system if system }}
            """
        template.calls = coderCalls
        template.separator = { answer in
            let said = answer.components(separatedBy: "</think>").last ?? ""
            return (answer, said.trimmingCharacters(in: .whitespacesAndNewlines).isEmpty ? "" : "\n\n")
        }
        return template
    }

    static var deepSeek: AgentTemplate {
        AgentTemplate(
            tools: """
                {{ system or '' }}

                ## Tools
                You have access to the following tools:

                {% for tool in tools %}{{ '\\n\\n' if not loop.first }}### {{ tool.function.name }}
                Description: {{ tool.function.description or '' }}

                Parameters: {{ (tool.function.parameters or {}) | tojson }}{% endfor +%}

                IMPORTANT: ALWAYS adhere to this exact format for tool use:
                <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<｜tool▁call▁end｜>\
                {{ '{additional_tool_calls}' }}<｜tool▁calls▁end｜>

                Where:
                - `tool_call_name` must be an exact match to one of the available tools
                - `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
                - For multiple tool calls, chain them directly without separators or spaces
                """,
            calls: "<｜tool▁calls▁begin｜>{% for call in calls %}<｜tool▁call▁begin｜>{{ call.name }}<｜tool▁sep｜>"
                + "{{ call.arguments | tojson }}<｜tool▁call▁end｜>{% endfor %}<｜tool▁calls▁end｜>",
            results: "<｜end▁of▁sentence｜>{% for result in results %}<｜tool▁output▁begin｜>{{ result }}"
                + "<｜tool▁output▁end｜>{% endfor %}")
    }

    static var mistral: AgentTemplate {
        AgentTemplate(
            tools: "{{ system or '' }}[AVAILABLE_TOOLS]{{ tools | map('tojson') | join(' ') }}[/AVAILABLE_TOOLS]",
            calls: "[TOOL_CALLS][\n{{ calls | map('tojson') | join('\\n') }}\n]</s>",
            results:
                "{% for result in results %}{{ '\\n' if not loop.first }}[TOOL_RESULTS]{{ {'content': result} | tojson }}"
                + "[/TOOL_RESULTS]{% endfor %}",
            place: .question(), goesOnInReAct: false)
    }

    static var miniMax: AgentTemplate {
        AgentTemplate(
            tools: """
                {{ system or '' }}

                # Tools
                You may call one or more tools to assist with the user query.
                Here are the tools available in JSONSchema format:

                <tools>
                {% for tool in tools %}<tool>{{ tool.function | tojson }}</tool>
                {% endfor %}</tools>

                When making tool calls, use XML format to invoke tools and pass parameters:

                <minimax:tool_call>
                <invoke name="tool-name-1">
                <parameter name="param-key-1">param-value-1</parameter>
                <parameter name="param-key-2">param-value-2</parameter>
                ...
                </invoke>
                </minimax:tool_call>
                """,
            calls: """
                <minimax:tool_call>
                {% for call in calls %}<invoke name="{{ call.name }}">
                {% for key, value in call.arguments.items() %}{{ '\\n' if not loop.first }}<parameter name="{{ key }}">\
                {{ value if value is string else value | tojson }}</parameter>{% endfor +%}
                </invoke>
                {% endfor %}</minimax:tool_call>
                """,
            results:
                "{% for result in results %}{{ '\\n' if not loop.first }}<response>{{ result }}</response>{% endfor %}",
            place: .question(as: "tool"))
    }

    static var miniCPM: AgentTemplate {
        var template = hermes()
        template.tools = """
            {{ system ~ '\\n\\n' if system }}# Tools

            You are provided with function signatures within <tools></tools> XML tags:
            <tools>
            \(toolsOneALine)
            </tools>

            Tool usage guidelines:
            - You may call zero or more functions. If no function calls are needed, just answer normally and do not include \
            any <function ... </function>.
            - When calling a function, return an XML object within <function ... </function> using:
            <function name="function-name"><param name="param-name">param-value</param></function>
            - param-value may be multi-line. If it contains <, & or newline characters, wrap it in a CDATA block: <param \
            name="param-name"><![CDATA[...multi-line value...]]></param>
            """
        template.calls = """
            {%- for call in calls %}{{ '\\n' if not loop.first }}<function name="{{ call.name }}">\
            {% for key, value in call.arguments.items() %}<param name="{{ key }}">\
            {% if value is not string %}{{ value | tojson }}{% elif '<' in value or '&' in value or '\\n' in value %}\
            <![CDATA[{{ value }}]]>{% else %}{{ value }}{% endif %}</param>{% endfor %}</function>{% endfor +%}
            """
        return template
    }

    static func hunyuanTags(_ mark: String) -> AgentTemplate {
        AgentTemplate(
            tools: """
                {{ system ~ '\\n\\n' if system }}\(signatures)\(toolsOneALine)
                </tools>

                For function call returns, you should first print <tool_calls\(mark)>
                For each function call, you should return object like:
                <tool_call\(mark)>{function-name}<tool_sep\(mark)>
                <arg_key\(mark)>{arg-key-1}</arg_key\(mark)>
                <arg_value\(mark)>{arg-value-1}</arg_value\(mark)>
                <arg_key\(mark)>{arg-key-2}</arg_key\(mark)>
                <arg_value\(mark)>{arg-value-2}</arg_value\(mark)>
                ...
                </tool_call\(mark)>
                At the end of function call returns, you should print </tool_calls\(mark)>
                """,
            calls: """
                <tool_calls\(mark)>
                {% for call in calls %}<tool_call\(mark)>{{ call.name }}<tool_sep\(mark)>
                {% for key, value in call.arguments.items() %}{{ '\\n' if not loop.first }}<arg_key\(mark)>{{ key }}\
                </arg_key\(mark)>
                <arg_value\(mark)>{{ value if value is string else value | tojson }}</arg_value\(mark)>{% endfor +%}
                </tool_call\(mark)>
                {% endfor %}</tool_calls\(mark)>
                """,
            results: """
                <｜hy_eos\(mark)｜><tool_responses\(mark)>
                {% for result in results %}<tool_response\(mark)>
                {{ result }}
                </tool_response\(mark)>
                {% endfor %}</tool_responses\(mark)><｜hy_Assistant\(mark)｜>
                """)
    }

    static var ling: AgentTemplate {
        let results =
            "<|role_end|><role>OBSERVATION</role>{% for result in results +%}\n<tool_response>\n{{ result }}\n"
            + "</tool_response>{% endfor %}"
        return AgentTemplate(
            tools: """
                {{ system | trim ~ '\\n' if system and system | trim }}\(signatures)\(toolsOneALine)
                </tools>

                If none of the functions can be used, point it out. If the given question lacks the parameters required by the \
                function, also point it out.
                If you need to use a function, for each function call, output the function name and arguments within the \
                following XML format:
                <tool_call>{function-name}
                <arg_key>{arg-key-1}</arg_key>
                <arg_value>{arg-value-1}</arg_value>
                <arg_key>{arg-key-2}</arg_key>
                <arg_value>{arg-value-2}</arg_value>
                ...
                </tool_call>{{ '\\n' }}
                """,
            calls: callsOneALine
                + "<tool_call>{{ call.name }}{% for key, value in call.arguments.items() %}<arg_key>{{ key }}"
                + "</arg_key>\n<arg_value>{{ value if value is string else value | tojson }}</arg_value>{% endfor +%}\n"
                + "</tool_call>{% endfor %}",
            results: results + "<|role_end|><role>ASSISTANT</role>{{ '\\n' }}",
            standalone: results)
    }

    static var spark: AgentTemplate {
        let (begin, end) = ("<｜start▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
        let results =
            "\(end)\(begin)<|Tool|>{% for result in results %}<tool_response>{{ result }}</tool_response>{% endfor %}"
        return AgentTemplate(
            tools: """
                ## Tools
                You have access to the following functions:
                <tools>
                \(functionsOneALine)
                </tools>{{ '\\n\\n' ~ system if system }}
                """,
            calls: "{% for call in calls %}<tool_call>{{ call.name }}{% for key, value in call.arguments.items() %}"
                + "<arg_key>{{ key }}</arg_key><arg_value>{{ value if value is string else value | tojson }}</arg_value>"
                + "{% endfor %}</tool_call>{% endfor %}",
            results: results + "\(end)\(begin)<|Bot|>",
            standalone: results)
    }
}
