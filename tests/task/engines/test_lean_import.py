import gc
import importlib
import importlib.util
import subprocess
import sys
import threading

import pytest

from task.engines.lean_import import lean_import

ENGINE_ONLY = """
import sys
from task.engines.engine import Terms, load_engine
load_engine("tensorflow").trainer("nn", "adam", 1e-3, 10, Terms())
old = [name for name in sys.modules if name.startswith(("tensorflow.python.keras", "tensorflow.lite."))]
assert not old, old
unneeded = {"keras", "h5py", "scipy", "sklearn", "pandas", "matplotlib", "pyarrow", "rich", "optree"} & set(sys.modules)
assert not unneeded, unneeded
import keras
assert keras.backend.backend() == "tensorflow"
assert float(keras.ops.add(1.0, 2.0)) == 3.0
import scipy.sparse, h5py
import tensorflow as tf
import tensorflow.distribute.experimental.rpc, tensorflow.lite.python
assert not tf.distribute.has_strategy() and tf.lite.OpsSet.TFLITE_BUILTINS
assert tf.keras.optimizers.Adam.__module__.startswith("keras.")
assert float(tf.nn.relu(tf.compat.v1.constant(-1.0))) == 0.0
"""


@pytest.fixture
def modules(monkeypatch, tmp_path):
    """Two packages that this process has not imported yet."""
    for name in ("hidden_one", "open_one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("hidden_one", None)
    sys.modules.pop("open_one", None)


@pytest.mark.training
@pytest.mark.slow
def test_the_engine_imports_none_of_keras_and_a_later_import_of_it_works():
    subprocess.run([sys.executable, "-c", ENGINE_ONLY], check=True, timeout=300)


def test_a_hidden_package_is_missing_inside_and_there_afterwards(modules):
    with lean_import("hidden_one"):
        import open_one

        with pytest.raises(ModuleNotFoundError, match="hidden_one") as refused:
            import hidden_one
        assert refused.value.name == "hidden_one"
        assert importlib.util.find_spec("hidden_one").origin is None  # who only looks does not fail
    import hidden_one

    assert hidden_one.__file__ and open_one.__file__


def test_a_package_that_was_imported_before_stays(modules):
    import hidden_one

    with lean_import("hidden_one"):
        import hidden_one as again
    assert again is hidden_one


@pytest.fixture
def lazy_one(monkeypatch, tmp_path):
    """A package whose module says when it is loaded."""
    (tmp_path / "lazy_one").mkdir()
    (tmp_path / "lazy_one" / "__init__.py").write_text("")
    (tmp_path / "lazy_one" / "part.py").write_text("import sys\nsys.loaded_parts.append(__name__)\nVALUE = 7\n")
    monkeypatch.setattr(sys, "loaded_parts", [], raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield sys.loaded_parts
    for name in ("lazy_one", "lazy_one.part"):
        sys.modules.pop(name, None)


def test_a_lazy_module_is_loaded_when_it_is_first_used(lazy_one):
    with lean_import(lazy="lazy_one"):
        from lazy_one import part
    assert lazy_one == []
    assert part.VALUE == 7
    assert lazy_one == ["lazy_one.part"]


def test_another_thread_loads_it_at_once(lazy_one):
    with lean_import(lazy="lazy_one"):
        thread = threading.Thread(target=importlib.import_module, args=("lazy_one.part",))
        thread.start()
        thread.join()
    assert lazy_one == ["lazy_one.part"]


def test_another_thread_sees_the_package_meanwhile(modules):
    found = []

    def other():
        import hidden_one

        found.append(hidden_one.__name__)

    with lean_import("hidden_one"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == ["hidden_one"]


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_collection_is_as_before_even_after_an_error(collects):
    was, finders = gc.isenabled(), list(sys.meta_path)
    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(RuntimeError), lean_import("hidden_one"):
            assert not gc.isenabled()
            raise RuntimeError
        assert gc.isenabled() == collects
        assert sys.meta_path == finders
    finally:
        (gc.enable if was else gc.disable)()
