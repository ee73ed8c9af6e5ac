#!/usr/bin/env python3
"""Compares `tokshift render` with transformers over chat templates and conversations; see check-chat-templates.sh.

    python scripts/check_chat_templates.py TOKSHIFT FOLDER...

Takes every `*.jinja` file and every `tokenizer_config.json` with a template below the folders. Prints what was equal, what
was rejected and for which reason, and every rendering of a conversation that transformers rejects. Exit code 1 if a text
differs, if transformers rejects what is rendered here, or if less than 99.5 % of what transformers renders is equal.
"""

import collections
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers.utils import chat_template_utils

NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
DEFAULTS = {"bos_token": "<s>", "eos_token": "</s>"}


class Day(datetime.datetime):
    """The day that `tokshift render` gives a template."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


def tool(name, description, **parameters):
    function = {"name": name, "description": description, "parameters": {"type": "object", **parameters}}
    return {"type": "function", "function": function}


TOOLS = [
    tool(
        "get_weather",
        "Today's <weather> & \"more\" – 天气",
        properties={"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
        required=["city"],
    ),
    tool("now", "", properties={}),
]
NESTED = [
    tool(
        "plan",
        "Makes a plan.\nOf two lines.",
        properties={
            "steps": {
                "type": "array",
                "items": {"type": "object", "properties": {"what": {"type": "string", "enum": ["a", "b"]}, "n": {"type": "number"}}},
            },
            "rate": {"type": ["number", "null"], "default": 1e-5, "minimum": 0, "maximum": 1e16},
            "flag": {"type": "boolean", "default": False, "description": "On or off."},
            "any": {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": None},
        },
        required=["steps", "flag"],
        additionalProperties=False,
    )
]


def system(text):
    return {"role": "system", "content": text}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def answer(text, **more):
    return {"role": "tool", "content": text, **more}


def call(name, arguments):
    return {"id": "c12345678", "type": "function", "function": {"name": name, "arguments": arguments}}


def text(value):
    return {"type": "text", "text": value}


CALLS = [
    system("Use tools."),
    user("Weather in Köln?"),
    assistant("", tool_calls=[call("get_weather", {"city": "Köln", "days": 2}), call("now", {})]),
    answer('{"t": 21.5}', name="get_weather", tool_call_id="c12345678"),
    answer("12:00", name="now", tool_call_id="c12345678"),
    assistant("21.5 °C at noon."),
    user("Thanks"),
    assistant("", tool_calls=[call("get_weather", {"city": "<Ulm>", "x": [1.0, None, True, 1e-7, 1e22, {"y": "it's"}]})]),
]
TURNS = [user("  One, two? "), assistant(" Three.\n"), user("And then?"), assistant("Four."), user("More!"), assistant("Five, \n\nsix.")]
THINKS = [
    user("2 + 2?"),
    assistant("<think>\nEasy.\n</think>\n\n4"),
    user("And 3 + 3?"),
    assistant("6", reasoning_content="Twice three."),
    user("And 4 + 4?"),
    assistant("8"),
]


def long(calls):
    rows = [system("s" * 500), user("Do it.")]
    for number in range(calls):
        rows.append(assistant("", tool_calls=[call("now", {"x": number, "y": "z" * 50})]))
        rows.append(answer("r" * 200, name="now", tool_call_id="c12345678"))
    return [*rows, assistant("Done.")]


# Name, messages, tools, chat_template_kwargs.
CONVERSATIONS = [
    ("one turn", [user("Hi"), assistant("Ho")], None, {}),
    ("system", [system("Be brief.\n"), user("Who are you?"), assistant("A model.")], None, {}),
    ("system only", [system("Be brief."), assistant("Yes.")], None, {}),
    ("turns", TURNS, None, {}),
    ("no answer", TURNS[:5], None, {}),
    ("empty content", [system(""), user(""), assistant("")], None, {}),
    (
        "unicode",
        [
            system("「簡潔に」 <b>&amp;</b> \\n {{ x }} {% raw %}"),
            user("Où est \"la\" gare, d'après l'🙂 ?\t\u2028x"),
            assistant("Là-bas — 👋🏽 \"ici\" 'là' </s> <|im_end|>"),
        ],
        None,
        {},
    ),
    ("line ends", [user("a\r\nb\rc"), assistant("\r\nd\n")], None, {}),
    ("thinking", THINKS, None, {}),
    ("not thinking", THINKS, None, {"enable_thinking": False, "thinking": False}),
    ("told to think", [system("s"), user("q"), assistant("a")], None, {"enable_thinking": True, "reasoning_effort": "high"}),
    ("calls", CALLS, TOOLS, {}),
    ("calls of null", [{**m, "content": m["content"] or None} for m in CALLS], TOOLS, {}),
    (
        "calls as text",
        [user("Weather?"), assistant(None, tool_calls=[call("get_weather", '{"city": "Köln"}')]), answer("21.5"), assistant("Warm.")],
        TOOLS,
        {},
    ),
    ("tools without calls", [system("s"), *TURNS], TOOLS, {}),
    ("no tools", TURNS, [], {}),
    ("nested schema", [user("Plan!"), assistant("", tool_calls=[call("plan", {"steps": [{"what": "a", "n": 0.1}], "rate": 1e-5, "flag": True})])], NESTED, {}),
    ("calls and thoughts", [user("x"), assistant("", reasoning_content="Hm.", tool_calls=[call("now", {})]), answer("1"), assistant("y")], TOOLS, {}),
    ("answer of an object", [user("x"), assistant("", tool_calls=[call("now", {})]), answer({"t": 1.0, "n": None}), assistant("y")], TOOLS, {}),
    ("null fields", [{**m, "tool_calls": None, "name": None, "reasoning_content": None} for m in TURNS], None, {}),
    ("names", [{**m, "name": f"n{index}"} for index, m in enumerate(TURNS)], None, {}),
    ("long", long(40), TOOLS, {}),
    ("two of the user", [user("a"), user("b"), assistant("c")], None, {}),
    ("assistant first", [assistant("Hello!"), user("a"), assistant("c")], None, {}),
    # In parts: what takes parts shows the texts, what does not is given one text here and compared with that.
    ("parts", [{**user([text("What is "), text("this?")])}, assistant([text("That.")])], None, {}),
]


def sources(folders):
    """(name, source, what `tokshift render` is given, named tokens) of every template."""
    for folder in folders:
        for path in sorted(folder.rglob("*.jinja")):
            yield str(path.relative_to(folder)), path.read_text(), path, None
        for path in sorted(folder.rglob("tokenizer_config.json")):
            config = json.loads(path.read_text())
            template = config.get("chat_template")
            if isinstance(template, str):
                values = {name: config.get(name) for name in NAMED}
                named = {n: v["content"] if isinstance(v, dict) else v for n, v in values.items() if v is not None}
                yield str(path.parent.relative_to(folder)), template, path.parent, named


def expected(template, messages, tools, kwargs, named, prompt):
    """What `apply_chat_template` of transformers 5 renders, which drops fields that are None, or why it rejects."""
    try:
        messages = chat_template_utils._normalize_chat_messages(messages)
        [[rendered], _] = chat_template_utils.render_jinja_template(
            [messages], tools=tools, chat_template=template, add_generation_prompt=prompt, **{**named, **kwargs}
        )
        rendered.encode()
        return rendered, None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def joined(messages):
    """Contents in parts as one text, as `tokshift render` gives them to a template that takes texts."""
    texts = lambda m: ("" if m["role"] == "assistant" else "\n").join(part["text"] for part in m["content"])
    return [{**m, "content": texts(m)} if isinstance(m["content"], list) else m for m in messages]


def rendered(tokshift, source, template, named, scratch):
    if named is None:
        # A file of its own, with tokens next to it.
        (scratch / "t.jinja").write_text(template, newline="")
        (scratch / "tokenizer_config.json").write_text(json.dumps(DEFAULTS))
        source = scratch / "t.jinja"
    rows = [{"messages": m, "tools": t, "chat_template_kwargs": k} for _, m, t, k in CONVERSATIONS]
    (scratch / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [tokshift, "render", str(source), "--messages", str(scratch / "chats.jsonl"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.split("\n") if line]
    return lines, done.stderr.strip()


def main():
    chat_template_utils.datetime = Day
    tokshift, folders = sys.argv[1], [Path(folder) for folder in sys.argv[2:]]
    counts, reasons = collections.Counter(), collections.Counter()
    wrong = []
    seen = set()
    with tempfile.TemporaryDirectory() as scratch:
        for name, template, source, named in sources(folders):
            if template in seen:
                continue
            seen.add(template)
            lines, stderr = rendered(tokshift, source, template, named, Path(scratch))
            lines = lines or [{"text": None, "prompt": None, "error": stderr}] * len(CONVERSATIONS)
            for (what, messages, tools, kwargs), line in zip(CONVERSATIONS, lines, strict=True):
                for prompt, got in ((False, line["text"]), (True, line["prompt"])):
                    chats = [messages, joined(messages)] if what == "parts" else [messages]
                    wants = [expected(template, chat, tools, kwargs, named or DEFAULTS, prompt) for chat in chats]
                    texts = [want for want, _ in wants if want is not None]
                    if not texts and got is None:
                        counts["rejected by both"] += 1
                    elif not texts:
                        counts["rejected by transformers alone"] += 1
                        wrong.append(f"{name}, {what}: rendered here, and transformers says {wants[0][1]}")
                    elif got is None:
                        counts["rejected here alone"] += 1
                        reasons[f"{name}: {line['error']}"] += 1
                    elif got in texts:
                        counts["equal"] += 1
                    else:
                        counts["DIFFERS"] += 1
                        wrong.append(f"{name}, {what}, prompt {prompt}: DIFFERS")
    for reason, count in reasons.most_common():
        print(f"rejected {count} times: {reason}")
    print("\n".join(wrong))
    rendering = counts["equal"] + counts["DIFFERS"] + counts["rejected here alone"]
    share = counts["equal"] / rendering if rendering else 0
    print(f"{len(seen)} templates, {len(CONVERSATIONS)} conversations each: {dict(counts)}")
    print(f"{100 * share:.2f} % of what transformers renders is equal")
    sys.exit(1 if wrong or share < 0.995 else 0)


if __name__ == "__main__":
    main()
