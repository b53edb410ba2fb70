"""The embedded containers import what the functions' image has, and nothing else that is installed here."""

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from serverless.platforms.function_environment import link_environment
from serverless.platforms.function_zip import IMPORTED
from serverless.platforms.openwhisk.deploy import open_platform
from serverless.platforms.openwhisk.settings import OpenWhiskSettings
from serverless.platforms.protocol import FunctionSpec
from serverless.preflight.probe import probing

REQUIREMENTS = Path(__file__).parents[3] / "scripts" / "runtime" / "requirements.txt"
ELSEWHERE = ("flwr", "hydra", "matplotlib", "minio", "pandas", "psutil", "pytest", "ray", "scipy", "sklearn")
FIND = """
import json, sys
from importlib.util import find_spec
print(json.dumps({name: find_spec(name).origin for name in sys.argv[1:] if find_spec(name)}))
"""


def asked_for():
    return [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def found_in(python, *names):
    """Where each module comes from that the interpreter can find."""
    done = subprocess.run([python, "-P", "-c", FIND, *names], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_image_and_the_embedded_containers_have_the_same_packages():
    assert sorted(asked_for()) == sorted(IMPORTED)


@pytest.mark.server
@pytest.mark.training
def test_a_function_imports_what_the_image_has_and_nothing_else(tmp_path):
    function = FunctionSpec("client", memory_mb=1024, timeout_s=60)
    with open_platform(OpenWhiskSettings(), tmp_path / "log") as platform, probing(platform) as probe:
        answer = probe.invoke(probe.deploy(function), imports=[*asked_for(), *ELSEWHERE]).result
    packages = answer["packages"]
    assert {name for name in packages if "version" in packages[name]} == set(asked_for())
    for name in ELSEWHERE:
        assert packages[name]["error"] == f"ModuleNotFoundError: No module named '{name}'"


@pytest.mark.slow
def test_it_is_made_of_links_to_what_is_installed_here(tmp_path):
    python = link_environment(tmp_path, ["numpy", "protobuf", "threadpoolctl", "no-such-package"])
    found = found_in(python, "numpy", "google.protobuf", "threadpoolctl", "requests", "tensorflow", "pip")
    assert set(found) == {"numpy", "google.protobuf", "threadpoolctl"}
    here = found_in(sys.executable, *found)
    assert {name: Path(origin).resolve() for name, origin in found.items()} == {
        name: Path(origin).resolve() for name, origin in here.items()
    }
    assert not [path for path in tmp_path.glob("lib/**/*") if path.is_file() and not path.is_symlink()]


@pytest.mark.slow
def test_a_package_comes_with_what_it_requires_and_with_no_neighbour_in_its_folder(tmp_path):
    (tmp_path / "some").mkdir()
    python = link_environment(tmp_path / "some", ["requests"])
    assert set(found_in(python, "requests", "urllib3", "certifi", "idna", "google")) == {
        "requests", "urllib3", "certifi", "idna"
    }  # fmt: skip
    neighbours = [name for name in ("google.auth", "google.oauth2") if found_in(sys.executable, name)]
    python = link_environment(tmp_path / "other", ["protobuf"])
    assert neighbours
    assert set(found_in(python, "google.protobuf", *neighbours)) == {"google.protobuf"}


def test_a_package_without_a_list_of_its_files_is_named(tmp_path, monkeypatch):
    installed = type(distribution("numpy"))
    read = installed.read_text
    monkeypatch.setattr(installed, "read_text", lambda self, name: None if name == "RECORD" else read(self, name))
    with pytest.raises(ValueError, match="numpy was installed without a list of its files"):
        link_environment(tmp_path, ["numpy"])
