#!/usr/bin/env python3
"""Writes tests/fixtures/chat/constructs.json: small chat templates, one for each construct that real ones use, and what
transformers renders of them.

    python scripts/make_chat_fixtures.py          # needs transformers and jinja2

The day is fixed, as it is in tokshift unless --chat-date is given.
"""

import datetime
import json
from pathlib import Path

from transformers.utils import chat_template_utils

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Today's <weather> & \"more\", wherever – 天气",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1, "minimum": 0.5}},
            "required": ["city"],
            "additionalProperties": False,
            "examples": [[], {}, None, True, 1e-7, 1e20, -0.0, 12345678901234567890],
        },
    },
}

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  Où est-elle ? \"Là\" <b>&'amp;</b>\n"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHere. 🙂"},
    {"role": "user", "content": "Weather?", "name": "Zoë"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Köln", "days": 2}}}],
    },
    {"role": "tool", "name": "weather", "content": "{\"t\": 21.5}"},
    {"role": "assistant", "content": "21.5 °C", "reasoning_content": "It says so."},
]

LOOP = "{% for m in messages %}"
CONSTRUCTS = {
    "plain": "{{ bos_token }}" + LOOP + "[{{ m.role }}]{{ m['content'] }}{% endfor %}",
    "generation prompt": LOOP + "{{ m.role }},{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}",
    "absent": "{{ tools is none }}|{{ documents }}|{{ nothing }}|{{ unk_token is defined }}|{{ messages[0].nothing }}|{{ eos_token }}",
    "blocks take their line": "a\n  {% if true %}\n  b\n  {% endif %}\nc\n\n{# note #}\nd {#- e -#} f\n",
    "signs at blocks": "a\n  {%- if true -%}\n  b  \n  {%+ if true %} c{% endif +%}\n  {%- endif %}\n {{- 'd' -}} \n e",
    "a line after an expression": "{{ 'a' }}\n{{ 'b' }}\n",
    "namespace": "{% set ns = namespace(n=0, seen='') %}" + LOOP
    + "{% set ns.n = ns.n + 1 %}{% set ns.seen = ns.seen + m.role[0] %}{% endfor %}{{ ns.n }}{{ ns.seen }}",
    "scope of a loop": "{% set x = 1 %}" + LOOP + "{% set x = 2 %}{% endfor %}{{ x }}",
    "macro": "{% macro say(m, mark='>') %}{{ mark }}{{ m.role }}\n{% endmacro %}" + LOOP
    + "{{ say(m) }}{{ say(m, mark='#') }}{% endfor %}",
    "macro that calls itself": "{% macro down(n) %}{{ n }}{% if n > 0 %}{{ down(n - 1) }}{% endif %}{% endmacro %}{{ down(5) }}",
    "call": "{% macro box() %}[{{ caller() }}]{% endmacro %}{% call box() %}in{% endcall %}",
    "break and continue": LOOP + "{% if m.role == 'system' %}{% continue %}{% endif %}{% if m.role == 'tool' %}"
    + "{% break %}{% endif %}{{ m.role }} {% endfor %}",
    "loop": LOOP + "{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}"
    + "{{ loop.previtem.role if loop.previtem is defined }}{{ loop.nextitem.role if loop.nextitem is defined }};{% endfor %}",
    "loop with a filter": "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ m.content }}{% else %}none{% endfor %}"
    + "{% for m in [] %}x{% else %}none{% endfor %}",
    "unpacking": "{% for k, v in messages[3].items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in messages[0] | items %}"
    + "{{ k }}={{ v }};{% endfor %}{% for k, v in messages[3] | dictsort %}{{ k }};{% endfor %}",
    "slices": "{{ messages[1:] | length }}{{ messages[::-1][0].role }}{{ messages[-1].role }}{{ messages[1:3][1].role }}"
    + "{{ 'abcdef'[::-1] }}{{ 'abcdef'[-2:] }}{{ 'abc'[0] }}{{ messages[:-1] | length }}",
    "tojson": "{{ tools | tojson }}\n{{ messages | tojson }}{{ 'a</b>\\'\"\\\\\\u2028\\x7f\\x01\\t' | tojson }}",
    "tojson with an indent": "{{ tools | tojson(indent=4) }}{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}",
    "tojson with other arguments": "{{ tools[0] | tojson(sort_keys=true, separators=(',', ':'), ensure_ascii=true) }}"
    + "{{ '🙂é' | tojson(true) }}",
    "strftime_now": "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d %H:%M:%S') }}|{{ strftime_now('%A, %B %-d %j %y %%') }}",
    "raise_exception": LOOP + "{% if m.role == 'tool' %}{{ raise_exception('no tools: ' + m.role) }}{% endif %}{% endfor %}",
    "methods of texts": "{{ messages[2].content.split('</think>')[-1].lstrip('\\n') }}|{{ messages[1].content.strip() }}|"
    + "{{ 'a-b-c'.replace('-', '+') }}{{ 'ab'.startswith('a') }}{{ 'ab'.endswith(('x', 'b')) }}{{ 'Ab'.upper() }}"
    + "{{ 'xxaxx'.strip('x') }}{{ 'a b'.split() }}{{ 'a,b,c'.split(',', 1)[1] }}{{ ', '.join(['a', 'b']) }}{{ 'ab cd'.title() }}"
    + "{{ 'abc'.find('c') }}{{ 'ab'.rstrip('b') }}{{ 'a\\nb'.splitlines() | length }}{{ 'a'.isdigit() }}{{ 'aXa'.count('a') }}",
    "methods of objects": "{{ messages[0].get('name', 'nobody') }}{{ messages[0].get('name') }}{{ messages[3].get('name') }}"
    + "{{ messages[0].keys() | list | join('+') }}{{ messages[0].values() | list | length }}",
    "tests": LOOP + "{{ m.content is none }}{{ m.content is string }}{{ m.content is defined }}{{ m.tool_calls is defined }}"
    + "{{ m is mapping }}{{ m.tool_calls is iterable }}{{ m is sequence }};{% endfor %}{{ 1 is number }}{{ 1 is divisibleby 2 }}"
    + "{{ true is boolean }}{{ 3 is odd }}{{ 'a' is in ['a'] }}{{ nothing is undefined }}{{ false is false }}{{ 1.5 is float }}"
    + "{{ 1 is integer }}{{ 'a' is eq 'a' }}{{ none is not none }}",
    "filters over messages": "{{ messages | map(attribute='role') | join(',') }}|{{ messages | selectattr('role', 'equalto', 'user')"
    + " | list | length }}|{{ messages | rejectattr('content') | list | length }}|{{ (messages | last).role }}|{{ (messages | first).role }}"
    + "|{{ messages | map(attribute='role') | unique | list | join(' ') }}|{{ ['b', 'a'] | sort | join }}|{{ [1, 2] | sum }}"
    + "|{{ ['a', '', 'b'] | select | join('-') }}|{{ messages | map(attribute='name', default='-') | join }}|{{ [3, 1] | max }}",
    "filters of texts": "{{ '  a ' | trim }}|{{ 'ab' | upper }}|{{ 'AB' | lower }}|{{ 'ab cd' | capitalize }}|{{ 'ab cd' | title }}"
    + "|{{ 'a\\nb' | indent(2) }}|{{ 'a\\nb' | indent(2, true) }}|{{ 'ab' | replace('a', 'c') }}|{{ 5 | string + 'x' }}|{{ nothing | default('d') }}"
    + "|{{ '' | default('e', true) }}|{{ '3' | int + 1 }}|{{ '<a>' | safe }}|{{ 'ab' | length }}|{{ 'ab' | list | join('.') }}|{{ 2.567 | round(1) }}",
    "html stays": "{{ '<a href=\"x\">&\\'' }}{{ messages[1].content }}",
    "what Python prints": "{{ true }}{{ none }}{{ 1.0 }}{{ 1 / 2 }}{{ 7 // 2 }}{{ 7 % 3 }}{{ 2 ** 5 }}{{ [1, 'a', none, true, 1.5] }}{{ {'a': [1]} }}"
    + "{{ 'x' ~ 1 ~ true ~ none }}{{ [\"it's\", 'say \"x\"', 'both \\' \"'] }}{{ (1, 'a') }}{{ 'é\\n' }}{{ ['é\\n'] }}{{ -7 // 2 }}{{ -7 % 3 }}",
    "operators": "{{ 'a' in 'abc' }}{{ 'role' in messages[0] }}{{ 'x' not in ['x'] }}{{ 1 < 2 <= 2 }}{{ not true or 1 and 'y' }}{{ [1] + [2] }}"
    + "{{ 'ab' * 2 }}{{ 'a' < 'b' }}{{ 1 == 1.0 }}{{ 'a' != 'b' }}{{ nothing or 'or' }}{{ (none or '') + 'z' }}",
    "no else": "a{{ 'b' if false }}c{{ 'd' if true else 'e' }}",
    "set of a block": "{% set x %}[{{ messages[0].role }}]{% endset %}{{ x }}{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set d = dict(a=1) %}{{ d.a }}",
    "filter of a block": "{% filter upper %}abc{% endfilter %}",
    "raw": "{% raw %}{{ x }}{% endraw %}",
    "with": "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}",
    "generation": LOOP + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    + "{%- generation -%}\n x \n{%- endgeneration %}{% else %}{{ m.role }}{% endif %}{% endfor %}",
    "range": "{% for i in range(3) %}{{ i }}{% endfor %}{{ range(2, 9, 3) | list }}",
    "format": "{{ '%s-%d' | format('a', 3) }}{{ '{}:{}'.format('a', 1) }}{{ '%s' | format('x') }}",
    "text over lines": "{{ 'a\nb' }}{{ \"q'q\" + 'r\"r' }}{{ 'tab\\tnew\\\\n' }}{{ 'a' 'b' }}",
    "loop over an object": "{% for k in messages[0] %}{{ k }},{% endfor %}{{ messages[0] | length }}{{ messages[0]['role'] }}",
    "tools": "{% if tools is not none and tools %}{% for t in tools %}{% set f = t.function %}{{ f.name }}({% for n, p in f.parameters.properties.items() %}"
    + "{{ n }}: {{ p.type }}{{ '' if n in f.parameters.required else '?' }}{% if not loop.last %}, {% endif %}{% endfor %}){% endfor %}{% endif %}",
    "tool calls": LOOP + "{% if m.tool_calls %}{% for c in m.tool_calls %}{% set c = c.function %}{\"name\": \"{{ c.name }}\", \"arguments\": "
    + "{% if c.arguments is string %}{{ c.arguments }}{% else %}{{ c.arguments | tojson }}{% endif %}}{{ c.arguments.items() | list }}{{ c.arguments }}{% endfor %}{% endif %}{% endfor %}",
    "attribute of nothing": "{{ messages[0].nothing.more }}",
    "addition of nothing": "{{ 'a' + messages[4].content }}",
    "loop over nothing": "{% for x in nothing %}{{ x }}{% endfor %}-{{ nothing | length }}{{ nothing | join }}",
}


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def main():
    chat_template_utils.datetime = Day
    # As `apply_chat_template` does, which drops fields that are None.
    messages = chat_template_utils._normalize_chat_messages(MESSAGES)
    cases = []
    for name, template in CONSTRUCTS.items():
        case = {"name": name, "template": template}
        try:
            [case["text"]], _ = chat_template_utils.render_jinja_template(
                [messages], tools=[TOOL], chat_template=template, add_generation_prompt=True, **TOKENS
            )
        except Exception as error:
            case["error"] = str(error)
        cases.append(case)
    fixture = {"tokens": TOKENS, "messages": MESSAGES, "tools": [TOOL], "cases": cases}
    path = Path(__file__).parent.parent / "tests/fixtures/chat/constructs.json"
    path.write_text(json.dumps(fixture, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(cases)} cases")


if __name__ == "__main__":
    main()
