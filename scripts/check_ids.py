#!/usr/bin/env python3
"""Compares tokshift's token ids with transformers', tokenizer by tokenizer and text by text; see check-ids.sh.

    python scripts/check_ids.py prepare FOLDER SOURCES FIXTURES   # FOLDER/NAME: files as a model directory has them
    python scripts/check_ids.py expect FOLDER OUT.json            # ids by the transformers that is installed
    python scripts/check_ids.py compare FOLDER TOKSHIFT EXPECTED.json...

A text counts where every EXPECTED agrees on its ids; where they do not, what tokshift does is listed. Exit code 1 if a text
differs from what all of them say.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

REAL = ["qwen3", "llama3_1", "llama2", "gemma3", "deepseek_v3", "gptoss", "gpt4o", "llama3"]

TEXTS = [
    "Hello, world!",
    " leading space",
    "trailing space ",
    "   ",
    "a",
    "\n",
    "\n\n\n   indented\n\ttabbed\n",
    "windows\r\nlines\r\n\r\n end\r",
    "tabs\t\tand  double   triple    quadruple     spaces",
    "1234567 12 3.14159 1,000,000 0x7f 1e-9 ١٢٣ ½ ² ⅷ",
    "def f(x):\n    return {k: v for k, v in x.items()}  # ok\n\n\nif __name__ == '__main__':\n\tf({})\n",
    "don't DON'T we'LL I'Ve they'd 'tis 'ſ it’s",
    "你好，世界！今天天气不错。１２３ 東京タワー カタカナ ひらがな",
    "한국어 문장입니다. 안녕하세요 ㅎㅎ",
    "مرحبا بالعالم، كيف حالك؟ \u200fRTL\u200e mixed",
    "שלום עולם, זה מבחן",
    "हिन्दी में एक वाक्य। தமிழ் ไทยไม่มีช่องว่าง",
    "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪🇯🇵 \U0001fae8",
    "e\u0301 é n\u0303 ñ a\u0323\u0302 ậ",
    "\u1100\u1161\u11a8 각 \u212b Å \u2126 Ω",
    "ﬁﬂﬀ ﬃ ŉ ǆ Ⅳ ㎏ ｆｕｌｌ",
    "line\u2028separator\u2029paragraph\u0085next",
    "\ufeffBOM at the start and\ufeffinside",
    "control \x00\x01\x02\x07\x08\x0b\x0c\x1b[0m\x7f end",
    "zero\u200bwidth\u200cjoin\u200der\u2060word\u00adsoft",
    "no\u00a0break\u2003em\u3000ideographic\u180emongolian",
    "<s></s><unk><pad><bos><eos>",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>",
    "x <|im_end|> y<|im_end|>z   <|eot_id|>   w",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n",
    "<start_of_turn>model\n<end_of_turn>\n<unused7>",
    "<｜begin▁of▁sentence｜>▁low▁line ▁ <0x0A>",
    "<|imstart|> <|im_start <| im_start |> [INST] <<SYS>>",
    "<think>\nhm…\n</think>\n\nFine.",
    "Ġ Ċ ĉ Â â€™ ÃƒÂ© mojibake",
    "\U00013080\U0001d54f\U00020000\U0010ffff \ufffd \ue000",
    "ASCII!!!???...---===+++***###$$$%%%^^^&&&~~~```|||\\\\\\///",
    "http://example.org/a?b=c&d=%20#e  mail@example.org  C:\\path\\file.txt",
    "supercalifragilisticexpialidocious Donaudampfschifffahrtsgesellschaftskapitän",
    "a" * 300 + " " + "ab" * 100 + " " * 200 + "!",
    "\u0130stanbul \u0131 ẞ ß ǅ Σςσ",
    "Zalgo: t\u0336\u0321e\u0337\u0322x\u0338\u0323t\u0335\u0324",
]

CHATS = [
    [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A model."}],
    [{"role": "user", "content": " Où?\r\n\t👩‍👧 "}, {"role": "assistant", "content": "Là-bas…\n\n1234 <b>é</b>"}],
    [
        {"role": "user", "content": "一"},
        {"role": "assistant", "content": "二"},
        {"role": "user", "content": "And then?  "},
        {"role": "assistant", "content": "Three,\n four: 56."},
    ],
    [{"role": "user", "content": "x <s> <pad> y"}, {"role": "assistant", "content": "    indented\n\n\n"}],
]

# For tokenizers that come without one.
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]\n{{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}[assistant]\n{% endif %}"
)


def added(content, **flags):
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": content, **plain, **flags}


def overlays(config, tokens, size):
    """Files laid over a tokenizer, by name: each is {file name: content}. `tokens`: those of its tokenizer.json."""
    listed = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in tokens}
    first = max([size, *[t["id"] + 1 for t in tokens]])
    plain = {k: v for k, v in config.items() if k != "added_tokens_decoder"}
    special = {"extra": "<|extra|>", "tool": "<tool>"}
    new = {
        str(first): added(special["extra"]),
        str(first + 1): added("<strip>", lstrip=True, rstrip=True),
        str(first + 2): added("whole", single_word=True, normalized=True, special=False),
    }
    flagged = {k: {**v, "rstrip": True} for k, v in listed.items()}
    yield "decoder", {"tokenizer_config.json": {**plain, "added_tokens_decoder": {**listed, **new}}}
    yield "flags", {"tokenizer_config.json": {**plain, "added_tokens_decoder": flagged}}
    yield "added", {
        "tokenizer_config.json": plain,
        "added_tokens.json": {special["extra"]: first, "<plain>": first + 1},
        "special_tokens_map.json": {"additional_special_tokens": [special["extra"]], "eos_token": "<tool>"},
    }
    yield "additional", {"tokenizer_config.json": {**plain, "additional_special_tokens": list(special.values())}}
    yield "eos", {"tokenizer_config.json": {**plain, "eos_token": "<tool>", "pad_token": added("<strip>", rstrip=True, __type="AddedToken")}}
    yield "split", {"tokenizer_config.json": {**config, "split_special_tokens": True}}


OVERLAID = [
    "x <|extra|> y<tool>z",
    "a <strip>  b<strip>c   <strip>",
    "whole wholes whole, the whole<|extra|>whole",
    "<plain> <s> </s> <bos> <|im_end|>   <|eot_id|>  <｜end▁of▁sentence｜>  x",
    "no token at all",
]


def prepare(folder, sources, fixtures):
    folder.mkdir(parents=True, exist_ok=True)
    for name in REAL:
        source = sources / name
        config = json.loads((source / "tokenizer_config.json").read_text())
        shown = json.loads((source / "tokenizer.json").read_text())
        write(folder / name, source / "tokenizer.json", {"tokenizer_config.json": config})
        if name in REAL[:7]:
            for title, files in overlays(config, shown["added_tokens"], len(shown["model"]["vocab"])):
                write(folder / f"{name}+{title}", source / "tokenizer.json", files)
    for path in sorted(fixtures.glob("*.json")):
        shown = json.loads(path.read_text())
        # What a post-processor appends, tokshift leaves to `--end`.
        if "model" not in shown or path.stem == "bos_eos":
            continue
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": shown["added_tokens"][2]["content"]}
        write(folder / f"made-{path.stem}", path, {"tokenizer_config.json": config})
        for title, files in overlays(config, shown["added_tokens"], len(shown["model"]["vocab"])):
            write(folder / f"made-{path.stem}+{title}", path, files)


def write(folder, tokenizer, files):
    folder.mkdir(exist_ok=True)
    target = folder / "tokenizer.json"
    if not target.exists():
        target.symlink_to(tokenizer.resolve())
    for name, content in files.items():
        if name == "tokenizer_config.json" and "chat_template" not in content:
            content = {**content, "chat_template": TEMPLATE}
        (folder / name).write_text(json.dumps(content))


def texts(name):
    return OVERLAID + TEXTS[:12] if "+" in name else TEXTS


def expect(folder, out):
    import transformers
    from transformers import AutoTokenizer

    transformers.logging.set_verbosity_error()
    found = {"transformers": transformers.__version__}
    for directory in sorted(folder.iterdir()):
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(directory))
            rendered = [tokenizer.apply_chat_template(chat, tokenize=False) for chat in CHATS]
            found[directory.name] = {
                "texts": [tokenizer(text)["input_ids"] for text in texts(directory.name)],
                "chats": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in rendered],
            }
        except Exception as error:  # noqa: BLE001: whatever it says stands for "does not read it"
            found[directory.name] = {"error": f"{type(error).__name__}: {error}"[:200]}
    Path(out).write_text(json.dumps(found))


def tokshift(binary, directory, rows, more=()):
    """Response ids and samples by sample, of rows that the stand-in engine scores."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "g_t.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [binary, "score", "--dataset", data, "--models", f"g={directory}", "--engine", "mock"]
        ran = subprocess.run([*command, "--output-dir", f"{scratch}/out", *more], capture_output=True, text=True)
        if ran.returncode not in (0, 4):
            return None, ran.stderr.strip()
        read = lambda kind: [
            row
            for path in sorted(Path(scratch).glob(f"out/{kind}/**/*.parquet"))
            for row in pq.ParquetFile(path).read().to_pylist()
        ]
        ids = {}
        for token in read("tokens"):
            ids.setdefault(token["sample_id"], []).append(token["token_id"])
        return {row["sample_id"]: (row, ids.get(row["sample_id"], [])) for row in read("samples")}, ran.stderr


