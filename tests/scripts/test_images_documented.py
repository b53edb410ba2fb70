"""docs/supply_chain.md has a row for every image that the scripts use, in the version that they use."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8")


def used():
    lines = [line.split() for line in text("scripts/cluster/images.txt").splitlines() if not line.startswith("#")]
    found = {(image, tag) for _, _, image, tag in lines}
    versions = text("scripts/cluster/versions.env")
    found |= set(re.findall(r"^KIND_NODE_IMAGE=([\w/]+):([\w.]+)@", versions, re.MULTILINE))
    found |= {("k3s (a binary)", tag) for tag in re.findall(r"^K3S_VERSION=(\S+)$", versions, re.MULTILINE)}
    found |= set(re.findall(r"^ARG BASE=([\w/]+):(\S+)$", text("scripts/runtime/Dockerfile"), re.MULTILINE))
    minio = re.findall(r"^MINIO_VERSION := (\S+)$", text("Makefile"), re.MULTILINE)
    return found | {("MinIO for tests (built from source)", tag) for tag in minio}


def test_every_image_has_a_row_with_its_advisories_and_their_source():
    rows = [line.strip("| ").split(" | ") for line in text("docs/supply_chain.md").splitlines() if line.startswith("|")]
    table = {(row[0], row[1]): row[2:] for row in rows if len(row) == 5 and row[0] != "image" and "---" not in row[0]}
    assert set(table) == used()
    assert len(table) == 17
    assert all(re.match("looked up|recalled", source) for _, source, _ in table.values())
    assert all(advisories and meaning for advisories, _, meaning in table.values())
