"""Reading and writing by URL, against files and against servers that refuse, fail and break off."""

import base64
import hashlib
import http.server
import socket
import subprocess
import sys
import threading
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serverless.functions import over_http, transfer
from serverless.functions.transfer import TransferError, deliver, fetch
from tests.support.tiers import starts

SIGNED = "X-Amz-Signature=7f3a"


class Server(http.server.ThreadingHTTPServer):
    """Keeps what is put; answers the statuses of ``script`` first, then does as it is told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects = {}
        self.script = []
        self.asked = []
        self.headers = []
        self.tag = None
        self.connections = set()

    def url(self, key):
        return f"http://127.0.0.1:{self.server_port}/bucket/{key}?{SIGNED}"


def etag(content):
    return f'"{hashlib.md5(content).hexdigest()}"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, body=b"", promised=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(promised or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _handled(self, body):
        self.server.asked.append((self.command, self.path, body))
        self.server.connections.add(self.client_address)
        self.server.headers.append(self.headers)
        step = self.server.script.pop(0) if self.server.script else None
        if step == "break off":
            self.close_connection = True
        elif step == "half":
            self.close_connection = True
            self._answer(200, b"half", promised=8)
        elif step == "damaged":
            content = self.server.objects[self.path]
            self._answer(200, bytes([content[0] ^ 1]) + content[1:], ETag=etag(content))
        elif isinstance(step, bytes):
            self._answer(400, step)
        elif isinstance(step, int):
            self._answer(step, b"<Error/>", Location="http://127.0.0.1:1/elsewhere")
        return step is not None

    def do_GET(self):
        if not self._handled(b""):
            content = self.server.objects[self.path]
            self._answer(200, content, ETag=self.server.tag or etag(content))

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._handled(body):
            self.server.objects[self.path] = body
            self._answer(200)


@pytest.fixture(autouse=True)
def store(tmp_path_factory, deployed_for):
    """All folders of the tests are one store."""
    deployed_for(tmp_path_factory.getbasetemp().as_uri())


@pytest.fixture
@starts("server")
def server(monkeypatch, deployed_for):
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.001)
    monkeypatch.setattr(transfer, "PATIENCE_S", 20)
    over_http._session.cache_clear()
    server = Server()
    deployed_for(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    over_http._session.cache_clear()
    server.shutdown()
    thread.join()
    server.server_close()


@given(st.binary(max_size=5000))
def test_a_file_comes_back_as_it_was_delivered(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("objects") / "an object"
    deliver(path.as_uri(), data)
    assert fetch(path.as_uri()) == data
    assert [item.name for item in path.parent.iterdir()] == ["an object"]


def test_a_missing_file_is_the_answer_404(tmp_path):
    with pytest.raises(TransferError, match="nothing: No such file") as caught:
        fetch((tmp_path / "nothing").as_uri())
    assert caught.value.status == 404


def test_a_delivery_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "object"
    deliver(path.as_uri(), b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "replace", full)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0)
    with pytest.raises(TransferError, match="No space left"):
        deliver(path.as_uri(), b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["object"]


def test_a_reader_sees_a_whole_file_while_it_is_written_again_and_again(tmp_path):
    url = (tmp_path / "object").as_uri()
    contents = [bytes([letter]) * 1_000_000 for letter in b"ab"]
    deliver(url, contents[0])
    done = threading.Event()

    def write():
        for count in range(200):
            deliver(url, contents[count % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert fetch(url) in contents
    writer.join()


@pytest.mark.parametrize("url", ["ftp://host/a?X=7f3a", "file://other-host/a", "/a/path", "http://[::1/a?X=7f3a", ""])
def test_other_urls_are_refused(url):
    with pytest.raises(TransferError) as caught:
        fetch(url)
    assert "7f3a" not in str(caught.value)


def test_an_object_comes_back_by_http(server):
    data = bytes(range(256)) * 9000
    deliver(server.url("k"), data)
    assert fetch(server.url("k")) == data


def test_one_connection_serves_many_transfers(server):
    for number in range(5):
        deliver(server.url(str(number)), b"x")
        fetch(server.url(str(number)))
    assert len(server.connections) == 1


@pytest.mark.parametrize("step", [500, 503, "break off", "half"])
@pytest.mark.parametrize("verb", ["GET", "PUT"])
def test_what_may_pass_is_tried_again(server, step, verb):
    key = server.url("k")
    deliver(key, b"content")
    server.asked.clear()
    server.script = [step, step]
    if verb == "GET":
        assert fetch(key) == b"content"
    else:
        deliver(key, b"later")
        server.script = []
        assert fetch(key) == b"later"
    assert len([command for command, *_ in server.asked if command == verb]) >= 3


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 412])
def test_a_refusal_is_final(server, status):
    server.script = [status] * 9
    with pytest.raises(TransferError, match=rf"/bucket/k: {status} .*attempt 1\)") as caught:
        fetch(server.url("k"))
    assert caught.value.status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize(("step", "status"), [(503, 503), ("break off", None), ("half", None)])
def test_it_gives_up_when_its_patience_is_over(server, monkeypatch, step, status):
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.5)
    server.script = [step] * 999
    with pytest.raises(TransferError, match=r"attempt \d+\)") as caught:
        fetch(server.url("k"))
    assert caught.value.status == status
    assert 2 <= len(server.asked) < 100


@pytest.mark.parametrize("status", [408, 429, 500, 507])
def test_a_store_that_is_full_or_busy_is_asked_again(server, status):
    server.script = [status, status]
    deliver(server.url("k"), b"content")
    assert fetch(server.url("k")) == b"content"


def test_an_answer_damaged_on_the_way_is_fetched_again(server):
    deliver(server.url("k"), b"content")
    server.script = ["damaged"]
    assert fetch(server.url("k")) == b"content"
    assert [command for command, *_ in server.asked] == ["PUT", "GET", "GET"]


def test_a_tag_that_is_no_sum_of_the_bytes_does_not_keep_them_from_being_read(server):
    deliver(server.url("k"), b"content")
    server.tag = '"00000000000000000000000000000000"'
    assert fetch(server.url("k")) == b"content"


def test_bytes_damaged_on_their_way_to_the_store_are_sent_again(server):
    server.script = [b"<Error><Code>BadDigest</Code></Error>"]
    deliver(server.url("k"), b"content")
    assert fetch(server.url("k")) == b"content"
    sums = {headers["Content-MD5"] for headers in server.headers if "Content-MD5" in headers}
    assert sums == {base64.b64encode(hashlib.md5(b"content").digest()).decode()}


def test_a_drive_that_is_full_or_away_for_a_moment_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.01)
    away, drive = tmp_path / "away", tmp_path / "drive"
    (drive / "runs" / "r" / "updates").mkdir(parents=True)
    url = (drive / "runs" / "r" / "updates" / "u").as_uri()
    drive.rename(away)
    threading.Timer(0.1, lambda: away.rename(drive)).start()
    deliver(url, b"content")
    problems = [OSError(28, "No space left on device"), OSError(116, "Stale file handle")]

    def failing(path, data, durable):
        if problems:
            raise problems.pop()
        path.write_bytes(data)

    monkeypatch.setattr(transfer, "write_whole", failing)
    deliver(url, b"later")
    assert fetch(url) == b"later"


def test_where_the_folder_alone_is_gone_reading_is_given_up_at_once_and_writing_makes_it_again(tmp_path):
    """A straggler's update, when the round's folder has been cleared away: its function has done its work."""
    url = (tmp_path / "round-1" / "update").as_uri()
    with pytest.raises(TransferError, match=r"attempt 1\)") as caught:
        fetch(url)
    assert caught.value.status == 404
    deliver(url, b"late")
    assert fetch(url) == b"late"


def test_a_store_that_stays_away_is_no_missing_object(tmp_path, monkeypatch):
    """Else the aggregator would name every update corrupt, and all clients would train again."""
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.02)
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.01)
    with pytest.raises(TransferError) as caught:
        fetch((tmp_path / "drive" / "runs" / "r" / "updates" / "u").as_uri())
    assert caught.value.status is None


@pytest.mark.parametrize("step", [403, 503, "break off", "half"])
def test_no_signature_is_shown(server, monkeypatch, step):
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.02)
    server.script = [step] * 9
    with pytest.raises(TransferError) as caught:
        fetch(server.url("k"))
    assert "7f3a" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.server
def test_a_server_that_never_answers_is_given_up(monkeypatch, deployed_for):
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.001)
    monkeypatch.setattr(over_http, "READ_WITHIN_S", 0.1)
    monkeypatch.setattr(transfer, "PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deployed_for(f"http://127.0.0.1:{silent.getsockname()[1]}")
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/k?{SIGNED}"
        with pytest.raises(TransferError, match=r"no answer from the object store .*attempt [2-9]\)"):
            fetch(url)


def test_it_is_light_enough_to_ship():
    """Neither ``requests`` nor anything else of ours is imported before an http URL asks for it."""
    code = (
        "import sys; import serverless.functions.transfer; print(*sorted(name for name in sys.modules"
        " if name.split('.')[0] in ('requests', 'urllib3', 'numpy', 'serverless', 'task', 'metrics')))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    ours = ["backoff", "integrity", "over_http", "store_limit", "transfer"]
    assert shown.split() == ["serverless", "serverless.functions", *(f"serverless.functions.{name}" for name in ours)]
