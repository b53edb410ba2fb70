"""MinIO, or any store that speaks S3, through the ``minio`` SDK."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import urllib3
from minio import Minio
from minio import time as signing
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from machine.foreign_texts import plain
from serverless.functions.backoff import LONGEST_S, jittered_s
from serverless.functions.http_limits import Deadline, refuse_encoded
from serverless.functions.integrity import is_damaged
from serverless.storage.minio_client import BACKOFF_S, connect
from serverless.storage.protocol import (
    ObjectInfo,
    ObjectMissing,
    StoreError,
    Verb,
    check_grant,
    check_key,
    check_prefix,
)
from serverless.storage.settings import MinioSettings

T = TypeVar("T")

_SKEW_S = 14 * 60  # a little less than the 15 minutes that S3 allows: the answer itself took some time
_MOST_BYTES = 1 << 30  # of one object
_MISSING = {"NoSuchKey", "NoSuchObject"}
_DAMAGED = {"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"}


def open_minio(settings: MinioSettings, prefix: str, environ: Mapping[str, str]) -> MinioStore:
    """Open the store of one run and make its bucket; see :func:`serverless.storage.open_store`."""
    check_key(prefix)
    client = connect(settings, settings.endpoint, environ)
    signer = client
    if settings.functions_endpoint is not None:
        signer = connect(settings, settings.functions_endpoint, environ)
    store = MinioStore(settings, prefix, client, signer)
    with store.explained("open", ""):
        if not client.bucket_exists(settings.bucket):
            _make_bucket(client, settings)
    return store


def _make_bucket(client: Minio, settings: MinioSettings) -> None:
    try:
        client.make_bucket(settings.bucket, location=settings.region)
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":  # another run was quicker
            raise


def _clock_is_off(error: S3Error) -> str | None:
    """Return in words by how much the clock that signs requests differs from the server's, if that is too much.

    An answer to HEAD has no body and so no reason: MinIO then says AccessDenied, whatever was wrong.
    """
    headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
    try:
        its_time = parsedate_to_datetime(headers["Date"])
    except (KeyError, ValueError, TypeError):
        its_time = None
    off_s = 0.0 if its_time is None else (signing.utcnow() - its_time).total_seconds()
    if abs(off_s) < _SKEW_S and error.code != "RequestTimeTooSkewed":
        return None
    by = f"{abs(off_s) / 60:,.0f} minutes {'ahead of' if off_s > 0 else 'behind'}" if off_s else "not that of"
    return (
        f"the clock of this machine is {by} the server's, and S3 takes no request that is signed 15 minutes off: set "
        "the clocks of both, such as by NTP"
    )


@dataclass(frozen=True)
class MinioStore:
    """An :class:`~serverless.storage.protocol.ObjectStore` in a bucket, under ``prefix``; safe to share by threads."""

    settings: MinioSettings
    prefix: str
    _client: Minio = field(repr=False)
    _signer: Minio = field(repr=False)

    def put(self, key: str, data: bytes) -> None:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        with self.explained("write", key):
            bucket, name = self.settings.bucket, self._name(key)
            with self._in_time():
                self._again(lambda: self._client.put_object(bucket, name, io.BytesIO(data), len(data)))

    def get(self, key: str) -> bytes:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        with self.explained("read", key):
            met: set[str] = set()
            return self._again(lambda: self._read(key, met))

    def stat(self, key: str) -> ObjectInfo:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        with self.explained("find", key):
            found = self._client.stat_object(self.settings.bucket, self._name(key))
            return ObjectInfo(key, found.size or 0)

    def list(self, prefix: str = "") -> tuple[ObjectInfo, ...]:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        own = f"{self.prefix}/"
        with self.explained("list", prefix):
            start = own + check_prefix(prefix)
            listed = list(self._client.list_objects(self.settings.bucket, prefix=start, recursive=True))
        found = [
            ObjectInfo(item.object_name.removeprefix(own), item.size or 0)
            for item in listed
            if item.object_name and not item.is_dir
        ]
        return tuple(sorted(found, key=lambda info: info.key))

    def delete_prefix(self, prefix: str = "") -> None:
        """See :class:`~serverless.storage.protocol.ObjectStore`."""
        doomed = [DeleteObject(self._name(info.key)) for info in self.list(prefix)]
        with self.explained("delete", prefix):
            errors = list(self._client.remove_objects(self.settings.bucket, doomed))
        if errors:
            raise StoreError(f"cannot delete {len(errors)} objects under {self._where(prefix)}: {errors[0].message}")

    def grant(self, key: str, verb: Verb, expires_s: int) -> str:
        """See :class:`~serverless.storage.protocol.ObjectStore`; signed here, without asking the server."""
        check_grant(verb, expires_s)
        with self.explained("grant", key):
            return self._signer.get_presigned_url(
                verb, self.settings.bucket, self._name(key), expires=timedelta(seconds=expires_s)
            )

    @contextmanager
    def explained(self, doing: str, key: str) -> Iterator[None]:
        """Turn what the SDK raises into a :class:`StoreError` that says where, and what to do."""
        try:
            yield
        except S3Error as error:
            if error.code in _MISSING:
                raise ObjectMissing(f"cannot {doing}: there is no object {self._where(key)}") from error
            if off := _clock_is_off(error):
                raise StoreError(f"cannot {doing} {self._where(key)}: {off} (the server says {error.code})") from error
            raise StoreError(
                f"cannot {doing} {self._where(key)}: the server says "
                f"{plain(f'{error.code}: {error.message}', 300)}. Check the "
                f"credentials in {self.settings.access_key_env} and {self.settings.secret_key_env}, and "
                f"store.bucket and store.region"
            ) from error
        except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise StoreError(
                f"cannot {doing} {self._where(key)}: {plain(str(error), 300)}. "
                f"Check that a server answers at store.endpoint="
                f"{self.settings.endpoint}, and store.secure, store.ca_file and store.bucket"
            ) from error

    def _again(self, action: Callable[[], T]) -> T:
        """Repeat what was interrupted or damaged in transfer; what the server refuses is final."""
        for attempt in range(self.settings.retries):
            try:
                return action()
            except urllib3.exceptions.MaxRetryError:
                raise
            except (S3Error, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, S3Error) and error.code not in _DAMAGED:
                    raise
            time.sleep(jittered_s(attempt + 1, BACKOFF_S))
        return action()

    def _read(self, key: str, met: set[str]) -> bytes:
        with self._in_time():
            answer = self._client.get_object(self.settings.bucket, self._name(key))
            try:
                refuse_encoded(answer.headers)
                data = bytes(answer.read(_MOST_BYTES + 1, decode_content=False))
            finally:
                answer.close()
                answer.release_conn()
        if len(data) > _MOST_BYTES:
            raise StoreError(f"{self._where(key)} is larger than {_MOST_BYTES} bytes: no object of a run is")
        if is_damaged(data, answer.headers.get("ETag", ""), met):
            raise urllib3.exceptions.ProtocolError("what came are not the bytes that the store names (ETag)")
        return data

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """End a request that the server keeps alive, a byte at a time, beyond all that its attempts may take."""
        settings = self.settings
        within_s = (settings.retries + 1) * (2 * settings.timeout_s + LONGEST_S)
        with Deadline(within_s) as deadline:
            yield
        if deadline.is_over:
            raise urllib3.exceptions.ProtocolError(f"the answer is not whole after {within_s:g} s")

    def _name(self, key: str) -> str:
        return f"{self.prefix}/{check_key(key)}"

    def _where(self, key: str) -> str:
        scheme = "https" if self.settings.secure else "http"
        return f"{scheme}://{self.settings.endpoint}/{self.settings.bucket}/{self.prefix}/{key}"
