/// Formats of single families of models, with languages of their own for schemas and values.
extension AgentTemplate {
    private static let valueOrJSON = "{{ value if value is string else value | tojson }}"

    // MARK: DeepSeek 4

    /// - Parameters:
    ///   - space: What stands between the mark and a tag's name.
    ///   - block: The tag around all calls.
    ///   - alwaysBreaks: Whether two line breaks stand before the tools without a system text too.
    private static func deepSeekMarkup(space: String, block: String, alwaysBreaks: Bool) -> AgentTemplate {
        let (open, close) = ("<｜DSML｜\(space)", "</｜DSML｜\(space)")
        return AgentTemplate(
            tools: """
                \(alwaysBreaks ? "{{ system or '' }}{{ '\\n\\n' }}" : "{{ system ~ '\\n\\n' if system }}")## Tools

                You have access to a set of tools to help answer the user's question. You can invoke tools by writing a \
                "\(open)\(block)>" block like the following:

                \(open)\(block)>
                \(open)invoke name="$TOOL_NAME">
                \(open)parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE\(close)parameter>
                ...
                \(close)invoke>
                \(open)invoke name="$TOOL_NAME2">
                ...
                \(close)invoke>
                \(close)\(block)>

                String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, \
                arrays, objects), pass the value in JSON format and set `string="false"`.

                If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside \
                <think>...</think> BEFORE any tool calls or final response.

                Otherwise, output directly after </think> with tool calls or final response.

                ### Available Tool Schemas

                {% for tool in tools %}{{ '\\n' if not loop.first }}{{ (tool.function or tool) | tojson }}{% endfor +%}

                You MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.{{ '\\n' }}
                """,
            calls: """
                {{ '\\n\\n' }}\(open)\(block)>
                {% for call in calls %}\(open)invoke name="{{ call.name }}">
                {% for key, value in call.arguments.items() %}{{ '\\n' if not loop.first }}\
                \(open)parameter name="{{ key }}" string="{{ 'true' if value is string else 'false' }}">\(valueOrJSON)\
                \(close)parameter>{% endfor +%}
                \(close)invoke>
                {% endfor %}\(close)\(block)>
                """,
            results: "<｜end▁of▁sentence｜><｜User｜>{% for result in results %}{{ '\\n\\n' if not loop.first }}"
                + "<tool_result>{{ result }}</tool_result>{% endfor %}<｜Assistant｜>")
    }

    static var deepSeek4: AgentTemplate { deepSeekMarkup(space: "", block: "tool_calls", alwaysBreaks: false) }
    static var deepSeek41: AgentTemplate { deepSeekMarkup(space: " ", block: "calls", alwaysBreaks: true) }

    // MARK: Gemma 4

    /// A value in Gemma's own notation, keys in order.
    private static let gemmaValue = #"""
        {%- macro written(value, quotes=true) -%}
        {%- if value is boolean -%}{{ 'true' if value else 'false' }}
        {%- elif value is string -%}{{ '<|"|>' ~ value ~ '<|"|>' }}
        {%- elif value is none -%}null
        {%- elif value is mapping -%}{{ '{' }}{%- for key, item in value | dictsort(true) -%}
        {{ ',' if not loop.first }}{{ '<|"|>' ~ key ~ '<|"|>' if quotes else key }}:{{ written(item, quotes) }}
        {%- endfor -%}{{ '}' }}
        {%- elif value is iterable -%}[{%- for item in value -%}
        {{ ',' if not loop.first }}{{ written(item, quotes) }}{%- endfor -%}]
        {%- else -%}{{ value }}{%- endif -%}
        {%- endmacro -%}

