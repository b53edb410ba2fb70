"""The second program of a Google Cloud Functions instance: ``functions-framework``, closed to requests without token.

Every user of this machine can reach the instance's port, but only our server may use it. The token comes on the
standard input. Started as a script by its path, ``python -P guard.py``, in the function's interpreter: a function may
bring its own packages ``serverless`` and ``machine``.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

_HEADER = "HTTP_X_CONTAINER_TOKEN"  # of machine.handover, in the words of WSGI
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(application: Wsgi, token: str) -> Wsgi:
    """Return an application that answers 403 to a request without ``token``, before its body is read."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if hmac.compare_digest(environ.pop(_HEADER, "").encode(), token.encode()):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Length", "0"), ("Connection", "close")])
        return []

    return answer


def main() -> None:
    """Become the framework, as its command line would."""
    token = sys.stdin.read()
    if not token:
        sys.exit("this instance was given no token on its standard input")
    framework: Any = import_module("functions_framework._cli")
    create_app = framework.create_app

    def create_guarded(*choices: Any) -> Any:
        app = create_app(*choices)
        app.wsgi_app = guarded(app.wsgi_app, token)
        return app

    framework.create_app = create_guarded
    framework._cli(prog_name="functions_framework")


if __name__ == "__main__":
    main()
