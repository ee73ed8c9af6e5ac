#!/usr/bin/env python3
"""Compares `tokshift render` with transformers over chat templates and conversations; see check-chat-templates.sh.

    python scripts/check_chat_templates.py TOKSHIFT FOLDER        # FOLDER/NAME/tokenizer_config.json

Prints a table, template by conversation; exit code 1 if a text differs.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Today's <weather> & \"more\" – 天气",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments):
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


CONVERSATIONS = {
    "system": [{"role": "system", "content": "Be brief.\n"}, user("Who are you?"), assistant("A model.")],
    "turns": [
        user("  One, two? "),
        assistant(" Three.\n"),
        user("And then?"),
        assistant("Four."),
        user("More!"),
        assistant("Five, \n\nsix."),
    ],
    "unicode": [
        {"role": "system", "content": "「簡潔に」 <b>&amp;</b> \\n {{ x }} {% raw %}"},
        user("Où est \"la\" gare, d'après l'🙂 ?\t\u2028x"),
        assistant("Là-bas — 👋🏽 \"ici\" 'là' </s> <|im_end|>"),
    ],
    "thinking": [
        user("2 + 2?"),
        assistant("<think>\nEasy.\n</think>\n\n4"),
        user("And 3 + 3?"),
        assistant("6", reasoning_content="Twice three."),
    ],
    "tools": [
        {"role": "system", "content": "Use tools."},
        user("Weather in Köln?"),
        assistant(None, tool_calls=[call("get_weather", "{\"city\": \"Köln\"}"), call("now", "{}")]),
        {"role": "tool", "name": "get_weather", "tool_call_id": "c1", "content": "{\"t\": 21.5}"},
        {"role": "tool", "name": "now", "tool_call_id": "c2", "content": "12:00"},
        assistant("21.5 °C at noon."),
        user("Thanks"),
        assistant("", tool_calls=[call("get_weather", {"city": "<Ulm>", "days": 2, "x": [1.0, None, True, 1e-7]})]),
    ],
}
# Some templates refuse a content of null, some take only that for a call.
CONVERSATIONS["calls"] = [{**m, "content": m["content"] or ""} for m in CONVERSATIONS["tools"]]


def tokens(config):
    value = {name: config.get(name) for name in NAMED}
    return {name: v["content"] if isinstance(v, dict) else v for name, v in value.items() if v is not None}


def expected(template, messages, tools, named):
    """What transformers renders, or `None` where the template refuses the conversation."""
    render = lambda prompt: render_jinja_template(
        [messages], tools=tools, chat_template=template, add_generation_prompt=prompt, **named
    )[0][0]
    try:
        return render(False), render(True)
    except Exception:
        return None


def rendered(tokshift, folder):
    rows = [{"messages": m, "tools": TOOLS if name in ("tools", "calls") else None} for name, m in CONVERSATIONS.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.flush()
        command = [tokshift, "render", str(folder), "--messages", file.name, "--json"]
        lines = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")
    return [json.loads(line) for line in lines if line]


def compare(want, got):
    if want is None:
        return "refused" if got["error"] else "NOT REFUSED"
    if (got["text"], got["prompt"]) != want:
        return "DIFFERS"
    if got["error"]:
        return "equal, no turns"
    return "equal"


def main():
    tokshift, folder = sys.argv[1], Path(sys.argv[2])
    print(f"{'':16}" + "".join(f"{name:18}" for name in CONVERSATIONS))
    wrong = 0
    for path in sorted(folder.glob("*/tokenizer_config.json")):
        config = json.loads(path.read_text())
        named = tokens(config)
        got = rendered(tokshift, path.parent)
        cells = []
        for (name, messages), one in zip(CONVERSATIONS.items(), got, strict=True):
            want = expected(config["chat_template"], messages, TOOLS if name in ("tools", "calls") else None, named)
            cell = compare(want, one)
            wrong += cell.isupper()
            kinds = ",".join(turn["rendering"][0] for turn in one["turns"])
            cells.append(f"{cell} {kinds}")
        print(f"{path.parent.name:16}" + "".join(f"{cell:18}" for cell in cells))
    print("(w: whole, p: partial, r: raw, a turn each)")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