        """#

    /// The parameters of a tool.
    private static let gemmaSchema =
        gemmaValue + #"""
            {%- macro schema(properties, only=false) -%}
            {%- for key, value in properties | dictsort(true) if value is mapping and not \#
            (only and key in ['description', 'type', 'properties', 'required', 'nullable']) -%}
            {%- set type = value.type | upper if value.type is string else '' -%}
            {%- set fields = value['items'] -%}
            {{ ',' if not loop.first }}{{ key ~ ':{' }}
            {{- 'description:<|"|>' ~ value.description ~ '<|"|>,' if value.description }}
            {{- 'enum:' ~ written(value.enum) ~ ',' if type == 'STRING' and value.enum }}
            {%- if type == 'ARRAY' and fields is mapping and fields -%}{{ 'items:{' }}
            {%- for name, item in fields | dictsort(true) if item is not none -%}
            {{ ',' if not loop.first }}{{ name }}:
            {%- if name == 'properties' and item is mapping -%}{{ '{' ~ schema(item) ~ '}' }}
            {%- elif name == 'type' -%}
            {{ written(item | upper if item is string else item | map('string') | map('upper') | list) }}
            {%- else -%}{{ written(item) }}{%- endif -%}
            {%- endfor -%}{{ '},' }}{%- endif -%}
            {{ 'nullable:true,' if value.nullable }}
            {%- if type == 'OBJECT' -%}
            {%- set nested = value.properties is mapping -%}
            {{ 'properties:{' ~ schema(value.properties if nested else value, not nested) ~ '},' }}
            {{- 'required:' ~ written(value.required) ~ ',' if value.required }}
            {%- endif -%}
            {{ 'type:<|"|>' ~ type ~ '<|"|>}' }}
            {%- endfor -%}
            {%- endmacro -%}

            """#

    static var gemma4: AgentTemplate {
        var template = AgentTemplate(
            tools: gemmaSchema + #"""
                {{ (system or '') | trim }}
                {%- for tool in tools -%}
                {%- set f = tool.function -%}{%- set given = f.parameters or {} -%}
                {{ '<|tool>declaration:' ~ f.name ~ '{description:<|"|>' ~ (f.description or '') ~ '<|"|>' }}
                {%- set parts = (['properties:{' ~ schema(given.properties) ~ '}'] if given.properties else [])
                + (['required:' ~ written(given.required)] if given.required else [])
                + (['type:<|"|>' ~ given.type | upper ~ '<|"|>'] if given.type is string and given.type else []) -%}
                {{ ',parameters:{' ~ parts | join(',') ~ '}' if parts }}{{ '}<tool|>' }}
                {%- endfor -%}
                """#,
            calls: gemmaValue + #"""
                {%- for call in calls -%}
                {{ '<|tool_call>call:' ~ call.name ~ '{' }}
                {%- for key, value in (call.arguments if call.arguments is mapping else {}) | dictsort(true) -%}
                {{ ',' if not loop.first }}{{ key }}:{{ written(value, false) }}
                {%- endfor -%}{{ '}<tool_call|>' }}
                {%- endfor -%}
                """#,
            results: #"""
                {%- for result in results -%}
                {{ '<|tool_response>response:' ~ (senders[loop.index0].name or 'unknown') ~ '{value:<|"|>' ~ result }}
                {{- '<|"|>}<tool_response|>' }}
                {%- endfor -%}
                """#)
        template.openingOfResults = "<|tool_response>"
        return template
    }

    // MARK: Kimi

    static var kimi25: AgentTemplate {
        AgentTemplate(
            tools: #"""
                {%- set types = {'string': 'string', 'number': 'number', 'integer': 'number', 'boolean': 'boolean',
                'array': 'any[]', 'object': 'object', 'null': 'null'} -%}
                tool_declare<|im_middle|># Tools

                ## functions
                namespace functions {
                {% for tool in tools %}{% set f = tool.function or tool -%}
                {% set properties = (f.parameters or {}).properties or {} -%}
                {{ '\n' if not loop.first }}{{ '// ' ~ f.description ~ '\n' if f.description -}}
                type {{ f.name_for_model or f.name }} = (_: {{ '{' }}
                {%- for name, value in properties.items() -%}
                {{ '\n  // ' ~ value.description if value.description }}{{ '\n  ' ~ name }}: \#
                {{ types.get(value.type if value.type is string else '', 'any') }}{{ ',' if not loop.last else '\n' }}
                {%- endfor -%}
                {{ '}' }}) => any;{% endfor +%}
                }{{ '\n' }}{{ '<|im_end|><|im_system|>system<|im_middle|>' ~ system if system }}
                """#,
            calls: "<|tool_calls_section_begin|>{% for call in calls %}<|tool_call_begin|>functions.{{ call.name }}:"
                + "{{ loop.index0 }}<|tool_call_argument_begin|>{{ call.arguments | tojson }}<|tool_call_end|>"
                + "{% endfor %}<|tool_calls_section_end|>",
            results: #"""
                {%- set called = answer.split('<|tool_call_begin|>')[1:] -%}
                <|im_end|>{% for result in results %}<|im_system|>tool<|im_middle|>## Return of \#
                {% if loop.index0 < called | length %}\#
                {{ called[loop.index0].split('<|tool_call_argument_begin|>')[0] | trim }}{% else %}\#
                {{ senders[loop.index0].id or '' }}{% endif +%}
                {{ result }}<|im_end|>{% endfor %}<|im_assistant|>assistant<|im_middle|>
                """#)
    }

    static var kimi3: AgentTemplate {
        let escaped =
            "{% macro escaped(text) %}{{ text | replace('&', '&amp;') | replace('\"', '&quot;') }}{% endmacro %}"
        return AgentTemplate(
            tools: #"""
                role="system" type="tool-declare"<|sep|># Tools
                Here are the available tools, described in JSONSchema.

