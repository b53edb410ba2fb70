"""The directory store against a plain dictionary, and against keys that would lead out of it."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.functions.transfer import deliver, fetch
from serverless.storage import DirectorySettings, ObjectMissing, StoreError, address, open_store
from serverless.storage.protocol import MAX_KEY

# Files are named f*, folders d*: in a directory, unlike in S3, one name cannot be both.
names = st.integers(0, 12).map(str)
keys = st.builds(
    lambda folders, name: "/".join([*(f"d{folder}" for folder in folders), f"f{name}"]),
    st.lists(names, max_size=3),
    names,
)
prefixes = st.one_of(st.just(""), keys, keys.map(lambda key: key[:-1]), keys.map(lambda key: key.rpartition("/")[0]))


@pytest.fixture
def store(tmp_path):
    return open_store(DirectorySettings(tmp_path / "root"), "runs/a")


@given(st.dictionaries(keys, st.binary(max_size=20), max_size=12), prefixes.filter(lambda p: not p.endswith("/")))
def test_it_behaves_like_a_dictionary(tmp_path_factory, contents, prefix):
    root = tmp_path_factory.mktemp("root")
    store = open_store(DirectorySettings(root), "runs/a")
    for key, data in contents.items():
        store.put(key, data)
    assert {key: store.get(key) for key in contents} == contents
    under = sorted(key for key in contents if key.startswith(prefix))
    assert [(info.key, info.size_bytes) for info in store.list(prefix)] == [(k, len(contents[k])) for k in under]
    store.delete_prefix(prefix)
    assert [info.key for info in store.list()] == sorted(contents.keys() - set(under))
    store.delete_prefix()
    assert list(root.glob("runs/*")) == []


@given(st.one_of(st.text(max_size=30), st.text(st.sampled_from("./a\\~ \0\n"), max_size=12)))
def test_no_key_leads_out_of_the_run(tmp_path_factory, key):
    root = tmp_path_factory.mktemp("root")
    store = open_store(DirectorySettings(root / "store"), "runs/a")
    try:
        store.put(key, b"x")
    except StoreError:
        assert not (root / "store" / "runs").exists()
    else:
        assert (root / "store" / "runs" / "a" / key).read_bytes() == b"x"
    assert [path.name for path in root.iterdir()] == ["store"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "../b/x",
        "a/../../b",
        "a//b",
        "a/",
        "a/.hidden",
        ".",
        "a b",
        "ä",
        "a\n",
        "x" * (MAX_KEY + 1),
    ],
)
def test_a_key_that_is_not_allowed_is_refused_by_every_method(store, key):
    for use in (store.get, store.stat, lambda key: store.put(key, b""), lambda key: store.grant(key, "GET", 1)):
        with pytest.raises(StoreError, match="is not allowed"):
            use(key)


@pytest.mark.parametrize("prefix", ["", "../a", "/a", "a/../b"])
def test_the_prefix_of_a_store_is_held_to_the_same_rule(tmp_path, prefix):
    with pytest.raises(StoreError, match="is not allowed"):
        open_store(DirectorySettings(tmp_path), prefix)


def test_a_symbolic_link_does_not_lead_out(store, tmp_path):
    store.put("in/x", b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (store.folder / "link").symlink_to(tmp_path / "outside")
    for use in (store.get, lambda key: store.put(key, b""), lambda key: store.grant(key, "PUT", 1)):
        with pytest.raises(StoreError, match="symbolic link"):
            use("link/secret")


def test_a_run_sees_its_own_objects_only(tmp_path):
    one, other = (open_store(DirectorySettings(tmp_path), f"runs/{name}") for name in "ab")
    one.put("x", b"one")
    other.put("x", b"other")
    one.delete_prefix()
    assert other.get("x") == b"other"
    with pytest.raises(ObjectMissing):
        one.get("x")


def test_a_grant_is_the_file_itself_whatever_characters_the_root_has(tmp_path, deployed_for):
    settings = DirectorySettings(tmp_path / "ein Ordner %20 #1?")
    store = open_store(settings, "runs/a")
    deployed_for(address(settings))
    deliver(store.grant("round-1/update", "PUT", 60), b"update")
    assert store.get("round-1/update") == b"update"
    assert fetch(store.grant("round-1/update", "GET", 60)) == b"update"


def test_a_late_delivery_does_not_bring_a_deleted_run_back(store, deployed_for):
    deployed_for(store.root.as_uri())
    url = store.grant("round-1/update", "PUT", 60)
    store.put("round-1/other", b"x")
    store.delete_prefix()
    with pytest.raises(RuntimeError, match="No such file"):
        deliver(url, b"late")
    assert not store.folder.exists()


def test_unfinished_files_are_not_objects(store):
    store.put("a/x", b"x")
    (store.folder / "a" / ".unfinished").write_bytes(b"half")
    assert [info.key for info in store.list()] == ["a/x"]


def test_a_reader_sees_an_object_whole_while_it_is_replaced(store):
    contents = [bytes([letter]) * 500_000 for letter in b"ab"]
    store.put("x", contents[0])
    done = threading.Event()

    def write():
        for count in range(200):
            store.put("x", contents[count % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert store.get("x") in contents
        assert [info.size_bytes for info in store.list()] == [500_000]
    writer.join()


def test_a_root_that_cannot_be_a_folder_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"store\.root=PATH"):
        open_store(DirectorySettings(tmp_path / "file"), "runs/a")


@pytest.mark.parametrize(("verb", "expires_s"), [("DELETE", 60), ("get", 60), ("GET", 0), ("PUT", 604_801)])
def test_what_cannot_be_granted_is_refused(store, verb, expires_s):
    with pytest.raises(StoreError, match="cannot be granted"):
        store.grant("x", verb, expires_s)