def of_texts(binary, directory, prefix):
    rows = [{"prompt": "", "response": text} for text in texts(directory.name)]
    # A text of one token has nothing to score; with an end it has.
    found, said = tokshift(binary, directory, rows, ["--end", "0"])
    if found is None:
        return said
    return [prefix[: row["context_tokens"] or 0] + ids[:-1] for row, ids in found.values()]


def of_chats(binary, directory, expected):
    """Whether the context of every last turn and its response are where transformers has them in the whole text."""
    from blake3 import blake3

    found, said = tokshift(binary, directory, [{"messages": chat} for chat in CHATS])
    if found is None:
        return [said] * len(CHATS)
    last = {row["row"]: (row, ids) for row, ids in found.values()}
    reports = []
    for number, want in enumerate(expected):
        row, ids = last[number]
        n = row["context_tokens"] or 0
        hashed = blake3(b"".join(i.to_bytes(4, "little") for i in want[:n])).hexdigest()[:16]
        right = row["status"] == "ok" and hashed == row["context_hash"] and want[n : n + len(ids)] == ids and ids
        reports.append(None if right else f"{row['status']} {row['reason']} {n} {ids} in {want}")
    return reports


def compare(folder, binary, *files):
    versions = [json.loads(Path(path).read_text()) for path in files]
    names = [f"transformers {version.pop('transformers')}" for version in versions]
    total, wrong, apart = {"texts": 0, "chats": 0}, [], []
    for directory in sorted(folder.iterdir()):
        of = [version[directory.name] for version in versions]
        reading = [one for one in of if "error" not in one]
        for name, one in zip(names, of):
            if "error" in one:
                apart.append(f"{directory.name}: {name} does not read it: {one['error']}")
        if not reading:
            continue
        first = reading[0]["texts"][0]
        prefix = first[:1]
        ours = of_texts(binary, directory, prefix)
        if isinstance(ours, str):
            wrong.append(f"{directory.name}: {ours}")
            continue
        equal = 0
        for number, text in enumerate(texts(directory.name)):
            want = [one["texts"][number] for one in reading]
            if any(ids != want[0] for ids in want):
                like = [name for name, ids in zip(names, want) if ids == ours[number]]
                apart.append(f"{directory.name}, {text[:40]!r}: the versions differ; tokshift is as {like or 'neither'}")
            elif ours[number] == want[0]:
                equal += 1
            else:
                wrong.append(f"{directory.name}, {text[:60]!r}: {ours[number][:20]}, not {want[0][:20]}")
        chats = [ids for number, ids in enumerate(reading[0]["chats"]) if all(o["chats"][number] == ids for o in reading)]
        # Where special tokens are spelled, tokshift rejects chats.
        is_read = len(chats) == len(CHATS) and not directory.name.endswith("+split")
        reports = of_chats(binary, directory, reading[0]["chats"]) if is_read else []
        wrong += [f"{directory.name}, chat {number}: {what}" for number, what in enumerate(reports) if what]
        total["texts"] += equal
        total["chats"] += sum(what is None for what in reports)
        print(f"{directory.name:28} {equal:3} texts, {sum(what is None for what in reports)} chats equal")
    print(*apart, *[f"WRONG {line}" for line in wrong], sep="\n")
    print(f"{total['texts']} texts and {total['chats']} chats equal, {len(apart)} that versions disagree on, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "prepare":
        prepare(*map(Path, arguments))
    elif command == "expect":
        expect(Path(arguments[0]), arguments[1])
    else:
        sys.exit(compare(Path(arguments[0]), *arguments[1:]))
