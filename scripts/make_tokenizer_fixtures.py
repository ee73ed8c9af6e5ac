"""Makes the tiny tokenizers of tests/fixtures/tokenizers and what they must give.

    pip install tokenizers==0.23.3
    python scripts/make_tokenizer_fixtures.py [DIRECTORY]

Merges are written by hand, so every case does what its name says. expected.json is computed here alone: ids by
Hugging Face tokenizers, response tokens by counting bytes (or by hand where a normaliser changed the text, so that
tokens do not decode to it). The same version gives the same bytes.
"""

import json
import re
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# What merges, in order. Cuts and joins that the cases need: `\n\n` on both sides of a boundary, a word over it, a
# space with the first byte of a character, the last byte of a character with a letter, `é`.
MERGES = [
    "\n|\n", "\n\n|\n\n", "u|n", "d|e", "de|r", "un|der", "h|e", "he|l", "l|o", "hel|lo", " | ", " |hello",
]  # fmt: skip
# Only of bytes: parts of a character.
BYTE_MERGES = ["20|F0", "F0|93", "80|78", "C3|A9"]
CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"]
LLAMA2 = ["<unk>", "<s>", "</s>"]

# (name, input, output), and by hand where bytes cannot tell: number of response tokens, whether the first straddles.
CASES = [
    ("clean boundary", "Say hello:", " hello under it", {}),
    ("merged boundary", "<|im_start|>user\nhello\n\n", "\n\nhello", {}),
    ("straddling token", "we go un", "der it", {}),
    ("4-byte character", "sign:", "𓂀𓂀 and 𓂀x", {}),
    ("4-byte character after a space", "sign: ", "𓂀", {}),
    ("4-byte character before the boundary", "sign: 𓂀", "x𓂀", {}),
    # 4 of "caf" + é, then " ok".
    ("accent inside the response", "he said ", "cafe\u0301 ok", {"nfc": (7, False)}),
    ("accent at the start of the output", "cafe", "\u0301 ok", {"nfc": (4, True)}),
    ("no accent at the boundary", "cafe\u0301", " ok", {"nfc": (3, False)}),
    # After é: the four bytes of the first character in three tokens, the second likewise.
    ("4-byte character in a changed text", "cafe\u0301", "𓂀𓂀", {"nfc": (6, False)}),
    ("space before the boundary in a changed text", "cafe\u0301 ", "hello", {"nfc": (1, True)}),
    ("syllable composed over the boundary", "\u1112\u1161", "\u11ab!", {"nfc": (4, True)}),
    ("empty prompt", "", "hello under", {}),
    ("empty prompt, spaces", "", "  hello", {}),
    ("specials in the text", "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n", "ok<|im_end|>\nx", {}),
    ("specials of SentencePiece", "<s> hello</s>", "hello</s> x<s>\n", {}),
    ("added, not special", "<think>\n", "<think> hello</s><think>𓂀", {}),
    ("4-byte character after two spaces", "x  ", "𓂀  𓂀", {}),
    ("special first", "<s>", "𓂀", {}),
    ("begin of text written out", "<|begin_of_text|>hello", "<|end_of_text|>", {}),
    ("whitespace alone", "hello", "   \n", {}),
    ("whitespace after whitespace", "hello\n", "\n", {}),
    ("leading spaces", "  hello", "  hello  ", {}),
    ("lines of Windows", "hello\r\n", "\r\nhello\r\n", {}),
    ("control characters", "\x00", "\x07\x00\x7f", {}),
    # ▁ is its own token, and so are y and z.
    ("literal word mark", "x▁y", "▁z", {"sentencepiece": (2, False)}),
]


def gpt2_alphabet():
    """The character that stands for each byte, as in GPT-2's bytes_to_unicode."""
    characters, moved = {}, 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            characters[byte] = chr(byte)
        else:
            characters[byte] = chr(moved)
            moved += 1
    return characters


