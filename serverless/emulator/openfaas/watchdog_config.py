"""What the watchdog of an OpenFaaS container reads from its environment; names and defaults are of-watchdog's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT_TIMEOUT_S = 30.0
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{0,9})?)(h|ms|us|µs|ns|m|s)")


def duration_s(text: str, default_s: float = _DEFAULT_TIMEOUT_S) -> float:
    """Read a duration as Go writes it, or whole seconds; anything else is the default.

    Examples
    --------
    >>> duration_s("90"), duration_s("1m30s"), duration_s("500ms"), duration_s("soon")
    (90.0, 90.0, 0.5, 30.0)
    """
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return default_s
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


@dataclass(frozen=True)
class Config:
    """What of-watchdog reads from its environment; seconds, 0 is no limit."""

    fprocess: str
    upstream: str
    exec_timeout_s: float = _DEFAULT_TIMEOUT_S
    max_inflight: int = 0
    ready_path: str = ""
    buffers_body: bool = False
    suppress_lock: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Config:
        """Read the environment.

        Raises
        ------
        ValueError
            If there is no process to start, no upstream, or a mode that is not served here.
        """
        fprocess = environ.get("function_process", environ.get("fprocess", ""))
        upstream = environ.get("http_upstream_url", environ.get("upstream_url", ""))
        if environ.get("mode") != "http":
            raise ValueError("this watchdog serves mode=http only")
        if not fprocess:
            raise ValueError('provide a "function_process" or "fprocess" environmental variable for your function')
        if not upstream:
            raise ValueError('For "mode=http" you must specify a valid URL for "http_upstream_url"')
        inflight = environ.get("max_inflight", "0")
        return cls(
            fprocess=fprocess,
            upstream=upstream,
            exec_timeout_s=duration_s(environ.get("exec_timeout", "")),
            max_inflight=int(inflight) if inflight.isdecimal() else 0,
            ready_path=environ.get("ready_path", ""),
            buffers_body=environ.get("http_buffer_req_body", environ.get("buffer_http")) in ("true", "1"),
            suppress_lock=environ.get("suppress_lock") in ("true", "1"),
        )
