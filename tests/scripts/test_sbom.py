"""The bill of materials names what is installed in the pinned versions, and nothing of the machine that made it."""

import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def made(path, *more):
    """The file that `make sbom` writes."""
    command = ["make", "--old-file", ".venv/.ready", "--old-file", ".venv/.ready-dev", "sbom", f"SBOM={path}", *more]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return path.read_text(encoding="utf-8")


@pytest.mark.exhaustive
def test_the_bill_is_valid_reproducible_and_complete(tmp_path):
    text = made(tmp_path / "new" / "one.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert made(tmp_path / "two.json") == text
    assert str(ROOT) not in text
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "serverless-fl-bench"
    listed = {canonicalize_name(one["name"]): one["version"] for one in bill["components"]}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pins = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in map(Requirement, lines)}
    assert {name: listed[name] for name in pins.keys() & listed.keys()} == {
        name: pins[name] for name in pins.keys() & listed.keys()
    }
    assert listed["numpy"] == version("numpy")
    assert len(pins.keys() & listed.keys()) > 100
