#!/usr/bin/env python3
"""Makes random small templates and renders them with the Jinja environment of transformers.

usage: jinja_fuzz.py OUTPUT.jsonl [--count N] [--seed S] [--calls]

A line holds the source, the variables, and the text or the error of jinja2. Templates whose text differs from run to
run (addresses of objects) are left out. With --calls a template is one call, of a filter, a test, a method or a global, on
any value and with any arguments, most of them wrong; it is the way llama.cpp tries its own.
"""

import argparse
import json
import random
import re
import signal

from transformers.utils.chat_template_utils import _cached_compile_jinja_template

VARIABLES = {
    "s": "Hello World", "u": "naïve ÇÀFÉ ß ŒΣς 東京 e\u0301\u200b", "e": "", "w": "  a\t b\n\nc  ", "m": "l1\r\nl2\nl3\n",
    "i": 7, "z": 0, "n": -3, "f": 2.5, "g": 1e20, "h": 0.1, "t": True, "o": False, "x": None,
    "l": [3, 1, 2], "q": ["b", "a", "C", "a"], "y": [], "d": {"a": 1, "b": "two", "items": [1]}, "k": {},
    "r": [{"n": "x", "v": 2}, {"n": "Y", "v": 1, "t": {"z": 5}}, {"n": "x", "v": None}],
    "p": [[1, "a"], [2, "b"]], "v": {"B": 2, "a": 1, "C": {"q": [1.5, None, True]}},
    "j": '<a href="x">it\'s</a> & \\ \u2028 \x7f\x00',
}
NAMES = list(VARIABLES) + ["missing"]


