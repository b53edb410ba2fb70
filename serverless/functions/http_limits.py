"""Bounds on what a server may do to its client: how long it may take in all, how much it may send, and where it leads.

``requests`` and ``urllib3`` bound each read of a socket alone: a server that sends a byte a second is never late.
Bodies that are compressed are refused: a few bytes of them may become gigabytes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

MOST_BYTES = 64 << 20  # of an answer of a platform's API
_PIECE_BYTES = 1 << 18
_now = threading.local()


class TooLarge(requests.exceptions.ChunkedEncodingError):
    """An answer is larger than it may be; its head is in ``response``."""


class Deadline:
    """For the time of the context, this thread's answers end with the deadline: their sockets are shut down."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._sockets: set[socket.socket] = set()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._outer, _now.deadline = getattr(_now, "deadline", None), self
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        _now.deadline = self._outer

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket down, too, when the time is up."""
        self._sockets.add(sock)
        if self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        for sock in tuple(self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already


class _Watched:
    sock: Any

    def send(self, data: Any) -> None:
        self._watch()
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self._watch()
        return super().getresponse()  # type: ignore[misc]

    def _watch(self) -> None:
        deadline: Deadline | None = getattr(_now, "deadline", None)
        if deadline is not None and self.sock is not None:
            deadline.watch(self.sock)


class _Http(_Watched, HTTPConnection):
    pass


class _Https(_Watched, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


class Pools(urllib3.PoolManager):
    """Connections that keep a :class:`Deadline`, follow no redirect and take nothing compressed."""

    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        bound(self)

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> Any:  # type: ignore[override]
        """See :class:`urllib3.PoolManager`; ``redirect`` is not asked for: a redirect is an answer."""
        options["headers"] = {**(options.get("headers") or self.headers), "Accept-Encoding": "identity"}
        return super().urlopen(method, url, redirect=False, **options)


def bound(manager: urllib3.PoolManager) -> None:
    """Give somebody's pools connections that keep a :class:`Deadline`."""
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class Adapter(HTTPAdapter):
    """Gives a session of ``requests`` connections that keep a :class:`Deadline`."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """See :class:`requests.adapters.HTTPAdapter`."""
        self.poolmanager = Pools(num_pools=connections, maxsize=maxsize, block=block, **options)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Lead nowhere, whoever sends the request: a redirect is an answer."""


def bounded_session() -> requests.Session:
    """Return a session whose answers :func:`ask` reads; the environment's proxies and .netrc play no part."""
    session = _Session()
    session.trust_env = False
    session.headers["Accept-Encoding"] = "identity"
    session.mount("http://", Adapter())
    session.mount("https://", Adapter())
    return session


def ask(
    session: requests.Session, verb: str, url: str, *, within_s: float, most_bytes: int = MOST_BYTES, **options: Any
) -> requests.Response:
    """Send a request once and read the whole answer.

    Parameters
    ----------
    within_s
        Seconds from the request to the end of its answer.

    Raises
    ------
    requests.RequestException
        If there is no answer, or none that is whole, in time, small enough and not compressed.
    """
    with Deadline(within_s) as deadline:
        try:
            answer = session.request(verb, url, allow_redirects=False, stream=True, **options)
            try:
                answer._content = _body(answer, most_bytes)  # where requests keeps what it read itself
            except BaseException:
                answer.close()  # what is left unread must not be taken for the next answer
                raise
        except requests.RequestException as error:
            if deadline.is_over and not isinstance(error, requests.ConnectTimeout):
                raise requests.ReadTimeout(f"the answer is not whole after {within_s:g} s") from error
            raise
        if deadline.is_over:
            raise requests.ReadTimeout(f"the answer is not whole after {within_s:g} s")
    return answer


def refuse_encoded(headers: Mapping[str, str]) -> None:
    """Refuse an answer that says that it is compressed; raises :class:`requests.exceptions.ContentDecodingError`."""
    if headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise requests.exceptions.ContentDecodingError("the answer is compressed, which was not asked for")


def _body(answer: requests.Response, most_bytes: int) -> bytes:
    refuse_encoded(answer.headers)
    pieces, size = [], 0
    try:
        while piece := answer.raw.read1(_PIECE_BYTES, decode_content=False):
            size += len(piece)
            if size > most_bytes:
                raise TooLarge(f"the answer is larger than {most_bytes} bytes", response=answer)
            pieces.append(piece)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if isinstance(error, requests.RequestException):
            raise
        late = isinstance(error, urllib3.exceptions.ReadTimeoutError)
        kind = requests.ReadTimeout if late else requests.exceptions.ChunkedEncodingError
        raise kind(f"the answer broke off ({type(error).__name__})") from error
    return b"".join(pieces)
