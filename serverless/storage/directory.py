"""A folder as an object store: the embedded default.

It grants ``file://`` URLs. No server stands between a function and the file system, so neither the expiry nor the verb
of a URL is enforced, as a real store does: functions are trusted to use what they were given.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from machine.files import write_whole
from serverless.functions import transfer
from serverless.functions.backoff import attempts
from serverless.storage.protocol import (
    ObjectInfo,
    ObjectMissing,
    StoreError,
    Verb,
    check_grant,
    check_key,
    check_prefix,
)
from serverless.storage.settings import DirectorySettings

T = TypeVar("T")


def open_directory(settings: DirectorySettings, prefix: str) -> DirectoryStore:
    """Open the store of one run; see :func:`serverless.storage.open_store`."""
    root = settings.root.absolute()
    with _explained("open the object store", root):
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve()
        return DirectoryStore(_inside(root, root / check_key(prefix)), root)


@dataclass(frozen=True)
class DirectoryStore:
    """An :class:`~serverless.storage.protocol.ObjectStore` in ``folder``: one file per object, by its key.

    A drive that is full, or ``root`` away for some seconds (a network drive), is tried again; a folder is never made
    in its place.
    """

    folder: Path
    root: Path

    def put(self, key: str, data: bytes) -> None:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        path = self._path(key)
        with _explained("write object", path):
            self._patiently(lambda: _put(path, data))

    def get(self, key: str) -> bytes:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        path = self._path(key)
        with _explained("read object", path):
            return self._patiently(path.read_bytes)

    def stat(self, key: str) -> ObjectInfo:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        path = self._path(key)
        with _explained("find object", path):
            found = self._patiently(path.stat)
            if not stat.S_ISDIR(found.st_mode):
                return ObjectInfo(key, found.st_size)
        raise ObjectMissing(f"there is no object {path}, only others below it")

    def list(self, prefix: str = "") -> tuple[ObjectInfo, ...]:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        found = []
        for path in self._files(prefix):
            try:
                found.append(ObjectInfo(path.relative_to(self.folder).as_posix(), path.stat().st_size))
            except FileNotFoundError:
                continue  # deleted meanwhile
        return tuple(sorted(found, key=lambda info: info.key))

    def delete_prefix(self, prefix: str = "") -> None:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        for path in self._files(prefix):
            with _explained("delete object", path):
                path.unlink(missing_ok=True)
        for folder in sorted(self._folders(prefix), reverse=True):  # the deepest first
            with suppress(OSError):  # it is not empty, or is gone
                folder.rmdir()

    def grant(self, key: str, verb: Verb, expires_s: int) -> str:
        """See :class:`~serverless.storage.protocol.ObjectStore`; the folder of a ``PUT`` is made.

        Only the path is granted: a directory cannot expire or enforce anything.
        """
        check_grant(verb, expires_s)
        path = self._path(key)
        if verb == "PUT":
            with _explained("make the folder of object", path):
                self._patiently(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        return path.as_uri()

    def _patiently(self, action: Callable[[], T]) -> T:
        problem = OSError(errno.ESTALE, "the store is away")
        for _ in attempts(transfer.PATIENCE_S, transfer.BACKOFF_S):
            if not self.root.is_dir():
                continue
            try:
                return action()
            except OSError as error:
                if error.errno not in transfer.PASSING_ERRNO and self.root.is_dir():
                    raise
                problem = error
        raise problem

    def _path(self, key: str) -> Path:
        return _inside(self.folder, self.folder / check_key(key))

    def _folders(self, prefix: str) -> Iterator[Path]:
        """Yield the folders of which ``prefix`` speaks, not those above them: late objects find their way there."""
        for folder in [self.folder, *self.folder.rglob("*")]:
            below = folder.relative_to(self.folder).as_posix()
            if folder.is_dir() and f"{'' if below == '.' else below}/".removeprefix("/").startswith(prefix):
                yield folder

    def _files(self, prefix: str) -> Iterator[Path]:
        check_prefix(prefix)
        start = self.folder / prefix.rpartition("/")[0]
        for path in start.rglob("[!.]*"):  # the others are not finished
            if path.is_file() and path.relative_to(self.folder).as_posix().startswith(prefix):
                yield path


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data, durable=False)


def _inside(folder: Path, path: Path) -> Path:
    """Return ``path``; refuse it if a symbolic link leads it out of ``folder``."""
    if not path.resolve().is_relative_to(folder):
        raise StoreError(f"object {path} is refused: a symbolic link leads it out of {folder}")
    return path


@contextmanager
def _explained(doing: str, path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing(f"cannot {doing}: there is no {path}") from error
    except OSError as error:
        raise StoreError(
            f"cannot {doing} {path}: {error.strerror or error}. Choose a folder that can be written, with space "
            f"to spare: store.root=PATH"
        ) from error