class Grammar:
    def __init__(self, rng):
        self.rng = rng
        self.locals = []

    def pick(self, *options):
        return self.rng.choice(options)

    def name(self):
        if self.locals and self.rng.random() < 0.3:
            return self.rng.choice(self.locals)
        return self.rng.choice(NAMES)

    def literal(self):
        rng = self.rng
        return self.pick(
            lambda: str(rng.randint(-3, 12)), lambda: self.pick("0", "1", "2", "10", "1_000", "0x1F", "0b11", "0o17"),
            lambda: self.pick("1.5", "0.0", "2.0", "1e3", "1e16", "1e-5", "123456789.125", "1.0e10", "0.30000000000000004"),
            lambda: self.string(), lambda: self.string(), lambda: self.pick("true", "false", "none", "True", "None"),
            lambda: "[" + ", ".join(self.expression(1) for _ in range(rng.randint(0, 3))) + "]",
            lambda: "(" + ", ".join(self.expression(1) for _ in range(rng.randint(2, 3))) + ")",
            lambda: "(" + self.expression(1) + ",)",
            lambda: "{" + ", ".join(f"{self.string()}: {self.expression(1)}" for _ in range(rng.randint(0, 2))) + "}",
        )()

    def string(self):
        return self.pick("'a'", "'b'", '"x y"', "''", "' '", "'a.b'", "'n'", "'v'", "'l'", "'\\n'", '"it\'s"', "'é\\u00e9\\x41'",
                         "'%s-%d'", "'{}'", "'A-b (c)'", "','", "'o'", "'Hello'", "'12'", "' 42 '", "'3.5'", "'a\\tb'", "'aaa'",
                         "'a' 'b'", "'\\q\\''", "'0x1f'", "'-7'", "'1e3'")

    def small(self):
        return self.pick("0", "1", "2", "3", "-1", "-2", "none", "i", "n", "x")

    def atom(self):
        return self.literal() if self.rng.random() < 0.45 else self.name()

    def expression(self, depth=3):
        rng = self.rng
        if depth <= 0 or rng.random() < 0.15:
            return self.atom()
        sub = lambda: self.expression(depth - 1)
        return rng.choice([
            lambda: f"{sub()} {self.pick('+', '-', '*', '/', '//', '%', '~', '**', '+', '~')} {sub()}",
            lambda: f"{sub()} {self.pick('==', '!=', '<', '<=', '>', '>=', 'in', 'not in')} {sub()}",
            lambda: f"{sub()} {self.pick('<', '==', '>=')} {sub()} {self.pick('<', '!=')} {sub()}",
            lambda: f"{sub()} {self.pick('and', 'or')} {sub()}",
            lambda: f"{self.pick('not ', '-', '+', 'not not ')}{sub()}",
            lambda: f"({sub()})",
            lambda: f"({sub()} if {sub()} else {sub()})",
            lambda: f"({sub()} if {sub()})",
            # No slices here: of constants, jinja2 takes them at compile time with other rules than at run time.
            lambda: f"({sub()}){self.postfix(slices=False)}", lambda: f"{self.name()}{self.postfix()}",
            lambda: f"{self.name()}{self.postfix()}", lambda: f"{self.name()}{self.postfix()}{self.postfix()}",
            lambda: f"({sub()})|{self.filter(depth - 1)}", lambda: f"{self.name()}|{self.filter(depth - 1)}",
            lambda: f"{self.name()}|{self.filter(depth - 1)}|{self.filter(depth - 1)}",
            lambda: f"({sub()}) is {self.test(depth - 1)}", lambda: f"{self.name()} is {self.test(depth - 1)}",
            lambda: self.function(depth - 1),
        ])()

    def postfix(self, slices=True):
        if not slices:
            return self.pick(f"[{self.small()}]", f"[{self.string()}]", f".{self.method()}")
        return self.pick(
            lambda: f"[{self.small()}]", lambda: f"[{self.small()}:{self.small()}]", lambda: f"[:{self.small()}]",
            lambda: f"[{self.small()}:]", lambda: f"[::{self.small()}]", lambda: f"[{self.small()}:{self.small()}:{self.small()}]",
            lambda: f"[{self.string()}]", lambda: f".{self.pick('a', 'b', 'n', 'v', 'items', 'foo', 't', 'real')}", lambda: ".0",
            lambda: f".{self.method()}", lambda: f".{self.method()}", lambda: f".{self.method()}",
        )()

    def method(self):
        arg = lambda: self.expression(1)
        text = self.string
        return self.pick(
            lambda: self.pick("upper", "lower", "title", "capitalize", "swapcase", "strip", "lstrip", "rstrip", "splitlines",
                              "split", "rsplit", "isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "istitle",
                              "isnumeric", "isdecimal", "isidentifier", "isprintable", "isascii", "expandtabs", "keys", "values",
                              "items", "copy", "casefold") + "()",
            lambda: self.pick("strip", "lstrip", "rstrip", "startswith", "endswith", "find", "rfind", "index", "count", "split",
                              "rsplit", "partition", "rpartition", "removeprefix", "removesuffix", "get", "append", "pop",
                              "join") + f"({text()})",
            lambda: f"{self.pick('split', 'rsplit')}({self.pick('none', text())}, {self.small()})",
            lambda: f"split(maxsplit={self.small()})", lambda: f"splitlines({self.pick('true', 'false')})",
            lambda: f"replace({text()}, {text()})", lambda: f"replace({text()}, {text()}, {self.small()})",
            lambda: f"{self.pick('center', 'ljust', 'rjust')}({self.rng.randint(0, 15)}{self.pick('', ', ' + text())})",
            lambda: f"zfill({self.rng.randint(0, 12)})", lambda: f"get({text()}, {arg()})",
            lambda: f"{self.pick('find', 'rfind', 'count', 'startswith', 'index')}({text()}, {self.small()}, {self.small()})",
            lambda: f"startswith(({text()}, {text()}))", lambda: f"join({arg()})", lambda: f"index({arg()})",
            lambda: f"count({arg()})", lambda: f"format({arg()}, {arg()})", lambda: "is_integer()",
        )()

    def filter(self, depth):
        arg = lambda: self.expression(min(depth, 1))
        attribute = lambda: self.pick("'n'", "'v'", "'t.z'", "'0'", "1", "0", "'foo'", "'a'")
        return self.pick(
            lambda: self.pick("upper", "lower", "title", "capitalize", "trim", "length", "count", "list", "first", "last",
                              "string", "int", "float", "abs", "round", "sum", "min", "max", "sort", "unique|list", "reverse|list",
                              "reverse|first", "items|list", "dictsort", "tojson", "join", "escape", "e", "safe", "wordcount",
                              "striptags", "urlencode", "forceescape", "xmlattr", "filesizeformat", "default", "indent", "truncate"),
            lambda: f"join({self.string()})", lambda: f"join({self.string()}, attribute={attribute()})",
            lambda: f"default({arg()})", lambda: f"d({arg()}, true)", lambda: f"trim({self.string()})",
            lambda: f"replace({self.string()}, {self.string()})", lambda: f"replace({self.string()}, {self.string()}, {self.small()})",
            lambda: f"map({self.pick(*[repr(n) for n in ('upper', 'string', 'length', 'int', 'tojson', 'trim', 'first', 'nope')])})|list",
            lambda: f"map(attribute={attribute()})|list", lambda: f"map(attribute={attribute()}, default={arg()})|list",
            lambda: f"{self.pick('select', 'reject')}({self.pick('', repr('odd'), repr('string'), repr('defined'), repr('none'), repr('gt') + ', 1', repr('in') + ', [1, 2]')})|list",
            lambda: f"{self.pick('selectattr', 'rejectattr')}({attribute()}{self.pick('', ', ' + repr('defined'), ', ' + repr('equalto') + ', ' + arg(), ', ' + repr('none'))})|list",
            lambda: f"round({self.small()}{self.pick('', ', ' + repr('floor'), ', ' + repr('ceil'), ', ' + repr('common'))})",
            lambda: f"int({arg()})", lambda: f"int(0, {self.pick('16', '8', '2', '36')})", lambda: f"float({arg()})",
            lambda: f"sum({self.pick('', 'start=' + arg(), 'attribute=' + attribute())})",
            lambda: f"sort({self.pick('reverse=true', 'case_sensitive=true', 'attribute=' + attribute())})",
            lambda: f"{self.pick('min', 'max')}({self.pick('case_sensitive=true', 'attribute=' + attribute())})",
            lambda: f"unique({self.pick('case_sensitive=true', 'attribute=' + attribute())})|list",
            lambda: f"batch({self.rng.randint(1, 4)}{self.pick('', ', ' + arg())})|list",
            lambda: f"slice({self.rng.randint(1, 4)}{self.pick('', ', ' + arg())})|list",
            lambda: f"groupby({attribute()}{self.pick('', ', default=' + arg())})",
            lambda: f"dictsort({self.pick('true', 'false')}, {self.pick(repr('key'), repr('value'))}, {self.pick('true', 'false')})",
            lambda: f"tojson({self.pick('indent=2', 'indent=0', 'ensure_ascii=true', 'sort_keys=true', 'separators=(' + repr(',') + ', ' + repr(':') + ')', 'true, 4', 'indent=' + repr('--'))})",
            lambda: f"indent({self.pick('2', '0', repr('> '))}{self.pick('', ', true', ', true, true', ', blank=true')})",
            lambda: f"truncate({self.rng.randint(0, 12)}{self.pick('', ', true', ', false, ' + repr('~'), ', leeway=0')})",
            lambda: f"center({self.rng.randint(0, 20)})", lambda: f"format({arg()}{self.pick('', ', ' + arg())})",
            lambda: f"attr({self.string()})", lambda: f"{self.pick('nope', 'safe|upper', 'safe|e', 'e|e', 'length|string|length')}",
        )()

    def test(self, depth):
        arg = lambda: self.expression(min(depth, 1))
        return self.pick("", "not ") + self.pick(
            lambda: self.pick("defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer",
                              "float", "boolean", "true", "false", "odd", "even", "lower", "upper", "callable", "escaped", "nope"),
            lambda: f"divisibleby({arg()})", lambda: f"divisibleby {self.rng.randint(0, 3)}",
            lambda: f"{self.pick('eq', 'equalto', 'ne', 'lt', 'le', 'gt', 'ge', 'in', 'lessthan', 'greaterthan')}({arg()})",
            lambda: f"sameas({self.pick('true', 'false', 'none')})", lambda: f"in {self.pick('l', 'q', 'd', 's', '[1, 2]')}",
            lambda: self.pick("filter", "test"),
        )()

    def function(self, depth):
        arg = lambda: self.expression(min(depth, 1))
        return self.pick(
            lambda: f"range({self.pick('3', '5', 'i', 'n')})|list", lambda: f"range({self.small()}, {self.rng.randint(-5, 9)})|list",
            lambda: f"range({self.rng.randint(-5, 9)}, {self.small()}, {self.small()})|list",
            lambda: f"range(5){self.pick('[1]', '[-1]', '[1:3]', '[::-1]', '|length', '|sum', '')}",
            lambda: f"dict(a={arg()}, b=1)", lambda: f"namespace(a={arg()}).a", lambda: f"({self.string()} % {arg()})",
            lambda: f"({self.pick(*map(repr, ('%5d|%-5s|', '%05.1f %s', '%x %o', '%+d%%%s', '%r %s', '%e %g', '%.3s|%5s')))} % ({arg()}, {arg()}))",
            lambda: f"{self.pick(*map(repr, ('{:>5}|{:<4}', '{0}{1}{0}', '{a}{b}', '{:.2f} {}', '{:05d} {:x}', '{!r} {!s:>6}', '{:,} {:+}', '{0[0]} {1}', '{:^7}{{}} {:%}', '{:g}|{:e}', '{:#x} {:#b}')))}.format({arg()}, {arg()}, a={arg()}, b=2)",
            lambda: f"d.get({self.string()})", lambda: f"d.items()|list", lambda: f"v.{self.pick('keys', 'values', 'items')}(){self.pick('', '|list', '|length', '|first')}",
        )()

    # Statements

    def text(self):
        return self.pick("", "", " ", "\n", "a", " b ", "\n\n", "x\n", "  ", "\t", "{ }", "é")

    def tag(self, body):
        return "{%" + self.pick("", "", "-", "+") + " " + body + " " + self.pick("", "", "-", "+") + "%}" + self.text()

    def output(self, depth=2):
        return "{{" + self.pick("", "", "-") + " " + self.expression(depth) + " " + self.pick("", "", "-") + "}}" + self.text()

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.rng.randint(1, 3)))

    def statement(self, depth):
        rng = self.rng
        if depth <= 0:
            return self.text() + self.output(1)
        variable = self.pick("a1", "a2", "s", "i", "missing")

        def scoped(make):
            self.locals.append(variable)
            result = make()
            self.locals.pop()
            return result

        return self.text() + self.pick(
            lambda: self.output(2), lambda: self.output(2),
            lambda: self.tag(f"set {variable} = {self.expression(2)}") + self.body(depth - 1),
            lambda: self.tag(f"set {variable}") + self.body(depth - 1) + self.tag("endset") + "{{ " + variable + " }}",
            lambda: self.tag(f"set {variable} | {self.pick('upper', 'trim', 'length')}") + self.body(depth - 1) + self.tag("endset") + "{{ " + variable + " }}",
            lambda: self.tag(f"set a1, a2 = {self.pick('1, 2', 'p[0]', self.expression(1))}") + "{{ a1 }}|{{ a2 }}",
            lambda: self.tag(f"if {self.expression(2)}") + self.body(depth - 1)
            + self.pick("", self.tag(f"elif {self.expression(1)}") + self.body(depth - 1))
            + self.pick("", self.tag("else") + self.body(depth - 1)) + self.tag("endif"),
            lambda: self.tag(f"for {variable} in {self.iterable()}{self.pick('', '', ' if ' + self.expression(1))}") + scoped(lambda: self.loop(depth - 1))
            + self.pick("", self.tag("else") + self.body(depth - 1)) + self.tag("endfor"),
            lambda: self.tag(f"for a1, a2 in {self.pick('p', 'd.items()', 'v|dictsort', 'd|items', 'r|groupby(' + repr('n') + ')')}") + "{{ a1 }}={{ a2 }}" + scoped(lambda: self.loop(depth - 1)) + self.tag("endfor"),
            lambda: self.tag("for a1 in [1, [2, [3]]] recursive") + "{{ loop.depth }}:{{ loop(a1) if a1 is sequence else a1 }};" + self.tag("endfor"),
            lambda: self.macro(depth), lambda: self.macro(depth),
            lambda: self.tag(f"set ns = namespace(c=0, l=[])") + self.tag(f"for a1 in {self.iterable()}") + self.tag(self.pick("set ns.c = ns.c + 1", "set ns.l = ns.l + [a1]", "set ns.c = loop.index")) + self.tag("endfor") + "{{ ns.c }}{{ ns.l }}",
            lambda: self.tag(f"with a1 = {self.expression(1)}, a2 = a1") + self.body(depth - 1) + "{{ a2 }}" + self.tag("endwith"),
            lambda: self.tag(f"filter {self.pick('upper', 'trim', 'replace(' + repr('a') + ', ' + repr('b') + ')|title', 'indent(2)')}") + self.body(depth - 1) + self.tag("endfilter"),
            lambda: "{#" + self.pick("", "-") + " note " + self.pick("", "-", "+") + "#}" + self.text(),
            lambda: "{%" + self.pick("", "-", "+") + " raw " + self.pick("", "-") + "%}" + self.pick(" {{ x }} ", "\n{% if %}\n", "") + "{%" + self.pick("", "-", "+") + " endraw " + self.pick("", "-", "+") + "%}" + self.text(),
            lambda: self.tag("generation") + self.body(depth - 1) + self.tag("endgeneration"),
        )()

    def iterable(self):
        return self.pick("l", "q", "r", "d", "s", "y", "range(4)", "missing", "p", "w.split()", "l|reverse", "q|map('upper')", "[1, 2, 2, 3]", self.expression(1))

    def loop(self, depth):
        extra = self.pick("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "previtem", "nextitem",
                          "cycle('x', 'y')", "changed(a1)", "nope")
        control = self.pick("", "", "", self.tag("if loop.index > 2") + self.tag(self.pick("break", "continue")) + self.tag("endif"))
        return control + self.body(depth) + self.pick("", "{{ loop." + extra + " }}")

    def macro(self, depth):
        signature = self.pick("a1", "a1, a2=5", "a1, a2=a1", "", "a1=s, a2='x'")
        body = self.body(depth - 1) + self.pick("", "{{ a1 }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}", "{{ caller is defined }}", "{{ m.name }}")
        call = self.pick("m()", "m(1)", "m(1, 2)", "m(a2=3)", "m(1, a2=l)", "m(1, 2, 3)", "m(1, zz=3)", "m(*l)", "m(**d)")
        use = self.pick("{{ " + call + " }}", self.tag("call " + call) + self.text() + "in{{ s }}" + self.tag("endcall"), "{{ " + call + "|length }}",
                        self.tag("call(a1) " + call) + "{{ a1 }}" + self.tag("endcall"))
        return self.tag(f"macro m({signature})") + body + self.tag("endmacro") + use


