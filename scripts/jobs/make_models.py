#!/usr/bin/env python3
"""Makes the models that the jobs compare from those of the demo, in the formats that users have.

    pip install numpy gguf
    python scripts/jobs/make_models.py DIRECTORY

    step_10 ... step_50  checkpoints of a training run: on the way from `base` to `rl`, in fifths, rounded to bf16
    adapter_30           a LoRA adapter for `base`, as PEFT saves it: the largest 8 directions of step_30's change
    base, sft, rl        the demo's models, each with its tokenizer
    rl-F16.gguf ...      `rl` in the six types that llama.cpp's `quantize` calls F16, Q8_0, Q5_1, Q5_0, Q4_1 and Q4_0
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quantize

DEMO = Path(__file__).parents[2] / "assets" / "demo"
STEPS = {10: 0.2, 20: 0.4, 30: 0.6, 40: 0.8, 50: 1.0}
RANK = 8
KINDS = ["F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"]
# Of a tensor of a layer in llama.cpp, by its name in transformers.
OF_LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

Weights = dict[str, np.ndarray]


def read(name: str) -> Weights:
    """The weights of a model of the demo, which are bf16, in f32."""
    data = (DEMO / name / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    weights = {}
    for key, entry in header.items():
        assert entry["dtype"] == "BF16", key
        first, end = entry["data_offsets"]
        bits = np.frombuffer(data[start + first : start + end], dtype="<u2").astype(np.uint32) << 16
        weights[key] = bits.view(np.float32).reshape(entry["shape"])
    return weights


def to_bf16(values: np.ndarray) -> np.ndarray:
    """The bits of the nearest bf16, ties to even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_safetensors(path: Path, dtype: str, arrays: dict[str, np.ndarray]) -> None:
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for key, array in arrays.items():
        header[key] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))


def directory(path: Path, weights: Weights) -> None:
    """A model as transformers saves it."""
    path.mkdir(parents=True, exist_ok=True)
    shutil.copy(DEMO / "base" / "config.json", path)
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copy(DEMO / name, path)
    # Which class reads the tokenizer, as its own model directories say.
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')
    write_safetensors(path / "model.safetensors", "BF16", {key: to_bf16(value) for key, value in weights.items()})


def between(base: Weights, tuned: Weights, share: float) -> Weights:
    return {key: value + np.float32(share) * (tuned[key] - value) for key, value in base.items()}


def adapter(path: Path, base: Weights, tuned: Weights) -> None:
    """B A with the largest directions of each projection's change, at a scale of 1."""
    path.mkdir(parents=True, exist_ok=True)
    arrays, modules = {}, set()
    for key, value in base.items():
        if not key.endswith("_proj.weight"):
            continue
        u, s, v = np.linalg.svd((tuned[key] - value).astype(np.float64), full_matrices=False)
        name = "base_model.model." + key.removesuffix(".weight")
        arrays[f"{name}.lora_A.weight"] = np.ascontiguousarray(v[:RANK], dtype="<f4")
        arrays[f"{name}.lora_B.weight"] = np.ascontiguousarray(u[:, :RANK] * s[:RANK], dtype="<f4")
        modules.add(key.split(".")[-2])
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "lora_dropout": 0.0}
    config |= {"target_modules": sorted(modules), "bias": "none", "fan_in_fan_out": False, "inference_mode": True}
    config |= {"base_model_name_or_path": str(path.parent / "base")}
    (path / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(path / "adapter_model.safetensors", "F32", arrays)


def gguf_name(key: str) -> str:
    if key == "model.embed_tokens.weight":
        return "token_embd.weight"
    if key == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, name = key.split(".", 3)
    return f"blk.{layer}.{OF_LAYER[name.removesuffix('.weight')]}.weight"


def gguf(path: Path, weights: Weights, kind: str) -> None:
    """The file that llama.cpp's converter and `quantize --pure` make."""
    config = json.loads((DEMO / "base" / "config.json").read_text())
    writer = GGUFWriter(path, "qwen3")
    writer.add_name("demo rl")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_file_type({"F16": LlamaFileType.MOSTLY_F16}.get(kind) or LlamaFileType[f"MOSTLY_{kind}"])
    tokenizer(writer, config)
    for key, value in weights.items():
        if value.ndim == 1:
            writer.add_tensor(gguf_name(key), value)
            continue
        wanted = GGMLQuantizationType[kind]
        writer.add_tensor(gguf_name(key), quantize(value, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokenizer(writer: GGUFWriter, config: dict) -> None:
    """Byte-level BPE with digits apart, which llama.cpp knows as SmolLM's."""
    made = json.loads((DEMO / "tokenizer.json").read_text())
    tokens, kinds = [""] * config["vocab_size"], [1] * config["vocab_size"]
    for token, i in made["model"]["vocab"].items():
        tokens[i] = token
    for token in made["added_tokens"]:
        tokens[token["id"]], kinds[token["id"]] = token["content"], 3
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in made["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main(out: Path) -> None:
    models = {name: read(name) for name in ("base", "sft", "rl")}
    for name, weights in models.items():
        directory(out / name, weights)
    for step, share in STEPS.items():
        directory(out / f"step_{step}", between(models["base"], models["rl"], share))
    adapter(out / "adapter_30", models["base"], between(models["base"], models["rl"], STEPS[30]))
    for kind in KINDS:
        gguf(out / f"rl-{kind}.gguf", models["rl"], kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
