"""A refusal of a request, as OpenWhisk words it."""

from __future__ import annotations


class ApiError(Exception):
    """Ends a request with ``status`` and OpenWhisk's error body.

    Parameters
    ----------
    status
        The HTTP status.
    message
        The ``error`` field of the body.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
