"""A function reads and writes in the store that it was deployed for, whatever URLs its caller names."""

import io
import json
import subprocess
import sys
import zipfile

import pytest

from serverless.functions.store_limit import STORE, refusal
from serverless.functions.transfer import TransferError, deliver, fetch
from serverless.platforms.function_zip import package
from serverless.storage import DirectorySettings, MinioSettings, address, open_store
from serverless.storage.minio_client import connect

MINIO = "http://127.0.0.1:9000"
ELSEWHERE = (
    "http://127.0.0.1:9001/bucket/x",
    "http://127.0.0.1/bucket/x",
    "https://127.0.0.1:9000/bucket/x",
    "http://localhost:9000/bucket/x",
    "http://127.0.0.1:90000/bucket/x",
    "http://127.0.0.1:9000@attacker.example/x",
    "http://127.0.0.1:9000\\@attacker.example/x",
    "http://attacker.example\\@127.0.0.1:9000/x",
    "http://user@127.0.0.1:9000/x",
    "http://127.0.0.1:9000.attacker.example/x",
    "http://127.0.0.1:9000#@attacker.example/x",
    "http://127.0.0.1:9000?@attacker.example/x",
    " http://127.0.0.1:9000/bucket/x",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
)


def refused(url, words):
    for use in (fetch, lambda url: deliver(url, b"x")):
        with pytest.raises(TransferError, match=words) as caught:
            use(url)
        assert caught.value.status is None  # it is no missing object, which the aggregator would leave out
    return str(caught.value)


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_function_of_an_object_store_reaches_no_other_address(url, deployed_for):
    deployed_for(MINIO)
    refused(url, "refused|expected a URL")


@pytest.mark.parametrize("url", [f"{MINIO}/bucket/x", "file://{root}/../outside", "file://{root}", "file://{outside}"])
def test_a_function_of_a_folder_reaches_nothing_beside_it(tmp_path, deployed_for, url):
    root, outside = tmp_path / "store", tmp_path / "outside"
    root.mkdir()
    outside.write_bytes(b"precious")
    deployed_for(address(DirectorySettings(root)))
    with pytest.raises(TransferError):
        deliver(url.format(root=root, outside=outside), b"x")
    assert outside.read_bytes() == b"precious"
    assert sorted(tmp_path.iterdir()) == [outside, root]


@pytest.mark.parametrize("link", ["store/link", "store/runs"])
def test_no_link_leads_out_of_the_folder(tmp_path, deployed_for, link):
    (tmp_path / "store").mkdir()
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    deployed_for((tmp_path / "store").as_uri())
    refused((tmp_path / link / "a" / "x").as_uri(), "refused")
    assert list((tmp_path / "elsewhere" / "a").iterdir()) == []


def test_a_function_without_a_limit_reads_and_writes_nothing(tmp_path, deployed_for):
    deployed_for(None)
    for url in ((tmp_path / "x").as_uri(), f"{MINIO}/bucket/x"):
        assert "deployed without the address of its object store" in refused(url, "refused")
    assert list(tmp_path.iterdir()) == []


def test_no_signature_is_shown_in_a_refusal(deployed_for):
    deployed_for(MINIO)
    assert "7f3a" not in refused("http://elsewhere/x?X-Amz-Signature=7f3a", "refused")


@pytest.mark.parametrize("wrapper", ["openwhisk/client", "openfaas/client", "google/client", "openwhisk/invoker"])
def test_the_limit_is_in_what_is_deployed_and_no_parameter_changes_it(tmp_path, wrapper):
    """As the platform unpacks it, in a process of its own: its caller names a file of the user."""
    (tmp_path / "secret").write_bytes(b"secret")
    zipfile.ZipFile(io.BytesIO(package(wrapper, store=MINIO))).extractall(tmp_path / "function")
    program = (
        "import json, sys; from serverless.functions import transfer\n"
        "for url in json.load(sys.stdin):\n"
        "    try: transfer.fetch(url)\n"
        "    except transfer.TransferError as error: print(error)\n"
    )
    urls = [(tmp_path / "secret").as_uri(), "http://127.0.0.1:1/x"]
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.')\n{program}"]
    folder = tmp_path / "function"
    done = subprocess.run(command, input=json.dumps(urls), cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.count(f"refused: the function was deployed for the object store {MINIO} alone") == 2


def test_other_stores_are_other_code(tmp_path):
    """So a platform that has the code already is sent the new limit."""
    packages = {package("openwhisk/client", store=store) for store in (None, MINIO, tmp_path.as_uri())}
    assert len(packages) == 3
    assert STORE in zipfile.ZipFile(io.BytesIO(max(packages, key=len))).namelist()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (MinioSettings(), MINIO),
        (MinioSettings(endpoint="store:443", secure=True), "https://store"),
        (MinioSettings(endpoint="Store:80"), "http://Store"),
        (MinioSettings(functions_endpoint="minio.inside:9000"), "http://minio.inside:9000"),
    ],
)
def test_the_address_is_that_of_the_urls_which_the_store_signs(settings, expected, deployed_for):
    assert address(settings) == expected
    keys = {settings.access_key_env: "x", settings.secret_key_env: "y"}
    signer = connect(settings, settings.functions_endpoint or settings.endpoint, keys)
    deployed_for(address(settings))
    assert refusal(signer.get_presigned_url("GET", settings.bucket, "x")) is None


def test_a_folder_behind_a_link_is_known_by_where_it_leads(tmp_path, deployed_for):
    (tmp_path / "drive").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "drive")
    settings = DirectorySettings(tmp_path / "link" / "store")
    store = open_store(settings, "runs/a")
    deployed_for(address(settings))
    deliver(store.grant("x", "PUT", 60), b"x")
    assert store.get("x") == b"x"
