"""Which object store this copy of the functions was deployed for: they read and write nowhere else.

Whoever can call a function chooses the URLs in its parameters. So the limit is no parameter: it is deployed with the
code. :mod:`serverless.platforms.function_zip` writes it. A copy without it refuses every URL.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

STORE = "store.txt"  # beside __main__.py: file:///FOLDER, or http(s)://HOST:PORT
_PACKAGE = Path(__file__).resolve().parents[2]
_of_this_process: list[str | None] = [None]


def limit_to(store: str | None) -> None:
    """Deploy the functions of this process for a store: for platforms that run them in it, and unpack no code."""
    _of_this_process[:] = [store]


def deployed_store() -> str | None:
    """Return the address of the store that the functions were deployed for; ``None`` if none is named."""
    file = _PACKAGE / STORE
    if file.is_file():
        return file.read_text(encoding="utf-8").strip()
    return _of_this_process[0]


def refusal(url: str) -> str | None:
    """Return why a function may not follow ``url``; ``None`` if it may.

    Scheme, host and port must be the store's. A file must lie below its folder, wherever symbolic links lead.

    Examples
    --------
    >>> refusal("http://127.0.0.1:9000/bucket/object")  # in a checkout of the project, which was deployed for none
    'refused: the function was deployed without the address of its object store'
    """
    store = deployed_store()
    if store is None:
        return "refused: the function was deployed without the address of its object store"
    if store.startswith("file:"):
        allowed = _is_below(url, local_path(store))
    else:  # whatever else a URL can hold comes after this, so that no two readers of it can see two hosts
        allowed = url.lower().startswith(f"{store.lower().rstrip('/')}/")
    return None if allowed else f"refused: the function was deployed for the object store {store} alone"


def local_path(url: str) -> Path | None:
    """Return the file behind a ``file://`` URL of this machine; ``None`` for every other URL."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(url2pathname(parts.path))


def _is_below(url: str, root: Path | None) -> bool:
    path = local_path(url)
    return path is not None and root is not None and path.resolve().is_relative_to(root.resolve())
