"""Data for scripts/check-report.sh, into a folder: hostile rows, an import with hostile tokens, 10,000 rows."""

import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'&amp; \u202eab\u2066 $x$ {{x}} \u2028 \u200b"
FIELD = "</script><script>window.pwned=1</script>"

rows = [
    {"input": HOSTILE, "output": HOSTILE, FIELD: HOSTILE},
    {"input": "emoji", "output": "a 🙂👩‍👧 b é 漢字", FIELD: "<b>x</b>"},
    {"input": "lines", "output": "one\n\ttwo\r\nthree", FIELD: None},
]
name = "rl_hostile<img src=x onerror=window.pwned=1>\"'$x$.jsonl"
(folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

(folder / "losses").mkdir()
for model, shift in [("rl", 0.0), ("<img src=x onerror=window.pwned=1>", 2.5)]:
    tokens = [HOSTILE, "x" * 1_000_000, " fine", "\u202e", "<b>", ""]
    losses = [{"loss": 0.5 + shift * (i % 2), "token": token, "rank": 1 + i} for i, token in enumerate(tokens)]
    file = {"model": f"org/{model}", "dataset": "rl_<b>task.jsonl", "results": [{"token_losses": losses}] * 3}
    (folder / "losses" / f"{len(model)}_token_losses.json").write_text(json.dumps(file))

lines = (json.dumps({"input": f"question {i}", "output": f"answer {i % 97}"}) + "\n" for i in range(10_000))
(folder / "rl_many.jsonl").write_text("".join(lines))
