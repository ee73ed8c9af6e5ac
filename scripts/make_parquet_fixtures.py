"""Makes the small Parquet files of tests/fixtures/parquet, as pyarrow writes them.

    pip install pyarrow==26.0.1
    python scripts/make_parquet_fixtures.py [DIRECTORY]

A file for each compression, and one whose columns are of every kind that datasets have: texts as bytes and by dictionary,
and besides them unused columns. The same version gives the same bytes.
"""

import datetime
import decimal
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/parquet")
folder.mkdir(parents=True, exist_ok=True)

for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
    table = pa.table({"prompt": ["Hi"] * 3, "response": [" there", " and", " here"]})
    pq.write_table(table, folder / f"{codec}.parquet", compression=codec)

message = pa.struct([("role", pa.string()), ("content", pa.string()), ("tool_calls", pa.list_(pa.string()))])
noon = datetime.datetime(2025, 1, 2, 12, 0, 0, 500000)
columns = {
    # What a row is read from.
    "prompt": pa.array([b"Hi", b"Hi"], pa.binary()),
    "response": pa.array([" there", " and"]).dictionary_encode(),
    "finish_reason": pa.array(["length", None], pa.large_string()),
    # What is kept on request.
    "reward": pa.array([float("inf"), float("nan")], pa.float64()),
    "nothing": pa.array([float("nan"), None], pa.float32()),
    "single": pa.array([0.1, -1e30], pa.float32()),
    "half": pa.array([0.5, 65504.0], pa.float16()),
    "large": pa.array([2**64 - 1, 1], pa.uint64()),
    "snowflake": pa.array([2**53 + 1, -(2**63)], pa.int64()),
    "price": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(10, 2)),
    "exact": pa.array([decimal.Decimal("12345678901234567890.12"), None], pa.decimal128(30, 2)),
    "naive": pa.array([noon, None], pa.timestamp("us")),
    "zoned": pa.array([noon, None], pa.timestamp("ns", "America/New_York")),
    "day": pa.array([noon.date(), None], pa.date32()),
    "time": pa.array([noon.time(), None], pa.time64("us")),
    "nested": pa.array([[{"role": "user", "content": "a", "tool_calls": None}], []], pa.list_(message)),
    "tags": pa.array([["a", None], None], pa.large_list(pa.large_string())),
    "names": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int32())),
    # What is only in the way.
    "uuid": pa.array([uuid.UUID(int=1).bytes, None], pa.binary(16)),
    "picture": pa.array([b"\xff\xd8", None], pa.binary()),
    "by_number": pa.array([[(1, "a")], []], pa.map_(pa.int64(), pa.string())),
    "took": pa.array([datetime.timedelta(seconds=1), None], pa.duration("ms")),
    "huge": pa.array([decimal.Decimal(10) ** 60, None], pa.decimal256(70, 0)),
    "null": pa.nulls(2),
}
pq.write_table(pa.table(columns), folder / "everything.parquet", compression="zstd", row_group_size=1)
pq.write_table(pa.table(columns).slice(0, 0), folder / "empty.parquet")
