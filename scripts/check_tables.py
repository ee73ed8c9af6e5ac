#!/usr/bin/env python3
"""Read the tables of two models, `tied` and `shifted`, with polars, DuckDB and numpy, which must agree.

    python scripts/check_tables.py OUT DATASET.jsonl
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq

MODELS = ("shifted", "tied")
NAMES = {"generation_model": "tiny-rl", "task": "demo"}
KEYS = ["sample_id", "position"]
TOP_K = 20


def polars_tables(out):
    read = lambda table: pl.scan_parquet(out / table / "**/*.parquet", hive_partitioning=True)
    return read("tokens"), read("samples")


def duckdb_tables(out):
    connection = duckdb.connect()
    for table in ("tokens", "samples"):
        files = f"{out}/{table}/**/*.parquet"
        connection.execute(
            f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)"
        )
    return connection


def numpy_logprobs(out, model):
    """Log-probabilities of one model by key, straight from its file."""
    folder = out / "tokens" / "generation_model=tiny-rl" / "task=demo" / f"model={model}"
    table = pq.ParquetFile(folder / "part-00000000.parquet").read()
    return [table[name].to_numpy() for name in (*KEYS, "logprob")]


def check_counts(tokens, samples, connection, rows):
    """Every sample of every model is there, and as many tokens as it says."""
    counted = samples.group_by("model").agg(pl.len(), pl.col("response_tokens").sum()).sort("model").collect()
    assert counted["model"].to_list() == list(MODELS), counted
    assert counted["len"].to_list() == [len(rows)] * 2, counted
    by_polars = tokens.group_by("model").agg(pl.len()).sort("model").collect().rows()
    by_duckdb = connection.execute("SELECT model, count(*) FROM tokens GROUP BY model ORDER BY model").fetchall()
    assert by_polars == by_duckdb == list(zip(MODELS, counted["response_tokens"])), (by_polars, by_duckdb)
    return by_polars[0][1]


def check_keys(tokens, samples, connection, rows):
    """Partition folders become columns, keys are unique, rows are the dataset's."""
    for name, value in NAMES.items():
        for table in (tokens, samples):
            assert table.select(pl.col(name).unique()).collect().to_series().to_list() == [value], name
    query = "SELECT count(*) FROM (SELECT DISTINCT model, sample_id, position FROM tokens)"
    distinct = connection.execute(query).fetchone()[0]
    assert distinct == tokens.select(pl.len()).collect().item()
    query = "SELECT row_id, prompt, response, reward, correct, status FROM samples WHERE model = 'tied' ORDER BY sample_id"
    expected = [(r["id"], r["input"], r["output"], r["reward"], r["correct"], "ok") for r in rows]
    assert connection.execute(query).fetchall() == expected
    by_polars = samples.filter(pl.col("model") == "tied").sort("sample_id")
    assert by_polars.select("row_id", "prompt", "response", "reward", "correct", "status").collect().rows() == expected


def check_texts(tokens, connection, rows):
    """Byte ranges tile each response, which the end token follows."""
    table = tokens.filter(pl.col("model") == "tied").sort(KEYS).collect()
    for sample, row in enumerate(rows):
        mine = table.filter(pl.col("sample_id") == sample)
        text = row["output"].encode()
        assert b"".join(text[a:b] for a, b in mine.select("start", "end").rows()) == text, sample
        assert mine["position"].to_list() == list(range(len(mine))), sample
        assert mine["is_end"].to_list() == [False] * (len(mine) - 1) + [True], sample
    assert connection.execute("SELECT count(*) FROM tokens WHERE is_end").fetchone()[0] == 2 * len(rows)


def check_lists(tokens, connection):
    """Lists are lists to both, best first; what they, the rest and the target hold is 1."""
    outside = pl.when(pl.col("top_ids").list.contains(pl.col("token_id"))).then(0.0)
    outside = outside.otherwise(pl.col("logprob").cast(pl.Float64).exp())
    listed = pl.col("top_logprobs").list.eval(pl.element().cast(pl.Float64).exp()).list.sum()
    mass = tokens.select(listed + pl.col("rest_logprob").cast(pl.Float64).exp() + outside).collect().to_series()
    assert (mass - 1).abs().max() < 1e-5
    query = """
        SELECT bool_and(len(top_ids) = ? AND len(top_logprobs) = ? AND top_logprobs = list_reverse_sort(top_logprobs)),
               max(abs(list_sum([exp(x::DOUBLE) for x in top_logprobs]) + exp(rest_logprob::DOUBLE)
                   + CASE WHEN list_contains(top_ids, token_id) THEN 0 ELSE exp(logprob::DOUBLE) END - 1))
        FROM tokens"""
    whole, error = connection.execute(query, [TOP_K, TOP_K]).fetchone()
    assert whole and error < 1e-5, (whole, error)
    # In the list, the target has the same bits as in its own column.
    query = """
        SELECT count(*), bool_and(top_logprobs[list_position(top_ids, token_id)] = logprob)
        FROM tokens WHERE list_contains(top_ids, token_id)"""
    among, same = connection.execute(query).fetchone()
    assert among > 0 and same
    return error


def mean_differences(tokens, connection, out):
    """Mean of logprob(tied) - logprob(shifted) over joined tokens, three times."""
    side = lambda model: tokens.filter(pl.col("model") == model).select(*KEYS, pl.col("logprob").cast(pl.Float64))
    joined = side("tied").join(side("shifted"), on=KEYS, suffix="_shifted", validate="1:1")
    by_polars = joined.select((pl.col("logprob") - pl.col("logprob_shifted")).mean(), pl.len()).collect().row(0)
    by_duckdb = connection.execute("""
        SELECT avg(p.logprob::DOUBLE - q.logprob::DOUBLE), count(*)
        FROM tokens p JOIN tokens q USING (generation_model, task, sample_id, position)
        WHERE p.model = 'tied' AND q.model = 'shifted'""").fetchone()
    p, q = numpy_logprobs(out, "tied"), numpy_logprobs(out, "shifted")
    assert all((a == b).all() for a, b in zip(p[:2], q[:2]))
    difference = p[2].astype(np.float64) - q[2].astype(np.float64)
    return by_polars, by_duckdb, (difference.mean(), len(difference))


def main():
    out, dataset = Path(sys.argv[1]), Path(sys.argv[2])
    rows = [json.loads(line) for line in dataset.read_text(encoding="utf-8").splitlines()]
    (tokens, samples), connection = polars_tables(out), duckdb_tables(out)
    count = check_counts(tokens, samples, connection, rows)
    check_keys(tokens, samples, connection, rows)
    check_texts(tokens, connection, rows)
    error = check_lists(tokens, connection)
    means = mean_differences(tokens, connection, out)
    assert all(n == count for _, n in means), means
    assert np.ptp([mean for mean, _ in means]) < 1e-12, means
    print(f"polars {pl.__version__}, DuckDB {duckdb.__version__} and numpy {np.__version__} agree: {len(rows)} samples")
    print(f"and {count} tokens a model; mean difference {means[2][0]:.6f} nats; mass within {error:.1e} of 1")


if __name__ == "__main__":
    main()