                ```json
                {{ tools | tojson(separators=(',', ':'), sort_keys=true) }}
                ```{{ '<|close|>message<|sep|><|end_of_msg|><|open|>message role="system"<|sep|>' ~ system if system }}
                """#,
            calls: escaped + #"""
                {{ '<|close|>response<|sep|>' if not continues }}<|open|>tools<|sep|>
                {%- for call in calls -%}
                <|open|>call tool="{{ escaped(call.name) }}" index="{{ loop.index }}"<|sep|>
                {%- if call.arguments is mapping -%}
                {%- for key, value in call.arguments.items() -%}
                <|open|>argument key="{{ escaped(key) }}" type="{{ 'boolean' if value is boolean else 'null' if value is none \#
                else 'number' if value is number else 'string' if value is string else 'object' if value is mapping \#
                else 'array' }}"<|sep|>\#(valueOrJSON)<|close|>argument<|sep|>
                {%- endfor -%}
                {%- else -%}
                {%- set value = call.arguments -%}<|open|>json type="object"<|sep|>\#(valueOrJSON)<|close|>json<|sep|>
                {%- endif -%}
                <|close|>call<|sep|>
                {%- endfor -%}
                <|close|>tools<|sep|>
                """#,
            // Names in calls are escaped already.
            results: escaped + #"""
                {%- set called = answer.split('<|open|>call tool="')[1:] -%}
                <|close|>message<|sep|><|end_of_msg|>
                {%- for result in results -%}
                <|open|>message role="tool" tool="\#
                {% if loop.index0 < called | length %}{{ called[loop.index0].split('" index="')[0] }}{% else %}\#
                {{ escaped(senders[loop.index0].name or '') }}{% endif %}" index="{{ loop.index }}"<|sep|>{{ result }}\#
                <|close|>message<|sep|><|end_of_msg|>
                {%- endfor -%}
                <|open|>message role="assistant"<|sep|>
                """#)
    }

    // MARK: MiniMax M3

    static var miniMax3: AgentTemplate {
        let mark = "]<]minimax[>["
        var template = miniMax
        template.tools = """
            {{ system or '' }}

            # Tools
            You may call one or more tools to assist with the user query.
            Here are the tools available in JSONSchema format:

            <tools>
            {% for tool in tools %}<tool>{{ (tool.function or tool) | tojson }}</tool>
            {% endfor %}</tools>

            To call tools, wrap all invocations in a single \(mark)<tool_call>\(mark)</tool_call> block. Parameter values \
            containing nested objects or arrays are recursively expanded into XML elements. Example:

            \(mark)<tool_call>
            \(mark)<invoke name="tool-name-1">\(mark)<param-1>value-1\(mark)</param-1>\(mark)<param-2>\(mark)<item>\
            \(mark)<key-a>val-a\(mark)</key-a>\(mark)<key-b>val-b\(mark)</key-b>\(mark)</item>\(mark)</param-2>\
            \(mark)</invoke>
            \(mark)<invoke name="tool-name-2">\(mark)<param-1>value-1\(mark)</param-1>\(mark)</invoke>
            \(mark)</tool_call>
            """
        template.calls = """
            {%- macro fields(values) -%}
            {%- for key, value in values.items() if value is not none -%}
            \(mark)<{{ key }}>{{ written(value) }}\(mark)</{{ key }}>
            {%- endfor -%}
            {%- endmacro -%}
            {%- macro written(value) -%}
            {%- if value is boolean -%}{{ value | tojson }}
            {%- elif value is mapping -%}{{ fields(value) }}
            {%- elif value is iterable and value is not string -%}
            {%- for item in value -%}\(mark)<item>{{ written(item) if item is not none }}\(mark)</item>{%- endfor -%}
            {%- else -%}{{ value }}{%- endif -%}
            {%- endmacro -%}
            \(mark)<tool_call>
            {% for call in calls %}\(mark)<invoke name="{{ call.name }}">{{ fields(call.arguments) }}\(mark)</invoke>
            {% endfor %}\(mark)</tool_call>
            """
        return template
    }

    // MARK: Seed

    static var seed: AgentTemplate {
        AgentTemplate(
            tools: #"""
                {%- macro kind(value) -%}
                {%- set types = {'string': 'str', 'number': 'int', 'integer': 'int', 'boolean': 'bool', 'array': 'list'} -%}
                {{ types.get(value.type if value.type is string else '', 'Any') }}
                {%- endmacro -%}
                {%- set mark = '<seed:eos><seed:bos>system' -%}
                {%- set halves = system.split(mark, 1) if system and mark in system else \#
                ['You are Doubao, a helpful AI assistant. You may call one or more functions to assist with the user query.',
                '\n' ~ (system or '')] -%}
                {{ halves[0] }}

                {% for tool in tools if tool.type == 'function' and tool.function.name %}{% set f = tool.function -%}
                {% set properties = (f.parameters or {}).properties or {} -%}
                {% set returned = (f.returns or {}).properties or {} -%}
                {{ '\n\n' if not loop.first }}Function:
                def {{ f.name }}({% for name, value in properties.items() if value is mapping %}{{ ',' if not loop.first }}\#
                {{ name }}: {{ kind(value) }}{% endfor %}):
                    """
                    {{ (f.description or '') | trim }}
                {% if properties %}

                    Args:
                {% for name, value in properties.items() if value is mapping %}{{ '    - ' ~ name }} ({{ kind(value) }}) \#
                {{ '[必填]' if name in (f.parameters.required or []) else '[选填]' }}: {{ value.description or '' }}
                {% endfor %}{% endif %}{% if returned %}

                    Returns:
                {% for name, value in returned.items() %}{{ '    - ' ~ name }} ({{ kind(value) }}): \#
                {{ value.description or '' }}
                {% endfor %}{% endif %}

                    """{% endfor +%}
                工具调用请遵循如下格式:
                <seed:tool_call>
                <function=example_function_name>
                <parameter=example_parameter_1>value_1</parameter>
                <parameter=example_parameter_2>This is the value for the second parameter
                that can span
                multiple lines</parameter>
                </function>
                </seed:tool_call>
                {{ mark ~ halves[1] }}
                """#,
            calls: """
                {%- for call in calls %}{{ '\\n' if not loop.first }}<seed:tool_call>
                <function={{ call.name }}>
                {% for key, value in call.arguments.items() %}<parameter={{ key }}>\(valueOrJSON)</parameter>
                {% endfor %}</function>
                </seed:tool_call>{% endfor %}
                """,
            results: "<seed:eos>{% for result in results %}<seed:bos>tool\n{{ result }}<seed:eos>{% endfor %}"
                + "<seed:bos>assistant{{ '\\n' }}")
    }

    // MARK: Xing

    static var xing: AgentTemplate {
        let results =
            "<_observation>{% for result in results %}<tool_response>{{ result }}</tool_response>{% endfor %}"
        return AgentTemplate(
            tools: """
                {{ system or '' }}
                # Tools

                You may call one or more functions to assist with the user query.

                You are provided with function signatures within <tools></tools> XML tags:
                <tools>
                {% for tool in tools %}{{ tool | tojson }}
                {% endfor %}</tools>

                For each function call, output the function name and arguments within the following XML format:
                <tool_call>{function-name}<param_key>{param-key-1}</param_key><param_value>{param-value-1}</param_value>\
                <param_key>{param-key-2}</param_key><param_value>{param-value-2}</param_value>...</tool_call>
                """,
            calls: "{% for call in calls %}<tool_call>{{ call.name }}{% for key, value in call.arguments.items() %}"
                + "<param_key>{{ key }}</param_key><param_value>\(valueOrJSON)</param_value>{% endfor %}</tool_call>"
                + "{% endfor %}",
            results: "<_end>\n\(results)<_bot>", standalone: results)
    }
}