def byte_level(specials, template=None, normalizer=None, trim_offsets=False):
    alphabet = gpt2_alphabet()
    pairs = [tuple(side.encode() for side in merge.split("|")) for merge in MERGES]
    pairs += [tuple(bytes.fromhex(side) for side in merge.split("|")) for merge in BYTE_MERGES]
    spell = lambda piece: "".join(alphabet[byte] for byte in piece)
    tokens = [alphabet[byte] for byte in range(256)] + [spell(a + b) for a, b in pairs]
    merges = [(spell(a), spell(b)) for a, b in pairs]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    if normalizer:
        tokenizer.normalizer = normalizer
    split = pre_tokenizers.Split(Regex(QWEN), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    processor = processors.ByteLevel(trim_offsets=trim_offsets)
    if template:
        named = [(token, tokenizer.token_to_id(token)) for token in specials if token in template]
        processor = processors.Sequence([processor, processors.TemplateProcessing(template, special_tokens=named)])
    tokenizer.post_processor = processor
    return tokenizer


def sentencepiece():
    pairs = [tuple(merge.replace(" ", "▁").split("|")) for merge in MERGES]
    letters = sorted({c for a, b in pairs for c in a + b} | set("▁abcdefghijklmnopqrstuvwxyz:é"))
    tokens = LLAMA2 + [f"<0x{byte:02X}>" for byte in range(256)] + letters + [a + b for a, b in pairs]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    model = models.BPE(vocabulary, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in LLAMA2])
    # One that the model knows too, as Gemma's, and one that it does not.
    tokenizer.add_tokens([AddedToken("▁▁", normalized=False), AddedToken("<think>", normalized=False)])
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def make_tokenizers():
    return {
        "bytelevel": byte_level(CHATML),
        "bos": byte_level(LLAMA3, "<|begin_of_text|> $A", trim_offsets=True),
        "bos_eos": byte_level(LLAMA3, "<|begin_of_text|> $A <|end_of_text|>"),
        "nfc": byte_level(CHATML, normalizer=normalizers.NFC(), trim_offsets=True),
        "sentencepiece": sentencepiece(),
    }


def token_bytes(tokenizer, ids):
    """Bytes of each token in a text, None if they are not known; SentencePiece puts a space before every stretch
    of text between added tokens, which is no byte of it."""
    added = {i for i, token in tokenizer.get_added_tokens_decoder().items() if token.content != "▁▁"}
    byte_of = {c: byte for byte, c in gpt2_alphabet().items()}
    is_sentencepiece = tokenizer.token_to_id("<0x00>") is not None
    pieces, fresh = [], True
    for i in ids:
        token = tokenizer.id_to_token(i)
        if i in added:
            piece = token.encode()
        elif not is_sentencepiece:
            piece = bytes(byte_of[c] for c in token)
        elif re.fullmatch("<0x[0-9A-F]{2}>", token):
            piece = bytes.fromhex(token[3:5])
        else:
            piece = token.replace("▁", " ").encode()
            piece = piece[1:] if fresh else piece
        pieces.append(piece)
        fresh = i in added
    return pieces


def response_ranges(pieces, boundary):
    """Where the tokens whose last byte lies at `boundary` or after it stand, counted from `boundary`."""
    ends = [sum(map(len, pieces[: i + 1])) for i in range(len(pieces))]
    return [[end - len(piece) - boundary, end - boundary] for piece, end in zip(pieces, ends) if end > boundary]


def expect(tokenizer, prompt, response, by_hand):
    encoding = tokenizer.encode(prompt + response)
    mask = encoding.special_tokens_mask
    before = mask.index(0)
    after = mask[::-1].index(0)
    ids = encoding.ids[: len(mask) - after]
    alone = len(tokenizer.encode(prompt, add_special_tokens=False).ids)
    pieces = token_bytes(tokenizer, ids[before:])
    is_exact = b"".join(pieces) == (prompt + response).encode()
    assert is_exact == (by_hand is None), (prompt, response, b"".join(pieces))
    ranges = response_ranges(pieces, len(prompt.encode())) if is_exact else None
    count, straddles = by_hand or (len(ranges), ranges[0][0] < 0)
    return {
        "ids": ids,
        "response_tokens": count,
        "straddles": straddles,
        "ranges": ranges and [[max(start, 0), end] for start, end in ranges],
        "prompt_tokens_alone": alone,
        "study_tokens": sum(index >= alone + 1 for index in range(len(ids))),
    }


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/tokenizers")
    directory.mkdir(parents=True, exist_ok=True)
    tokenizers = make_tokenizers()
    for name, tokenizer in tokenizers.items():
        tokenizer.save(str(directory / f"{name}.json"), pretty=False)
    lines = []
    for case, prompt, response, by_hand in CASES:
        for name, tokenizer in tokenizers.items():
            expected = expect(tokenizer, prompt, response, by_hand.get(name))
            row = {"case": case, "tokenizer": name, "input": prompt, "output": response, **expected}
            lines.append(json.dumps(row, ensure_ascii=True))
    (directory / "expected.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
