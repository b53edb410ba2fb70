"""Functions that are HTTP servers, and the containers that run them: OpenFaaS's and Google's."""

from __future__ import annotations

import io
import os
import re
import time
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from machine.handover import TOKEN_HEADER
from serverless.emulator.containers.container import Container, ContainerGoneError
from serverless.emulator.containers.host import ContainerHost
from serverless.emulator.containers.workload import Limits, Workload

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(Ki|Mi|Gi|k|M|G|)")
_NOT_FORWARDED = frozenset({"host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_NOT_SENT_ON = _NOT_FORWARDED | {"authorization", TOKEN_HEADER.lower()}  # keys are for the server, not for functions
_SET_ANEW = _NOT_FORWARDED | {"content-length", "content-encoding", "date", "server"}
LOG_BYTES = 1 << 16  # of a container's output, kept until its next request, for the server's own log
MOST_UNPACKED_BYTES, MOST_ENTRIES = 512 << 20, 20_000  # of a function's zip; Google's limit is 500 MB
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Service:
    """One version of a function that is an HTTP server.

    Parameters
    ----------
    container
        What runs it: its platform's kind of container.
    source
        Folder of its code, which all its containers share.
    environment
        What the deployment sets.
    max_instances
        Containers that it may have at once.
    """

    container: type[ServiceContainer]
    name: str
    limits: Limits
    revision: int
    source: Path
    max_instances: int
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The role of its processes."""
        return self.name

    @property
    def timeout_s(self) -> float:
        """Time limit of a request, seconds."""
        return self.limits.timeout / 1000


@dataclass(frozen=True)
class Request:
    """A request that is sent on into a container."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    is_chunked: bool = False


@dataclass(frozen=True)
class Reply:
    """The answer of a container, or of the platform in its place."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ServiceContainer(Container):
    """A container that serves HTTP requests; subclasses say what program it runs."""

    def __init__(self, host: ContainerHost, service: Service) -> None:
        super().__init__(host, service)
        self.service = service

    def _environment(self) -> dict[str, str]:
        python = Path(self._host.settings.python).parent
        return {
            "PATH": os.pathsep.join((str(python), os.environ.get("PATH", os.defpath))),
            "PYTHONDONTWRITEBYTECODE": "1",  # the folder stands for an image, which no container changes
            **self.service.environment,
        }

    async def send(self, request: Request, timeout_s: float | None) -> Reply:
        """Send a request and wait for the whole answer.

        Raises
        ------
        ContainerGoneError
            If the container closed the connection instead of answering.
        TimeoutError
            If there was no answer within ``timeout_s``.
        """
        started_at = time.monotonic()
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_SENT_ON}
        if request.is_chunked:
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        try:
            async with self._host.http.request(
                request.method,
                self._url + request.path,
                data=_pieces(request.body) if request.is_chunked else request.body,
                headers={**headers, **self._allowed},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                told = {name: value for name, value in response.headers.items() if name.lower() not in _SET_ANEW}
                body = await response.read()
                await self.wait_for_its_share(started_at)
                return Reply(response.status, told, body)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise ContainerGoneError from error

    def outlives(self, reply: Reply) -> bool:
        """Whether the container can take another request after this answer."""
        return True

    def pause(self) -> None:
        """Leave it running: neither platform stops the processes of an idle container."""

    async def last_words(self) -> str:
        """End the container and return what it wrote last."""
        await self.kill()
        return "\n".join(await self.logs.collect(developer_error=False))


def new_container(host: ContainerHost, workload: Workload) -> Container:
    """Return a container, not started, of the kind that ``workload`` needs."""
    return workload.container(host, workload) if isinstance(workload, Service) else Container(host, workload)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """Yield a body in pieces of no announced length, so that it is sent in chunks."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def unpack(code: bytes, folder: Path, needed: str) -> None:
    """Unpack a function's zip into a new folder.

    Raises
    ------
    ValueError
        If it is no zip, an entry lies outside the folder, or ``needed`` is not in it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            for name in archive.namelist():
                if not (folder / name).resolve().is_relative_to(folder.resolve()):
                    raise ValueError(f"zip entry {name!r} lies outside the function's folder")
            entries = archive.infolist()  # no more is written of an entry than the size that it says
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED_BYTES or len(entries) > MOST_ENTRIES:
                raise ValueError(f"the zip unpacks to more than {MOST_UNPACKED_BYTES} bytes or {MOST_ENTRIES} files")
            if needed not in archive.namelist():
                raise ValueError(f"the zip does not include {needed}")
            archive.extractall(folder)
    except ValueError:
        raise
    except Exception as error:  # zipfile passes on those of the operating system and of every compression
        raise ValueError(f"the code is no zip that can be unpacked: {error}") from error


def mebibytes(quantity: str) -> int:
    """Return a quantity in MiB, rounded down, at least 1.

    Raises
    ------
    ValueError
        If it is no quantity of memory.

    Examples
    --------
    >>> mebibytes("512Mi"), mebibytes("2Gi"), mebibytes("256M")
    (512, 2048, 244)
    """
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"quantities must be a number and one of k, M, G, Ki, Mi, Gi or nothing, not {quantity!r}")
    return max(1, int(float(match[1]) * _UNITS[match[2]]) >> 20)
