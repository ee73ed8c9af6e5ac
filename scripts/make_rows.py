#!/usr/bin/env python3
"""Write a dataset of any number of rows, the same each time, whose length on average does not depend on the number.

    python scripts/make_rows.py 2000 > rl_demo.jsonl
    python scripts/make_rows.py 1000000 3 > rl_short.jsonl    # responses of no more than three words
"""

import json
import random
import sys

WORDS = "the a of river train seven carries quickly naïve café 東京 🙂 return sum because therefore x = 12 ( ) , .".split()
PROMPTS = 40
WORDS_OF_A_ROW = (5, 35)
LONGEST = int(sys.argv[2]) if len(sys.argv) > 2 else None


def text(random, words):
    return " ".join(random.choice(WORDS) for _ in range(words))


def main():
    source = random.Random(7)
    prompts = [text(source, source.randint(5, 15)) + "\n" for _ in range(PROMPTS)]
    words = (1, LONGEST) if LONGEST else WORDS_OF_A_ROW
    for i in range(int(sys.argv[1])):
        row = {"id": i, "input": prompts[i % PROMPTS], "output": text(source, source.randint(*words))}
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
