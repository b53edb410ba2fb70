"""A function's zip: whole, repeatable, and independent of the project it was made from."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from serverless.platforms.function_zip import ROOT, package


@pytest.mark.parametrize("wrapper", ["openwhisk/client", "openwhisk/aggregator"])
def test_equal_sources_give_equal_zips_of_a_few_kilobytes(wrapper):
    data = package(wrapper)
    assert data == package(wrapper)
    assert len(data) < 200_000
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    assert names[0] == "__main__.py"
    assert len(set(names)) == len(names)
    assert not [name for name in names if "__pycache__" in name or name.startswith(("experiments", "baselines"))]


@pytest.mark.training
@pytest.mark.parametrize("engine", ["tensorflow", "numpy"])
@pytest.mark.parametrize("wrapper", ["openwhisk/client", "openwhisk/aggregator"])
def test_the_zip_holds_all_of_ours_that_the_function_needs_and_imports_its_engine(wrapper, engine, tmp_path):
    with zipfile.ZipFile(io.BytesIO(package(wrapper, engine=engine))) as archive:
        archive.extractall(tmp_path)
    program = tmp_path / "report.py"
    program.write_text(
        "import json, sys, importlib.util\n"
        f"sys.path[:] = [{str(tmp_path)!r}] + [path for path in sys.path if path != {str(ROOT)!r}]\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'editable' not in repr(finder).lower()]\n"
        f"spec = importlib.util.spec_from_file_location('function', {str(tmp_path / '__main__.py')!r})\n"
        "function = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(function)\n"
        "files = [m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)]\n"
        "print(json.dumps([callable(function.main), files, list(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, cwd=tmp_path, check=True)
    is_callable, files, modules = json.loads(done.stdout)
    assert is_callable
    assert {f"task.engines.{name}_engine" in modules for name in ("tensorflow", "numpy") if name != engine} == {False}
    assert f"task.engines.{engine}_engine" in modules
    assert ("tensorflow" in modules) == (engine == "tensorflow")
    rooms = [ROOT / room for room in ("task", "machine", "metrics", "serverless", "baselines", "experiments")]
    from_the_project = [file for file in files if any(Path(file).is_relative_to(room) for room in rooms)]
    assert not from_the_project
    assert [file for file in files if Path(file).is_relative_to(tmp_path / "task")]
