#!/usr/bin/env python3
"""Write a GGUF with its quantised matrices in another type, all else as it is.

    python scripts/requantise_gguf.py SOURCE.gguf TARGET.gguf F32              # every tensor
    python scripts/requantise_gguf.py SOURCE.gguf TARGET.gguf Q4_0 --only Q4_1 # those of one type
"""

import argparse
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from gguf.quants import dequantize, quantize

# How llama.cpp calls a file whose matrices are mostly of a type.
FILE_TYPES = {"F32": LlamaFileType.ALL_F32, "Q4_0": LlamaFileType.MOSTLY_Q4_0, "Q8_0": LlamaFileType.MOSTLY_Q8_0}


def requantise(source: Path, target: Path, kind: str, only: str | None = None) -> None:
    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        items = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=items)
    writer.add_file_type(FILE_TYPES[kind])
    wanted = GGMLQuantizationType[kind]
    for tensor in reader.tensors:
        data, own = tensor.data, tensor.tensor_type
        if only is None or own.name == only:
            weights = dequantize(data, own).astype(np.float32)
            data, own = (weights, wanted) if kind == "F32" else (quantize(weights, wanted), wanted)
        writer.add_tensor(tensor.name, data, raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("kind", choices=FILE_TYPES)
    parser.add_argument("--only", metavar="TYPE", help="leave tensors of other types as they are")
    args = parser.parse_args()
    requantise(args.source, args.target, args.kind, args.only)
