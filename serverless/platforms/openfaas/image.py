"""Writes what ``docker build`` needs for a function's image: OpenFaaS runs images, and cannot be sent code.

``python -m serverless.platforms.openfaas.image client build/client --store http://HOST:PORT``, and then
``docker build -t NAME build/client``.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from pathlib import Path
from typing import get_args

from serverless.platforms.function_zip import package, requirements
from task.models import EngineName

WATCHDOG = "ghcr.io/openfaas/of-watchdog:0.11.5"
_DOCKERFILE = f"""FROM {WATCHDOG} AS watchdog
FROM python:3.{sys.version_info.minor}-slim-bookworm
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN useradd --create-home app
WORKDIR /home/app
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
USER app
ENV mode=http fprocess="python __main__.py" http_upstream_url=http://127.0.0.1:5000 ready_path=/ready
HEALTHCHECK --interval=5s CMD [ -e /tmp/.lock ] || exit 1
CMD ["fwatchdog"]
"""


def write_context(function: str, folder: Path, engine: EngineName, store: str, trusted: Path | None = None) -> None:
    """Write the function's code, its requirements and a Dockerfile into a new folder.

    Parameters
    ----------
    function
        ``client`` or ``aggregator``.
    engine, store, trusted
        See :func:`serverless.platforms.function_zip.package`.

    Raises
    ------
    FileExistsError
        If there is something at ``folder``.
    """
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(package(f"openfaas/{function}", trusted, engine, store=store))) as archive:
        archive.extractall(folder)
    (folder / "requirements.txt").write_text(requirements(), encoding="utf-8")
    (folder / "Dockerfile").write_text(_DOCKERFILE, encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Write a build context."""
    parser = argparse.ArgumentParser(prog="python -m serverless.platforms.openfaas.image")
    parser.add_argument("function", choices=("client", "aggregator"))
    parser.add_argument("folder", type=Path, help="where to write; must not exist yet")
    parser.add_argument(
        "--engine", choices=get_args(EngineName), default="tensorflow", help="what a cold start imports"
    )
    parser.add_argument(
        "--store",
        required=True,
        help="object store as the functions reach it, the only one that they may: http://HOST:PORT",
    )
    parser.add_argument("--trusted", type=Path, help="PEM file of the authority of the object store")
    options = parser.parse_args(arguments)
    try:
        write_context(options.function, options.folder, options.engine, options.store, options.trusted)
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
