#!/usr/bin/env python3
"""Renders every chat template of a folder with the Jinja environment of transformers.

usage: chat_templates.py TEMPLATES_FOLDER OUTPUT.jsonl [--digests FOLDER]

Each template meets the same conversations, each with and without generation prompt. A line of the output holds a
template's source, or one case: its variables, and the text or the error of jinja2. With --digests, the folder gets
conversations.jsonl, the variables of each case, and digests.json, the 64-bit FNV-1a hash of each text by template and
case: small enough to be kept with the tests, without the templates themselves.
"""

import argparse
import datetime
import json
import pathlib

from transformers.utils.chat_template_utils import _compile_jinja_template

NOW = datetime.datetime(2026, 7, 26, 14, 5, 9)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather at a place & time <now>.\nSecond line: \"quoted\"",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City, e.g. São Paulo / 東京"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 1.5e20},
                "tags": {"type": "array", "items": {"type": "string"}},
                "where": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "lon": {"type": "number", "nullable": True}},
                    "required": ["lat", "lon"],
                },
            },
            "required": ["city"],
        },
        "strict": False,
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "clock",
        "description": "",
        "parameters": {"type": "object", "properties": {}},
        "return": {"type": "string", "description": "the time"},
    },
}


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def message(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, identifier="call12345"):
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


SYSTEM = message("system", "You are terse.\n  Answer in *Markdown*. ")
TOOL_TURN = [
    message("user", "Weather in Paris?"),
    message("assistant", "", tool_calls=[call("get_weather", {"city": "Paris", "days": 2, "tags": ["a", "b"]})]),
    message("tool", '{"temp": 21.5, "sky": "clear"}', name="get_weather", tool_call_id="call12345"),
    message("assistant", "21.5 °C and clear."),
]


def conversations():
    """Yields (name, messages, tools, variables)."""
    yield "user", [message("user", "Hello!")], None, {}
    yield "system", [SYSTEM, message("user", "Hi")], None, {}
    yield "single", [message("user", "1+1?"), message("assistant", "2")], None, {}
    rounds = [message("user", " one "), message("assistant", "\nuno\n"), message("user", "two"),
              message("assistant", "dos"), message("user", "three"), message("assistant", "tres ")]
    yield "rounds", rounds, None, {}
    yield "system-rounds", [SYSTEM, *rounds], None, {}
    yield "open", [SYSTEM, *rounds[:5]], None, {}
    yield "unicode", [message("user", "naïve café 東京 🏳️‍🌈 e\u0301 \u200b\u00a0x\r\ny"),
                      message("assistant", "Ünïcödé ✓ \U0001f600 'q' \"qq\" <b>&amp;</b> \\ {{ x }} {% y %}")], None, {}
    yield "empty", [message("user", ""), message("assistant", ""), message("user", "again?"),
                    message("assistant", "yes")], None, {}
    yield "tools", TOOL_TURN, [WEATHER], {}
    yield "tools-system", [SYSTEM, *TOOL_TURN, message("user", "And Rome?")], [WEATHER, CLOCK], {}
    parallel = [
        message("user", "Paris and the time?"),
        message("assistant", None, tool_calls=[call("get_weather", {"city": "Paris"}, "abcdefgh1"),
                                               call("clock", {}, "abcdefgh2")]),
        message("tool", "21", name="get_weather", tool_call_id="abcdefgh1"),
        message("tool", "noon", name="clock", tool_call_id="abcdefgh2"),
        message("assistant", "21 degrees at noon."),
        message("user", "Thanks"),
        message("assistant", "Any time."),
    ]
    yield "tools-parallel", parallel, [WEATHER, CLOCK], {}
    text_arguments = json.loads(json.dumps(TOOL_TURN))
    text_arguments[1]["tool_calls"][0]["function"]["arguments"] = '{"city": "Paris", "days": null, "ok": true}'
    yield "tools-text-arguments", text_arguments, [WEATHER], {}
    thinking = [message("user", "17*3?"),
                message("assistant", "<think>\n17*3 = 51\n</think>\n\n51"),
                message("user", "+1?"),
                message("assistant", "52", reasoning_content="51+1 = 52", reasoning="51+1 = 52", thinking="51+1 = 52")]
    yield "thinking", thinking, None, {"enable_thinking": True}
    yield "no-thinking", thinking, None, {"enable_thinking": False}
    yield "thinking-open", [SYSTEM, *thinking[:3]], None, {"enable_thinking": False, "thinking": False}
    thinking_tools = [
        message("user", "Weather in Paris?"),
        message("assistant", "Let me look.", reasoning_content="I need the tool.", thinking="I need the tool.",
                tool_calls=[call("get_weather", {"city": "Paris", "where": {"lat": 48.85, "lon": None}})]),
        *TOOL_TURN[2:],
        message("user", "Why?"),
        message("assistant", "Physics.", reasoning_content="Sun.", thinking="Sun."),
    ]
    yield "thinking-tools", thinking_tools, [WEATHER], {"enable_thinking": True, "thinking": True}
    parts = [message("system", [{"type": "text", "text": "Be kind."}]),
             message("user", [{"type": "text", "text": "Look: "}, {"type": "text", "text": "what?"}]),
             message("assistant", [{"type": "text", "text": "A cat."}])]
    yield "parts", parts, None, {}
    image = [message("user", [{"type": "image"}, {"type": "text", "text": "What is it?"}]),
             message("assistant", "A dog.")]
    yield "image", image, None, {"add_vision_id": True}
    yield "same-roles", [message("user", "a"), message("user", "b"), message("assistant", "c"),
                         message("assistant", "d"), message("user", "e")], None, {}
    yield "assistant-first", [message("assistant", "I begin."), message("user", "ok"),
                              message("assistant", "fine"), message("system", "late system")], None, {
                                  "reasoning_effort": "high", "date_string": "01 Jan 2020"}


def case_name(conversation, prompt):
    return conversation + ("+" if prompt else "")


def values(messages, tools, prompt, variables):
    return {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": prompt,
            "bos_token": "<s>", "eos_token": "</s>", **variables}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("templates", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--digests", type=pathlib.Path, metavar="FOLDER")
    options = parser.parse_args()
    digests = {}
    count = raised = 0
    with options.output.open("w") as output:
        for path in sorted(options.templates.glob("*.jinja")):
            with path.open(newline="") as file:
                source = file.read()
            output.write(json.dumps({"template": path.stem, "source": source}) + "\n")
            template = _compile_jinja_template(source)
            template.environment.globals["strftime_now"] = NOW.strftime
            for name, messages, tools, variables in conversations():
                for prompt in (False, True):
                    case = {"template": path.stem, "case": case_name(name, prompt),
                            "variables": values(messages, tools, prompt, variables)}
                    count += 1
                    try:
                        case["expected"] = template.render(**case["variables"])
                        digest = fnv1a(case["expected"])
                    except Exception as error:  # every exception ends a rendering
                        case["error"] = f"{type(error).__name__}: {error}"
                        raised += 1
                        digest = "error"
                    output.write(json.dumps(case) + "\n")
                    digests.setdefault(path.stem, {})[case["case"]] = digest
    if options.digests:
        with (options.digests / "digests.json").open("w") as file:
            file.write(json.dumps(digests, indent=0, sort_keys=True) + "\n")
        with (options.digests / "conversations.jsonl").open("w") as file:
            for name, messages, tools, variables in conversations():
                for prompt in (False, True):
                    line = {"case": case_name(name, prompt), "variables": values(messages, tools, prompt, variables)}
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{count} cases of {len(digests)} templates; jinja2 raised in {raised}")


if __name__ == "__main__":
    main()
