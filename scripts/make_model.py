#!/usr/bin/env python3
"""Make a random-weight checkpoint of any shape, for benches and checks that need size but no sense.

    python scripts/make_model.py --out models/tiny --tokenizer tokenizer.json
    python scripts/make_model.py --out models/0.6b --hidden 1024 --layers 28 --heads 16 --kv-heads 8 \
        --head-dim 128 --intermediate 3072

Two models with the same --seed and a --shift are relatives: the second is the first plus noise of that relative size.
"""

import argparse
import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

FAMILIES = {"qwen3": Qwen3Config, "llama": LlamaConfig}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", choices=FAMILIES, default="qwen3")
    parser.add_argument("--vocab", type=int, default=151936)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--intermediate", type=int, default=128)
    parser.add_argument("--context", type=int, default=40960)
    parser.add_argument("--untied", action="store_true")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shift", type=float, default=0.0, help="relative size of noise added to every matrix")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json to copy into the directory")
    return parser.parse_args()


def make(args):
    config = FAMILIES[args.family](
        vocab_size=args.vocab,
        hidden_size=args.hidden,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        num_key_value_heads=args.kv_heads,
        head_dim=args.head_dim,
        intermediate_size=args.intermediate,
        max_position_embeddings=args.context,
        tie_word_embeddings=not args.untied,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    torch.manual_seed(args.seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                # Wide enough that logits spread by about 2 and attention is not uniform.
                weight.normal_(std=2 * weight.shape[1] ** -0.5)
                if args.shift:
                    noise = torch.Generator().manual_seed(args.seed + 1)
                    scale = args.shift * 2 * weight.shape[1] ** -0.5
                    weight.add_(torch.randn(weight.shape, generator=noise) * scale)
    model.to(getattr(torch, args.dtype)).save_pretrained(args.out)
    if args.tokenizer:
        shutil.copy(args.tokenizer, args.out / "tokenizer.json")


if __name__ == "__main__":
    make(arguments())
