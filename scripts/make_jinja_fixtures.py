#!/usr/bin/env python3
"""Writes tests/fixtures/chat/snippets.json: small templates and what Jinja2 in transformers' environment makes of them.

    python scripts/make_jinja_fixtures.py        # transformers 5.24, Jinja2 3.1.6

Every value meets filters, tests, methods, operators and statements; of these some are drawn, always the same. What is
written by hand comes first. `null` as the text: Jinja2 raises.
"""

import datetime
import json
import random
from pathlib import Path

from transformers.utils import chat_template_utils

DRAWN = 1600

CONTEXT = {
    "messages": [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5, "y": None}}}]},
        {"role": "tool", "content": "é <b>\n", "items": [1, 2]},
    ],
    "tools": None,
    "add_generation_prompt": True,
    "bos_token": "<s>",
}

WRITTEN = [
    # Where variables are set, and where they are seen.
    "{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{{ x }}{% endfor %}{{ x }}",
    "{% for i in [1, 2] %}{% if i == 2 %}{% set y = 'set' %}{% endif %}{{ y }}|{% endfor %}{{ y is defined }}",
    "{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}",
    "{% macro f() %}{{ tools }}{% endmacro %}{{ f() }}{% set tools = 3 %}{{ f() }}",
    "{% for i in [1] %}{{ bos_token }}{% endfor %}{% set bos_token = 'late' %}{{ bos_token }}",
    "{{ bos_token }}{% for i in [1] %}{{ bos_token }}{% endfor %}{% set bos_token = 'late' %}{{ bos_token }}",
    "{% if tools is none %}{% set bos_token = 'in' %}{% endif %}{% for i in [1] %}{{ bos_token }}{% endfor %}",
    "{% if tools %}{% set bos_token = 'in' %}{% else %}{{ bos_token }}{% endif %}{{ bos_token }}",
    "{% if not tools %}{% set a = 1 %}{% elif a %}{% set b = 2 %}{% else %}{% set a = 3 %}{% endif %}{{ a }}{{ b }}",
    "{% set x = x | default('d') %}{{ x }}{% set bos_token = bos_token + '!' %}{{ bos_token }}",
    "{% with a = 1, b = a %}{{ a }}{{ b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}",
    "{% set ns = namespace(a=1) %}{% for i in [1, 2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns }}{{ ns.b }}",
    "{% set ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}{% set ns._x = 1 %}",
    "{% set d = {} %}{% set d.a = 1 %}",
    "{% set x %}a{{ 1 }}{% set inner = 2 %}{% endset %}{{ x }}{{ inner }}{% set y | upper | trim %} abc {% endset %}[{{ y }}]",
    "{% filter upper %}a{% set z = 1 %}{{ z }}{% endfilter %}{{ z }}",
    "{% macro f(a, b=a, c='c' ~ b) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, c=2) }}|{{ f(b=1) }}",
    "{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}",
    "{% macro f(x) %}[{{ caller(x, 2) }}]{% endmacro %}{% call(a, b) f(1) %}{{ a }}{{ b }}{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{{ caller }}{% endmacro %}{{ f() }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro f() %}{% set x = 1 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}{{ f }}{{ f() | length }}",
    "{% for m in messages %}{% macro g() %}{{ m.role }}{{ loop.index }}{% endmacro %}{{ g() }}{% endfor %}",
    # Loops.
    "{% for i in range(6) if i is odd %}{{ i }}{{ loop.index }}{{ loop.last }}{{ loop.length }};{% else %}none{% endfor %}",
    "{% for i in [] %}x{% else %}none{% endfor %}{% for i in [1] %}{% break %}{% else %}else after break{% endfor %}",
    "{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }}{{ loop.revindex }}{{ loop.revindex0 }} {% endfor %}",
    "{% for i in [1, 2, 3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }}{{ loop.first }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for i in [[1, [2]], [3]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% for i in [1, 2] %}{% for j in [3] %}{{ loop.index }}{{ i }}{% endfor %}{{ loop.index }}{% endfor %}",
    "{% set ns = namespace(last=0) %}{% for i in [1, 1, 2] if i != ns.last %}{% set ns.last = i %}{{ i }}{% endfor %}",
    "{% for loop in [1] %}{% endfor %}",
    "{% for i in none %}{% endfor %}",
    "{% for i in 3 %}{% endfor %}",
    "{% for i in nothing %}x{% endfor %}-{{ nothing | length }}{{ nothing | join }}",
    "{% for a, b in [[1, 2], 'xy', (3, 4)] %}{{ a }}{{ b }}{% endfor %}{% for a, b in [[1]] %}{% endfor %}",
    "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for k, v in messages[0].items() %}{{ k }}={{ v }};{% endfor %}{% for k in messages[0] %}{{ k }}{% endfor %}",
    "{% set it = [1, 2] | map('string') %}{{ it | join }}|{{ it | join }}|{{ it is iterable }}{{ it is sequence }}",
    "{% set it = [1, none] | map('upper') %}{{ it | first }}",
    "{% for i in [3, 4] | map('string') %}{{ loop.index }}{{ loop.length }}{{ loop.last }}{% endfor %}",
    "{% break %}",
    # White space.
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\n  {% if true %}  \n  b\n  {%- endif -%}  \n c\n\n",
    "a  {%+ if true %}b{% endif +%}\nc  {{- 'd' -}}  e{{+ 'f' }}\n{# no #}\ng {#- x -#} h",
    "  {# c #}\n  {{ 'x' }}\n  {% set a = 1 %}y\n\t{%- set b = 2 %}\nz",
    "a\r\nb\r{% if true %}\r\nc{% endif %}\r\n{{ 'x\r\ny' }}\r\n",
    "{% raw %}\n{{ a }} {% b %}\n{% endraw %}\nx{%- raw -%} {{ y }} {%- endraw -%} z",
    "\n{% for i in [1] %}\n\n{{ i }}\n\n{% endfor %}\n\n",
    "{{ '{{' }}{{ \"}}\" }}{{ '%}' }}{{ {'a': {'b': 1}} }}{{ {'a': {'b': 1}}['a']['b'] }}",
    "{% generation %}\nx{% set q = 1 %}\n{% endgeneration %}\ny{{ q }}",
    # A block of generation is a call whose caller is the block: a macro without a name.
    "{% generation %}{{ varargs }}{{ kwargs }}{{ caller is defined }}{% endgeneration %}",
    "{% macro f(a) %}{{ varargs }}{% generation %}{{ a }}{{ varargs }}{{ kwargs }}{% endgeneration %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f() %}{% generation %}{{ varargs }}{{ kwargs }}{% endgeneration %}{% endmacro %}{{ f(1, 2, x=3) }}",
    "{% macro f() %}{% generation %}{{ caller() }}{% endgeneration %}{% endmacro %}{% call f() %}x{% endcall %}",
    "{% macro f() %}{% generation %}x{% endgeneration %}{% endmacro %}{% call f() %}x{% endcall %}",
    "{% macro f() %}{% generation %}{{ caller }}{% endgeneration %}{% endmacro %}[{% call f() %}x{% endcall %}]",
    "{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{% generation %}{{ caller is defined }}{% endgeneration %}{% endcall %}",
    "{% set varargs = 'v' %}{% set caller = 'c' %}{% generation %}{{ varargs }}{{ caller }}{% endgeneration %}{{ varargs }}{{ caller }}",
    "{% for x in [1, 2] %}{% generation %}{{ loop.index }}{{ x }}{% set x = 5 %}{{ x }}{% endgeneration %}{{ x }}{% endfor %}",
    "{% for x in [1, 2] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    # What a macro looks like.
    "{% macro f() %}{{ caller }}{{ [1] ~ caller }}{{ f }}{% endmacro %}{% call f() %}x{% endcall %}{{ f }}",
    "{% macro f() %}{{ '%s' % caller }}{{ caller | string | upper }}{% endmacro %}{% call(a, b=2) f() %}x{% endcall %}",
    # Safe texts sort, and are told apart, as others do.
    "{{ ['b', 'A' | safe, 'a', 'C' | safe] | sort }}{{ ['B' | safe, 'a', 'C'] | sort(case_sensitive=true) }}",
    "{{ ['b' | safe, 'B', 'a', 'A' | safe] | unique | list }}{{ ['b' | safe, 'B', 'b'] | unique(true) | list }}",
    "{{ ['b', 'A' | safe] | min }}{{ ['a', 'B' | safe] | max }}{{ {'B' | safe: 1, 'a': 2} | dictsort }}",
    "{{ [{'k': 'B' | safe}, {'k': 'a'}, {'k': 'b'}] | groupby('k') | map('first') | list }}",
    # Each branch stands for itself.
    "{% if tools %}{% set a = 1 %}{% set bos_token = 2 %}{% elif a %}{{ a }}{% set b = 1 %}{% else %}{{ bos_token }}{{ b }}{% endif %}{{ a }}",
    "{% macro f() %}{% if tools %}{% if a %}{% set bos_token = 1 %}{% endif %}{% else %}{{ bos_token }}{% endif %}{% endmacro %}{{ f() }}",
    "{{ self is defined }}",
    "{% set self = 1 %}{{ self }}",
    # Literals and operators.
    "{{ 1_000 }}{{ 0x1f }}{{ 0b11 }}{{ 0o17 }}{{ 1.5e3 }}{{ 1e5 }}{{ 1e-5 }}{{ 1e16 }}{{ 1e22 }}{{ 123456789.123 }}{{ 0.1 + 0.2 }}",
    "{{ 'a\\tb\\\\n\\x41\\u00e9\\101\\q' }}{{ 'it''s' }}{{ \"a\" 'b' }}{{ 'a\\\nb' }}",
    "{{ 7 // 2 }}{{ -7 // 2 }}{{ 7 // -2 }}{{ -7 % 3 }}{{ 7 % -3 }}{{ 7.5 // 2 }}{{ -7.5 % 2 }}{{ 7 / 2 }}{{ 6 / 2 }}{{ 2 ** 10 }}{{ 2 ** -1 }}{{ -2 ** 2 }}{{ 2 ** 3 ** 2 }}",
    "{{ 10 ** 30 }}{{ 2 ** 100 }}{{ 12345678901234567890123 + 1 }}{{ 10 ** 20 // 7 }}{{ -(10 ** 20) % 7 }}",
    "{{ 1 < 2 < 3 }}{{ 1 < 3 > 2 }}{{ 1 == 1.0 == true }}{{ 'a' in 'abc' in ['abc'] }}{{ not 1 == 2 }}{{ 1 if 0 }}|{{ (1 if 0) is defined }}",
    "{{ 1 and 0 or 'x' }}{{ '' or none }}{{ 'a' ~ 1 ~ none ~ true ~ 1.0 ~ [none] ~ {'a': none} }}{{ 1 + 2 ~ 3 * 4 }}",
    "{{ 'a' + 1 }}",
    "{{ 1 + none }}",
    "{{ 'a' < 1 }}",
    "{{ nothing + 'a' }}",
    "{{ nothing.a }}",
    "{{ messages[1].nothing.more }}",
    "{{ messages[1].content + 'a' }}",
    "{{ messages[1].content.strip() }}",
    "{{ messages[7] }}{{ messages[7] is defined }}{{ messages[-1].role }}{{ messages['x'] }}{{ 'abc'[5] }}{{ none.x }}{{ 5['a'] }}",
    "{{ messages[2]['items'] }}{{ messages[2].items is callable }}{{ messages[2].items() | list | length }}{{ messages[0].get('nope') }}{{ messages[0].get('nope', 1) }}",
    "{{ messages[1].content is iterable }}{{ messages[1].content is none }}{{ messages[1].content }}{{ messages[1].content is string }}",
    "{{ tools | length }}",
    "{{ messages[1] }}{{ messages[1] | tojson }}{{ messages[2] | tojson(ensure_ascii=true) }}{{ messages[1] | string | length }}",
    "{{ messages | tojson(indent=2) }}{{ [] | tojson(indent=2) }}{{ {'a': {}, 'b': [[], 1]} | tojson(indent='\t') }}{{ [1] | tojson(indent=0) }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ {'b': 1, 'a': 2} | dictsort }}{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }}",
    "{{ dict(a=1, **{'b': 2}) }}{{ dict([('x', 1), ['y', 2]]) }}{{ range(*[1, 4]) | list }}",
    "{{ {'a': 1} == {'a': 1.0} }}{{ [1, 2] == (1, 2) }}{{ (1, 2) < (1, 3) }}{{ 'B' < 'a' }}{{ none == false }}{{ nothing == undefined }}",
    "{{ 'x' is string and 'y' }}{{ 3 is not divisibleby 2 }}{{ 3 is divisibleby(3) }}{{ 1 is in [1] }}{{ 'a' is eq 'a' }}{{ 1 is sameas true }}",
    "{{ '%s is %d (%.2f, %5s|%-5s|%05d)' % ('x', 3, 1.234, 'ab', 'cd', 42) }}{{ '%(a)s' % {'a': 1} }}{{ '100%%' % () }}",
    "{{ '%s' | format(none) }}{{ '%d' % 1.9 }}{{ '%x' % 255 }}{{ '%r' % 'a' }}{{ '%s %s' % (1,) }}",
    "{{ '{} {1}'.format(1, 2) }}",
    "{{ '{0}{1}{0}'.format(1, 2) }}{{ '{a:>5}|{b:^7}|{c:<4}|{d:05d}|{e:.3f}|{f:,}'.format(a='x', b='y', c='z', d=42, e=1.5, f=1234567) }}{{ '{{}}'.format() }}",
    "{{ 'a,b;c'.split(',')[1].split(';') | last }}{{ ' a  b '.split() }}{{ 'aXbXc'.split('X', 1) }}{{ 'a\nb\r\nc'.splitlines() }}",
    "{{ '</think>x'.split('</think>')[-1].lstrip('\n').rstrip() }}{{ 'abcabc'.strip('ac') }}{{ 'x'.join(['a', 'b']) }}",
    "{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb\n\nc' | indent(2, true, true) }}|{{ 'a\nb\n' | indent(width='> ') }}",
    "{{ '<a>' | safe }}{{ '<a>' | e }}{{ ('<a>' | safe) | upper }}{{ ['<' | safe, '>'] | join('&') }}{{ '<' | safe ~ '>' }}",
    "{{ ('<' | safe) + '>' }}",
    "{{ \"it's\" | pprint }}",
    "{{ ['é', \"it's\", 'a\"b', 'c\\'\"d', '\\n\\x00\\u200b\\u0301🙂'] }}{{ [1.0, 1e-7, 1e16, 1e15] }}{{ (1,) }}{{ () }}{{ {} }}",
    "{{ ' Hello wOrld-foo (bar ' | title }}{{ 'HELLO w' | capitalize }}{{ 'ǆ' | title }}{{ 'straße' | upper }}{{ 'ΑΣ' | lower }}",
    "{{ [3, 1, 2] | sort }}{{ ['b', 'A', 'c'] | sort }}{{ [{'a': 2}, {'a': 1}] | sort(attribute='a') }}{{ [1, 'a'] | sort }}",
    "{{ [{'a': 1, 'b': 1}, {'a': 1, 'b': 2}, {'a': 0, 'b': 3}] | groupby('a') }}{% for g in [{'a': 1}, {'a': 2}] | groupby('a') %}{{ g.grouper }}{{ g.list }}{% endfor %}",
    "{{ [1, 2, 3, 4, 5] | batch(2, 'x') | list }}{{ [1, 2, 3, 4, 5] | slice(2) | list }}{{ ['a', 'A', 'b'] | unique | list }}",
    "{{ 2.5 | round }}{{ 3.5 | round }}{{ 2.675 | round(2) }}{{ 5 | round }}{{ 1.21 | round(1, 'ceil') }}{{ '3.7' | int }}{{ 'x' | int(7) }}{{ '1e3' | float }}{{ 'x' | float }}",
    "{{ [1, 2, 3][::-1] }}{{ 'héllo'[1:3] }}{{ 'abc'[::-1] }}{{ [1, 2, 3][-2:] }}{{ [1, 2, 3][5:] }}{{ (1, 2, 3)[:2] }}{{ 'abc'[-1] }}",
    "{{ none[1:] }}",
    "{{ nothing | tojson }}",
    "{{ [1, nothing] }}{{ nothing is defined }}{{ nothing is none }}{{ nothing is iterable }}{{ nothing is callable }}{{ nothing is sequence }}",
    "{{ x | nope }}",
    "{% if false %}{{ x | nope }}{{ x is nope }}{% endif %}ok",
    "{% if true %}{{ x | nope }}{% endif %}",
    "{{ 1 if true else (x | nope) }}",
    "{{ raise_exception('no: ' ~ messages[0].role) }}",
    "{{ strftime_now('%d %B %Y, %H:%M %a %j') }}{{ strftime_now('%-d %b %y') }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join }}{{ messages | rejectattr('tool_calls', 'defined') | list | length }}",
    "{{ messages | map(attribute='tool_calls', default='-') | list }}{{ messages | map('length') | list }}{{ messages | selectattr('content') | list | length }}",
    "{{ joiner('|')() }}{% set j = joiner() %}{{ j() }}{{ j() }}{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% include 'x' %}",
    "{% set x = 1, 2 %}{{ x }}{% set a, b = b, 1 %}{{ a }}{{ b }}{% print 1, 2 %}",
    "{{ 'abc' | replace('b', 'x') | replace('', '-') }}{{ none | replace('N', 'n') }}{{ 'aaa' | replace('a', 'b', 2) }}",
    "{{ 'one two three four' | truncate(9) }}{{ 'one two three four' | truncate(9, true, '', 0) }}{{ 'ab' | center(6) }}|{{ 'a b c' | wordcount }}",
    "{{ [[1, 2], [3]] | sum(start=[]) }}{{ [1, 2] | sum }}{{ ['a', 'B'] | max }}{{ [] | max }}{{ [3, 1] | min }}{{ -3 | abs }}{{ {'a': 1} | items | list }}",
]

