"""Runs a target under atheris, a fuzzer that is guided by the branches that inputs reach.

``python -m tests.fuzz TARGET [--seconds 600]``. What it found interesting is kept in ``.cache/fuzz/TARGET``, and the
input that made it fail in ``.cache/fuzz/found``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import atheris

KEPT = Path(__file__).parents[2] / ".cache" / "fuzz"

with atheris.instrument_imports(include=["machine", "task", "metrics", "serverless"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Read the command line and fuzz; the process ends with the fuzzer's status, 0 if nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for how long")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the corpus and of findings")
    asked = parser.parse_args()
    target, corpus, found = TARGETS[asked.target], asked.kept / asked.target, asked.kept / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / hashlib.sha256(seed).hexdigest()).write_bytes(seed)
    options = [f"-max_total_time={asked.seconds}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=3000"]
    options += [f"-artifact_prefix={found}/{asked.target}-", "-print_final_stats=1"]
    if target.words:
        words = asked.kept / f"{asked.target}.dict"
        words.write_text("".join(f"{_quoted(word)}\n" for word in target.words), encoding="ascii")
        options.append(f"-dict={words}")
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.attempt)
    atheris.Fuzz()


def _quoted(word: str) -> str:
    """Write a word as a fuzzer's dictionary wants it: every byte by its number."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"'


if __name__ == "__main__":
    main()
