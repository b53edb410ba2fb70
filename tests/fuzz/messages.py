"""What platforms and functions answer: whatever it says, the row of the attempt can be kept and read again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from http.client import HTTPException, parse_headers
from types import SimpleNamespace

import pyarrow as pa
import requests
from requests.structures import CaseInsensitiveDict

from metrics.collect.probe import Probe
from metrics.collect.row_types import InvocationRow
from metrics.collect.schema import schema
from serverless.functions.messages import AverageAnswer, ClientAnswer, CorruptAnswer, CorruptUpdate, InvokerAnswer
from serverless.functions.openwhisk.answers import INVOCATION
from serverless.invocations.answers import BadAnswer, read_aggregator_answer, read_client_answer, read_invoker_answer
from serverless.invocations.attempt_rows import AttemptRows
from serverless.platforms.google.client import _read as read_google
from serverless.platforms.http_api import json_of
from serverless.platforms.openfaas.callbacks import Callbacks, _Handler
from serverless.platforms.openfaas.client import read_answer as read_openfaas
from serverless.platforms.openwhisk.activation_records import names, read_record
from serverless.platforms.protocol import Invocation
from tests.fuzz.target import Target

ROWS = AttemptRows("run", "openwhisk", "client", 256)
WORK = SimpleNamespace(server_round=1, client_id=1)
SCHEMA = schema(InvocationRow)
TOKEN = "TOKEN"


def keep(invocation: Invocation, answer=None) -> None:
    """Write the row of an attempt as JSON, read it into a table, and write its words into a log."""
    row = ROWS.row(WORK, 1, invocation, submitted_at=0.0, client_s=1.0, answer=answer, error_kind=invocation.error_kind)
    pa.Table.from_pylist([json.loads(json.dumps(asdict(row), allow_nan=False))], schema=SCHEMA)
    (invocation.error or "").encode()


def received(data: bytes) -> requests.Response:
    """Bytes as the answer of a platform: a status, headers, an empty line, a body."""
    stream = io.BytesIO(data)
    status, answer = stream.readline()[:3], requests.Response()
    answer.status_code = int(status) if status.isdigit() else 200
    answer.headers = CaseInsensitiveDict(parse_headers(stream).items())
    answer._content, answer.request = stream.read(), SimpleNamespace(headers={})
    return answer


def read_records(data: bytes) -> None:
    record = json_of(received(b"200\r\n\r\n" + data))
    names(record, "key")
    if invocation := read_record(record):
        keep(invocation)


def read_answers(data: bytes) -> None:
    """Of every kind; what is refused by one may be read by another."""
    result = json_of(received(b"200\r\n\r\n" + data))
    for read in (
        lambda: read_client_answer(result, 30),
        lambda: read_aggregator_answer(result, 30, {1, 2}),
        lambda: read_invoker_answer(result),
    ):
        try:
            answer = read()
        except BadAnswer as error:
            str(error).encode()
            continue
        keep(Invocation("id", result), answer)
        if isinstance(answer, InvokerAnswer):
            keep(Invocation(answer.activation_id, None, answer.error_kind, answer.reason))
        if isinstance(answer, CorruptAnswer):
            [one.error.encode() for one in answer.corrupt]


def read_replies(data: bytes) -> None:
    """Of OpenFaaS and Google."""
    answer = received(data)
    keep(read_google(answer, "trace"))
    keep(read_openfaas(answer, json_of(answer), answer.headers, "deployment"))


class _Connection:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, _: float | None) -> None: ...

    setsockopt = shutdown = settimeout


def receive_callback(data: bytes) -> None:
    """A connection to the receiver of callbacks, on which nothing follows these bytes."""
    callbacks = Callbacks("http://receiver")
    with callbacks.expect("deployment") as (address, answer):
        token = address.rpartition("/")[2]
        connection = _Connection(data.replace(TOKEN.encode(), token.encode()))
        _Handler(connection, ("127.0.0.1", 1), SimpleNamespace(callbacks=callbacks))
        if answer.done():
            keep(answer.result())


def _json(*values: object) -> Iterator[bytes]:
    return (json.dumps(value).encode() for value in values)


MOVED = {"bytes_in": 7, "bytes_out": 8, "work": Probe().report()}
EVALUATION = {"test_accuracy": 0.5, "test_loss": 1.25, "weights_sha256": 64 * "a", "num_examples": 30}


def _answers() -> Iterator[bytes]:
    yield from _json(
        ClientAnswer(num_examples=30, train_loss=0.5, update_sha256=64 * "a", **MOVED).to_dict(),
        AverageAnswer(**EVALUATION, **MOVED).to_dict(),
        CorruptAnswer(corrupt=(CorruptUpdate(client_id=2, error="half"),), **MOVED).to_dict(),
        InvokerAnswer(record={"activationId": "a"}, **MOVED).to_dict(),
        InvokerAnswer(error_kind="throttled", reason="too many", may_have_run=False, **MOVED).to_dict(),
    )


def _records() -> Iterator[bytes]:
    notes = [{"key": "waitTime", "value": 5}, {"key": "initTime", "value": 20}, {"key": "timeout", "value": False}]
    for response in (
        {"status": "success", "success": True, "result": {INVOCATION: "key", "a": 1}},
        {"status": "application error", "success": False, "result": {"error": "words"}},
        {"status": "action developer error", "success": False, "result": "text"},
    ):
        yield from _json({"activationId": "a", "duration": 12, "annotations": notes, "response": response})


def _replies() -> Iterator[bytes]:
    headers = b"Content-Type: application/json\r\nX-Duration-Seconds: 0.5\r\nX-Function-Deployment: deployment\r\n"
    for status in (b"200", b"500", b"429"):
        yield status + b"\r\n" + headers + b'\r\n{"error": "words", "a": 1}'
    yield b'500\r\nX-OpenFaaS-Internal: proxy\r\n\r\n{"error": {"message": "m"}}'


def _callbacks() -> Iterator[bytes]:
    body = b'{"a": 1}'
    head = b"POST /TOKEN HTTP/1.1\r\nX-Function-Status: 200\r\nX-Duration-Seconds: 0.5\r\nX-Call-Id: c\r\n"
    yield head + b"X-Function-Deployment: deployment\r\nContent-Length: 8\r\n\r\n" + body
    yield head + b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + body + b"\r\n0\r\n\r\n"
    yield b"POST /other HTTP/1.0\r\nContent-Length: 8\r\n\r\n" + body


NUMBERS = (
    "1e400",
    "-1",
    "9" * 19,
    "9" * 400,
    "NaN",
    "Infinity",
    "true",
    "null",
    '"\\ud800"',
    "[[[[[[[[",
    "{}",
    "[]",
    '""',
)
ANSWERS = (*NUMBERS, '"num_examples":', '"train_loss":', '"work":', '"spans":', '"cpu_s":', '"corrupt":', '"record":')

MESSAGES = {
    "records": Target(read_records, (), _records, (*NUMBERS, '"duration":', '"annotations":', '"activationId":')),
    "answers": Target(read_answers, (), _answers, ANSWERS),
    "replies": Target(read_replies, (HTTPException,), _replies, (*NUMBERS, "X-Duration-Seconds: ", "503\r\n")),
    "callbacks": Target(
        receive_callback, (), _callbacks, (*NUMBERS, "POST /TOKEN HTTP/1.1\r\n", "Content-Length: ", "-1\r\n")
    ),
}
