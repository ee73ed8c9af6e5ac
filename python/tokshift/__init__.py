"""tokshift from Python: where the program is, and its tables as lazy frames of polars. All else is the command line's."""

import sys
import sysconfig
from pathlib import Path

__all__ = ["find_tokshift_bin", "scan"]


def find_tokshift_bin() -> str:
    """The path of the program that was installed with this package."""
    name = "tokshift.exe" if sys.platform == "win32" else "tokshift"
    user = sysconfig.get_preferred_scheme("user")
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", scheme=user)]
    # `pip install --target FOLDER` writes FOLDER/tokshift and FOLDER/bin.
    folders.append(Path(__file__).resolve().parent.parent / "bin")
    places = [Path(folder) / name for folder in folders]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(str(place) for place in places)
        raise FileNotFoundError(f"the program tokshift is at none of {looked}: install this package's wheel again")
    return str(found)


def scan(output_dir, table="tokens"):
    """A table of an output directory (`tokens`, `samples` or `pairs`) as polars.LazyFrame; names of folders are columns of text."""
    try:
        import polars
    except ImportError as error:
        raise ImportError("tokshift.scan needs polars: pip install polars") from error
    files = sorted((Path(output_dir) / table).glob("**/*.parquet"))
    if not files:
        raise FileNotFoundError(f"no table `{table}` in {output_dir}: its folders are tokens, samples and pairs")
    keys = [part.split("=")[0] for part in files[0].relative_to(output_dir).parts[1:-1]]
    # Polars would take a model named 20 for a number. Kept fields may differ between the files of samples.
    frames = [polars.scan_parquet(file, hive_schema=dict.fromkeys(keys, polars.String)) for file in files]
    return polars.concat(frames, how="diagonal_relaxed")
