import Foundation
import Testing

@testable import ApusText

/// Templates that try to use up time, memory or stack must end in an error, on the small stack of a thread.
struct JinjaLimitTests {
    private static func doubling(_ step: String) -> String {
        "{% set ns = namespace(a='x' * 1000, l=[1] * 1000, t=(1,)) %}{% for i in range(99999) %}{% set \(step) %}{% endfor %}"
    }

    static let hostile: [String: String] = [
        "endless loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "wrapped hyphens": "{{ (('a' ~ '-' * 99999) * 99)|wordwrap(5) }}",
        "wrapped letters": "{{ ('a' * 9999999)|wordwrap(1) }}{{ ('a ' * 9999999)|wordwrap(1) }}",
        "links": "{{ ('a@' * 999999 ~ '!')|urlize }}{{ ('a@a' ~ '.a' * 999999 ~ '!')|urlize }}",
        "nested links": "{{ ('(' * 99999 ~ 'http://a.de' ~ ')' * 99999)|urlize }}{{ ('www.' * 999999)|urlize }}",
        "pretty printing":
            "{% set ns = namespace(l=['x' * 99]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|pprint }}",
        "long range": "{% for a in range(10**12) %}{% endfor %}",
        "recursive macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "recursive macro in expressions": "{% macro m(a) %}{{ [m(a ~ 'x')|upper] }}{% endmacro %}{{ m('') }}",
        "mutual macros": "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "recursive caller": "{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}",
        "parentheses": "{{ " + String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000) + " }}",
        "lists": "{{ " + String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000) + " }}",
        "nots": "{{ " + String(repeating: "not ", count: 5000) + "1 }}",
        "minuses": "{{ " + String(repeating: "-", count: 5000) + "1 }}",
        "attributes": "{{ x" + String(repeating: ".a", count: 50000) + " }}",
        "filters": "{{ 1" + String(repeating: "|string", count: 50000) + " }}",
        "calls": "{{ x" + String(repeating: "()", count: 50000) + " }}",
        "conditionals": "{{ 1" + String(repeating: " if 1 else 1", count: 5000) + " }}",
        "targets": "{% set " + String(repeating: "(", count: 5000) + " %}",
        "tags": String(repeating: "{% if 1 %}", count: 5000),
        "loops": String(repeating: "{% for x in y %}", count: 5000),
        "long source": String(repeating: "x", count: 2 << 20),
        "multiplied string": "{{ 'x' * 10**15 }}",
        "multiplied list": "{{ [0] * 10**15 }}",
        "overflowing product": "{{ ('x' * 1000) * 9223372036854775807 }}",
        "doubled string": doubling("ns.a = ns.a ~ ns.a"),
        "added string": doubling("ns.a = ns.a + ns.a"),
        "doubled list": doubling("ns.l = ns.l + ns.l"),
        "nested list": doubling("ns.l = [ns.l]") + "{{ ns.l }}",
        "nested tuple": doubling("ns.t = (ns.t, ns.t)") + "{{ ns.t }}",
        "shared tuple": doubling("ns.t = (ns.t, ns.t)|first, ns.t").replacingOccurrences(of: "|first", with: ""),
        "nested generators": doubling("ns.l = ns.l|map('string')"),
        "nested views": doubling("ns.l = {'a': ns.l}.items()"),
        "joined": "{{ (['x' * 100000] * 100000)|join('y') }}",
        "replaced": "{{ ('x' * 1000000)|replace('', 'y' * 100000) }}",
        "replaced often": "{% for i in range(9999) %}{% set a = ('ab' * 500000)|replace('b', 'c') %}{% endfor %}",
        "searched":
            "{% set a = 'a' * 1000000 %}{% set b = 'a' * 500000 ~ 'b' %}{% for i in range(9999) %}{{ b in a }}{% endfor %}",
        "compared":
            "{% set a = 'a' * 1000000 %}{% set b = 'a' * 999999 ~ 'b' %}{% for i in range(99999) %}{{ a == b }}{% endfor %}",
        "wide format": "{{ '%1000000000000d' % 1 }}",
        "starred format": "{{ '%*d' % (1000000000000, 1) }}",
        "wide braces": "{{ '{:>1000000000000}'.format(1) }}",
        "precise format": "{{ '%.100000000f' % 1.5 }}",
        "precise braces": "{{ '{:.100000000f}'.format(1.5) }}",
        "centered": "{{ 'a'.center(10**13) }}{{ 'a'|center(10**13) }}",
        "zero filled": "{{ 'a'.zfill(10**13) }}",
        "tabs": "{{ ('\t' * 1000).expandtabs(10**13) }}",
        "indented": "{{ ('a\n' * 100000)|indent(100000) }}",
        "indented json": "{{ [[[1]]]|tojson(indent=10**12) }}",
        "power": "{{ 10 ** 10 ** 10 }}",
        "float power": "{{ 10.0 ** 100000 }}",
        "rounded": "{{ 1.5|round(10**9) }}",
        "batched": "{{ [1]|batch(10**13, 0)|list }}",
        "sliced": "{{ [1]|slice(10**13)|list }}",
        "sorted": "{% for i in range(9999) %}{% set a = range(99999)|sort %}{% endfor %}",
        "shown exponentially": doubling("ns.t = [ns.t, ns.t]").replacingOccurrences(of: "99999", with: "60")
            + "{{ ns.t }}",
        "compared exponentially":
            "{% set ns = namespace(a=[], b=[]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "hashed exponentially":
            "{% set ns = namespace(a=(1,)) %}{% for i in range(60) %}{% set ns.a = (ns.a, ns.a) %}{% endfor %}{{ {ns.a: 1} }}",
        "namespace cycle": "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}",
        "output": "{% for i in range(99999) %}{{ 'x' * 10000 }}{% endfor %}",
        "huge date": "{{ strftime_now('%Y' * 100000) }}",
        "nested format": "{{ ('{:' ~ '{:' * 5000).format(1) }}",
        "many names": (0..<5000).map { "{% set a\($0) = 1 %}" }.joined(),
        "many constants": "{% for i in range(99999) %}{{ 0" + String(repeating: " + 0", count: 50000)
            + " }}{% endfor %}",
        "many operands": "{% for i in range(99999) %}{{ 0" + String(repeating: " or 0", count: 40000)
            + " }}{% endfor %}",
        "many branches": "{% for i in range(99999) %}{% if 0 %}" + String(repeating: "{% elif 0 %}", count: 20000)
            + "{% endif %}{% endfor %}",
        "many statements": "{% for i in range(99999) %}" + String(repeating: "{% set a=1 %}", count: 15000)
            + "{% endfor %}",
        "many parameters": "{% macro m(" + (0..<2000).map { "a\($0)=1" }.joined(separator: ",")
            + ") %}{% endmacro %}{% for i in range(99999) %}{{ m() }}{% endfor %}",
        "many fields":
            "{% set d = dict(range(9999)|batch(2)) %}{{ ('{a}' * 9999).format(a=1, **dict(q|map('list'))) }}",
        "long number": "{{ ('1' * 10000000)|int }}{{ ('1' * 10000000)|float }}",
        "long path":
            "{% set p = 'a.' * 1000000 %}{% for i in range(9999) %}{% set x = [{}]|map(attribute=p)|list %}{% endfor %}",
        "long counts": "{% set u = 'é' * 1000000 %}{% for i in range(99999) %}{{ u.zfill(1)|length }}{% endfor %}",
        "branch copies": (0..<1900).map { "{% if a\($0) %}{% set a\($0) = 1 %}{% endif %}" }.joined()
            + "{{ raise_exception('done') }}",
        "spread": "{{ dict(**dict(a=1)) }}{{ range(*([1] * 1000000)) }}",
    ]

    private final class Box<Value>: @unchecked Sendable { var value: Value? }

    /// Runs `body` on a thread with the stack of a secondary thread on every system.
    static func onSmallStack<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let box = Box<Value>()
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            box.value = body()
            done.signal()
        }
        thread.stackSize = 512 << 10
        thread.start()
        done.wait()
        guard let value = box.value else { preconditionFailure("the thread ended without a value") }
        return value
    }

    @Test(arguments: hostile.keys.sorted()) func hostileTemplatesEndInAnError(_ name: String) throws {
        let source = try #require(Self.hostile[name])
        var limits = JinjaLimits()
        var patience = Duration.seconds(2)
        #if DEBUG
            // An unoptimised build does less than a tenth of the work in the same time.
            limits.steps /= 10
            limits.workBytes /= 10
            patience *= 10
        #endif
        let start = ContinuousClock.now
        let error = Self.onSmallStack { [limits] () -> JinjaError? in
            do {
                _ = try ChatTemplate(source: source, limits: limits).rendered([Message(role: "user", content: "x")])
                return nil
            } catch { return error as? JinjaError }
        }
        #expect(error != nil)
        let time = ContinuousClock.now - start
        if time > .milliseconds(500) { print("\(name): \(time)") }
        // Alone on a machine every case takes less than a second; other tests may run at the same time.
        #expect(time < patience)
    }

    @Test func chainsOfKeptLoopsAndScopesAreReleased() throws {
        // Without care, releasing such a chain recurses once per link.
        let kept = [
            "{% set ns = namespace(l=0) %}{% for i in range(50000) %}{% set p = ns.l %}{% for j in [p] %}{% set ns.l = loop %}{% endfor %}{% endfor %}ok",
            "{% set ns = namespace(l=0) %}{% for i in range(50000) %}{% for j in [1] %}{% set x = loop.changed(ns.l) %}{% set ns.l = loop %}{% endfor %}{% endfor %}ok",
            "{% set ns = namespace(m=0) %}{% for i in range(50000) %}{% set p = ns.m %}{% macro m() %}{{ p }}{% endmacro %}{% set ns.m = m %}{% endfor %}ok",
            "{% set ns = namespace(n=0) %}{% for i in range(50000) %}{% set ns.n = namespace(p=ns.n) %}{% endfor %}ok",
        ]
        for source in kept {
            let text = Self.onSmallStack { try? ChatTemplate(source: source).rendered([]) }
            #expect(text == "ok", "\(source)")
        }
    }

    @Test func usualDepthsFit() throws {
        let nested = String(repeating: "(", count: 12) + "1" + String(repeating: ")", count: 12)
        let template =
            "{% macro m(n) %}{% if n %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(12) }}{{ \(nested) }}"
        let sum = "{{ 0" + String(repeating: " + 1", count: 5000) + " }}"
        let text = Self.onSmallStack {
            (try? ChatTemplate(source: template).rendered([]), try? ChatTemplate(source: sum).rendered([]))
        }
        #expect(text.0 == "1211109876543211")
        #expect(text.1 == "5000")
    }
}
