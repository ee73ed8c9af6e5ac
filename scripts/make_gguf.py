"""Makes tests/fixtures/gguf from tests/fixtures/models with llama.cpp's own converter.

    pip install torch==2.13.0 transformers==5.19.0 gguf==0.19.0 safetensors
    pip download --no-deps --no-binary llama_cpp_python llama_cpp_python==0.3.36 && tar xzf llama_cpp_python-*.tar.gz
    python scripts/make_gguf.py llama_cpp_python-0.3.36/vendor/llama.cpp [DIRECTORY]

A converted checkpoint is as large as its source and holds the same numbers, so of each only the header is kept, and
how to find the numbers in the source: `recipes.json` has for each tensor its pieces, each a source tensor, what is
added and the order of its rows if it is another. What is found nowhere (factors of rotary frequencies) stands there as
it is. Nothing of the converter's conventions is known here: pieces are found by comparing numbers.

`kinds.gguf` has one tensor a type, of random blocks; `kinds.safetensors` what the `gguf` package dequantises them to.
The fuzzer begins with a whole model of two kilobytes, fuzz/corpus/gguf/tiny.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "tests/fixtures/models"
CONVERTED = [
    "gemma2", "gemma3", "glm4", "granite", "llama-bf16", "llama3", "mixtral", "olmo2", "phi3-longrope", "qwen2-moe",
    "qwen2-yarn", "qwen3-tied", "smollm3",
]  # fmt: skip
# Fixtures whose vocabulary goes along, and the kind of its pre-tokenizer; the converter would know it by a hash.
VOCABULARIES = {"qwen3-tied": "qwen2", "llama3": "llama-bpe"}
ROWS, COLUMNS = 1, 256
# Bytes of a block at which its f16 scales begin.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}  # fmt: skip


def convert(name: str, path: Path) -> None:
    """Writes the GGUF of a fixture."""
    import conversion
    from conversion import base

    kind = base.gguf.LlamaFileType.MOSTLY_BF16 if name == "llama-bf16" else base.gguf.LlamaFileType.ALL_F32
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for file in (MODELS / name).iterdir():
            shutil.copy(file, folder)
        (folder / "reference.safetensors").unlink()
        # Some models look into it for the size of the vocabulary, which then must be that of the embedding.
        if not (folder / "tokenizer.json").exists():
            shutil.copy(MODELS / "llama3/tokenizer.json", folder)
        hparams = base.ModelBase.load_hparams(folder, False)
        model = conversion.get_model_class(base.get_model_architecture(hparams, base.ModelType.TEXT))
        vocabulary = json.loads((folder / "tokenizer.json").read_text())
        model.set_vocab = lambda self: set_vocab(self.gguf_writer, name, vocabulary, hparams)
        model(folder, kind, path).write()


def set_vocab(writer, name: str, tokenizer: dict, hparams: dict) -> None:
    if name not in VOCABULARIES:
        return
    size = hparams["vocab_size"]
    tokens, kinds = [f"[PAD{i}]" for i in range(size)], [5] * size
    for token, i in tokenizer["model"]["vocab"].items():
        tokens[i], kinds[i] = token, 1
    for token in tokenizer["added_tokens"]:
        tokens[token["id"]], kinds[token["id"]] = token["content"], 3 if token["special"] else 4
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(VOCABULARIES[name])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(hparams["eos_token_id"])
    writer.add_add_bos_token(False)


def recipe(name: str, path: Path) -> tuple[bytes, dict]:
    """The header of the file at `path`, and how to find the rest of it."""
    import gguf

    sources = {}
    for file in sorted((MODELS / name).glob("model*.safetensors")):
        sources |= {key: tensor.float().numpy() for key, tensor in load_file(file).items()}
    reader = gguf.GGUFReader(path)
    tensors = {}
    for tensor in reader.tensors:
        values = numbers(tensor)
        pieces = find(values, sources)
        if pieces is None and values.ndim == 3:
            pieces = [find(part, sources) for part in values]
            pieces = None if None in pieces else sum(pieces, [])
        if pieces is None:
            assert values.size < 32, tensor.name
            pieces = [{"values": values.tolist()}]
        tensors[tensor.name] = pieces
    return path.read_bytes()[: reader.data_offset], tensors


def numbers(tensor) -> np.ndarray:
    """In f32, outermost dimension first."""
    shape = [int(n) for n in reversed(tensor.shape)]
    if tensor.tensor_type.name == "BF16":
        return (tensor.data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    assert tensor.tensor_type.name == "F32", tensor.name
    return np.array(tensor.data, dtype=np.float32).reshape(shape)


def find(values: np.ndarray, sources: dict) -> list | None:
    """The source tensor that holds the rows of `values`, in some order, or plus 1."""
    for added in (0, 1):
        for name, source in sources.items():
            source = source + np.float32(added)
            if source.size != values.size or source.shape[0] not in (1, values.shape[0]):
                continue
            flat, wanted = source.reshape(values.shape[0], -1), values.reshape(values.shape[0], -1)
            places = {row.tobytes(): i for i, row in enumerate(flat)}
            order = [places.get(row.tobytes()) for row in wanted]
            if None in order:
                continue
            piece = {"source": name, "added": added}
            # Equal rows stand for each other: the plain order wins.
            if not np.array_equal(flat, wanted):
                piece["rows"] = order
            return [piece if len(piece) > 2 or added else name]
    return None


def kinds(directory: Path) -> None:
    """One tensor of every type that is read."""
    import gguf

    random = np.random.default_rng(1)
    writer = llama(directory / "kinds.gguf", COLUMNS, 1)
    writer.add_tensor("token_embd.weight", np.zeros((1, COLUMNS), dtype=np.float32))
    expected = {}
    for name in ["F32", "F16", "BF16", *SCALES]:
        kind = gguf.GGMLQuantizationType[name]
        block, width = gguf.GGML_QUANT_SIZES[kind]
        if name in SCALES:
            data = random.integers(0, 256, (ROWS, COLUMNS // block, width), dtype=np.uint8)
            for place in SCALES[name]:
                scale = random.uniform(-0.02, 0.02, data.shape[:2]).astype(np.float16)
                data[..., place : place + 2] = scale[..., None].view(np.uint8)
            data = data.reshape(ROWS, -1)
        else:
            plain = random.normal(size=(ROWS, COLUMNS)).astype(np.float32)
            data = gguf.quantize(plain, kind)
        expected[name] = torch.from_numpy(gguf.dequantize(data, kind).astype(np.float32).reshape(ROWS, COLUMNS))
        writer.add_tensor(name, data, raw_dtype=kind)
    finish(writer)
    save_file(expected, directory / "kinds.safetensors")


def tiny(path: Path) -> None:
    """A model with a vocabulary, as small as can be."""
    random = np.random.default_rng(2)
    writer = llama(path, 8, 2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["a", "b", "ab", "<e>"])
    writer.add_token_types([1, 1, 1, 3])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(3)
    shapes = {"token_embd": (4, 8), "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.ffn_norm": (8,)}
    shapes |= {f"blk.0.{name}": (8, 8) for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}
    shapes |= {"blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", random.normal(size=shape).astype(np.float32))
    finish(writer)


def llama(path: Path, width: int, heads: int):
    """A writer with the keys of a llama of one layer."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(32)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    return writer


def finish(writer) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    llama_cpp = Path(sys.argv[1])
    directory = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "tests/fixtures/gguf"
    sys.path[:0] = [str(llama_cpp), str(llama_cpp / "gguf-py")]
    directory.mkdir(parents=True, exist_ok=True)
    recipes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in CONVERTED:
            path = Path(folder) / f"{name}.gguf"
            convert(name, path)
            header, recipes[name] = recipe(name, path)
            (directory / f"{name}.header").write_bytes(header)
            print(f"{name:14} {len(header):6} bytes of header, {path.stat().st_size} in all")
    lines = ",\n".join(f'"{name}": {json.dumps(recipe, separators=(",", ":"))}' for name, recipe in recipes.items())
    (directory / "recipes.json").write_text("{\n" + lines + "\n}\n")
    kinds(directory)
    corpus = ROOT / "fuzz/corpus/gguf"
    corpus.mkdir(parents=True, exist_ok=True)
    tiny(corpus / "tiny")


if __name__ == "__main__":
    main()