VALUES = {
    "undefined": "nothing",
    "none": "none",
    "true": "true",
    "zero": "0",
    "int": "-7",
    "float": "2.5",
    "small": "1e-5",
    "whole": "1.0",
    "empty": "''",
    "text": "'ab cd'",
    "digits": "' 1.5 '",
    "letters": "'Hé llo\\n wor-ld'",
    "quote": '"it\'s"',
    "commas": "'a,b,,c'",
    "list": "[3, 1, 2]",
    "texts": "['b', 'A', 'a', 'C']",
    "mixed": "[1, 'a', none, true, 1.5]",
    "objects": "[{'a': 2, 'b': 'x'}, {'a': 1, 'b': 'Y'}, {'b': 'z', 'a': 2}]",
    "tuple": "(1, 'a')",
    "object": "{'b': 1, 'a': [1, none]}",
    "keys": "{1: 'x', none: 2, true: 3}",
    "hiding": "{'items': 1, 'get': 2, 'x': 3}",
    "range": "range(3)",
    "safe": "('<b>&' | safe)",
    "view": "{'b': 1, 'a': 2}.items()",
    "generator": "[1, 2, 3] | map('string')",
}
FILTERS = """abs;capitalize;center(10);count;default('D');default('D', true);dictsort;dictsort(false, 'value');escape;first;float
float(7);format('x');groupby('a');indent(2, true);indent('> ', blank=true);int;int(9);join(', ');join('-', attribute='a');last
length;list;lower;items | list;map('upper') | list;map(attribute='a') | list;map(attribute='a', default='D') | list;min;max
reject('none') | list;select | list;select('string') | list;selectattr('a', 'eq', 2) | list;replace('a', 'b', 1);replace(1, 2)
reverse | list;round(1);round(0, 'ceil');safe;slice(2, 'f') | list;batch(2) | list;sort;sort(attribute='b', reverse=true)
string;sum;title;tojson;tojson(indent=2);tojson(separators=(',', ':'));trim;trim('a');truncate(5);unique | list;upper;urlencode
attr('items');tojson | length;list | tojson""".replace("\n", ";").split(";")
TESTS = """odd;divisibleby 2;defined;none;boolean;true;integer;float;lower;string;mapping;number;sequence;iterable;callable
sameas none;escaped;in [1, 'a', none];in 'abc';eq 1;gt 1;lt 'b';equalto(1.0)""".replace("\n", ";").split(";")
STEPS = """.a;.items;.get('a');.get('zz', 5);['a'];['items'];[0];[-1];[1:];[::-1];.keys() | list;.values() | list;.a.b;[none]
.append(1);.count('a');.index('c');.0;.upper();.strip('a');.split();.split(',', 1);.rsplit(none, 1);.startswith(('x', 'a'));.find('c', 1)
.replace('a', 'X', 1);.title();.splitlines();.partition(' ');.zfill(8);.isdigit();.islower();.join(['x', 'y']);.format()""".replace(
    "\n", ";"
).split(";")
OPERATORS = ["+", "-", "*", "/", "//", "%", "==", "!=", "<", ">=", "in", "not in", "and", "or", "~"]
STATEMENTS = [
    "{% for x in E %}[{{ x }}]{% else %}none{% endfor %}",
    "{% for x in E %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ loop.nextitem }};{% endfor %}",
    "{% for a, b in E %}{{ a }}={{ b }};{% endfor %}",
    "{% if E %}y{% else %}n{% endif %}",
    "{% set x = E %}{{ x }}|{{ [x] }}|{{ {'k': x} }}",
    "{{ '%s' % E }}",
    "{{ '%d|%5s' % (E, E) }}",
    "{{ '{:>5}|{!r}'.format(E, E) }}",
    "{{ dict(E) }}",
    "{{ range(E) | list }}",
    "{{ E() }}",
    "{% macro f(a, b=E) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 2) }}",
    "{{ [1, 2, 3][E:] }}",
    "{{ {'a': 1, 1: 2, none: 3}[E] }}",
    "{{ 'a' * E }}",
    "{{ not E }}{{ -E }}",
]


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def combined():
    for value in VALUES.values():
        yield from (f"{{{{ ({value}) | {name} }}}}" for name in FILTERS)
        yield from (f"{{{{ ({value}) is {name} }}}}" for name in TESTS)
        yield from (f"{{{{ ({value}){step} }}}}" for step in STEPS)
        yield from (statement.replace("E", f"({value})") for statement in STATEMENTS)
        yield from (f"{{{{ ({value}) {op} ({other}) }}}}" for op in OPERATORS for other in VALUES.values())


def made(template):
    # As `apply_chat_template` does, which drops fields that are None.
    messages = chat_template_utils._normalize_chat_messages(CONTEXT["messages"])
    try:
        text = chat_template_utils._compile_jinja_template(template).render(**{**CONTEXT, "messages": messages})
        text.encode()
    except Exception:
        return None
    # What Python shows by its place in memory is another each time.
    return None if " at 0x" in text else text


def main():
    chat_template_utils.datetime = Day
    drawn = random.Random(1).sample(list(combined()), DRAWN)
    cases = [[template, made(template)] for template in WRITTEN + drawn]
    path = Path(__file__).parent.parent / "tests/fixtures/chat/snippets.json"
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path.write_text(f'{{"context": {json.dumps(CONTEXT, ensure_ascii=False)},\n"cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} snippets, {sum(text is None for _, text in cases)} of which Jinja2 rejects")


if __name__ == "__main__":
    main()