class Calls:
    """Single calls with arguments that need not fit."""

    METHODS = [name for kind in (str, list, dict, int, float, tuple, bool) for name in dir(kind) if not name.startswith("_")] + [
        "length", "tojson", "first", "last", "reverse", "sort", "unique", "default", "nope"]
    GLOBALS = ["range", "dict", "namespace", "cycler", "joiner", "len", "list", "str", "int", "join", "raise_exception"]
    KEYWORDS = ["base", "attribute", "default", "reverse", "case_sensitive", "by", "safe", "chars", "separators", "sort_keys", "indent",
                "ensure_ascii", "width", "count", "length", "killwords", "end", "leeway", "blank", "first", "method", "precision", "start",
                "linecount", "slices", "fill_with", "binary", "value", "d", "default_value", "boolean", "trim_url_limit", "nofollow", "target",
                "rel", "extra_schemes", "break_long_words", "wrapstring", "break_on_hyphens", "verbose", "sep", "maxsplit", "keepends", "tabsize"]
    STRINGS = ["", " ", "a", "n", "test_string", "Hello World", "0x1f", "-12", "3.75", "a,b,,c", "  two  words\\n", "naïve ÇÀFÉ ß", "<b>&amp;x</b>",
               "see http://a.example/p?q=1&r=<x>, www.example.org. and me@example.com (https://b.example/a_(b))", "upper", "length", "a-b_c d",
               "one two three four five six seven eight nine ten eleven", "long-hyphenated-words and\\n\\nparagraphs of text", "%s-%d", "{}-{a}"]

    def __init__(self, rng, filters, tests):
        self.rng, self.filters, self.tests = rng, filters, tests

    def text(self):
        return "'" + self.rng.choice(self.STRINGS).replace("'", "\\'") + "'"

    def value(self):
        rng = self.rng
        return rng.choice([
            lambda: str(rng.choice([0, 1, 2, 3, 7, 16, rng.randint(-1000, 1000)])), lambda: f"{rng.randint(-1000, 1000)}.5", self.text, self.text, self.text,
            lambda: "true", lambda: "false", lambda: "none", lambda: "[1, 2, 3, 'a', 'b']", lambda: "{'x': 1, 'y': 2}", lambda: "missing",
            lambda: "[3, 1, 2]", lambda: "['b', 'A', 'a', 'B']", lambda: "[{'n': 2}, {'n': 1, 'v': none}, {'n': 2, 'v': 'x'}]", lambda: "[]", lambda: "{}",
            lambda: "(1, 'z')", lambda: "[[1, 'a'], [2, 'b']]", lambda: "{'b': [1.5, none, true, 'it\\'s'], 'a': {'c': ()}}", lambda: "range(5)",
            lambda: rng.choice("suewmjlqdrpv"), lambda: f"({rng.choice('sjew')}|{rng.choice(['safe', 'e'])})",
        ])()

    def arguments(self):
        rng = self.rng
        parts = [self.value() for _ in range(rng.choice([0, 0, 1, 1, 1, 2, 2, 3, 5]))]
        names = rng.sample(self.KEYWORDS, rng.choice([0, 0, 0, 1, 1, 2]))
        return ", ".join(parts + [f"{name}={self.value()}" for name in names])

    def source(self):
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 4:
            name = rng.choice(self.filters)
            close = "|list" if rng.random() < 0.4 else ""
            return "{{ " + f"{self.value()}|{name}" + rng.choice(["", f"({self.arguments()})"]) + close + " }}"
        if kind == 4:
            return "{{ " + f"{self.value()} is {rng.choice(self.tests)}" + rng.choice(["", f"({self.arguments()})"]) + " }}"
        if kind == 5:
            return "{{ " + f"{rng.choice(self.GLOBALS)}({self.arguments()})" + rng.choice(["", "|list", ".next()", ".a", "()"]) + " }}"
        if kind == 6:
            return "{{ " + f"{self.value()} {rng.choice(['+', '-', '*', '/', '//', '%', '~', '==', '<', 'in'])} {self.value()}" + " }}"
        value = self.value()
        return "{{ " + f"({value}).{rng.choice(self.METHODS)}({self.arguments()})" + " }}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", action="store_true")
    options = parser.parse_args()
    environment = _cached_compile_jinja_template("").environment
    # What is drawn by chance has no expected text.
    filters, tests = sorted(set(environment.filters) - {"random"}), sorted(environment.tests)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError()))
    written = raised = number = 0
    with open(options.output, "w") as output:
        while written < options.count:
            number += 1
            grammar = Grammar(random.Random(f"{options.seed}-{number}"))
            if options.calls:
                source = Calls(grammar.rng, filters, tests).source()
            else:
                source = grammar.output(4) if number % 2 else "".join(grammar.statement(2) for _ in range(3))
            case = {"source": source, "variables": VARIABLES}
            signal.setitimer(signal.ITIMER_REAL, 1)
            try:
                case["expected"] = _cached_compile_jinja_template(source).render(**json.loads(json.dumps(VARIABLES)))
                if re.search(r" at 0x|built-in|bound method|<(function|class|generator|method|odict)|&lt;(gen|func|built|class)", case["expected"], re.I):
                    continue
                case["expected"].encode()
            except TimeoutError:
                continue
            except Exception as error:
                case["error"] = f"{type(error).__name__}: {error}"
                raised += 1
                if raised > options.count * 0.35:
                    raised -= 1
                    continue
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            output.write(json.dumps(case) + "\n")
            written += 1
    print(f"{written} cases of {number} templates; jinja2 raised in {raised}")


if __name__ == "__main__":
    main()
