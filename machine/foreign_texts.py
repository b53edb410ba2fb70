"""Texts from outside (errors, answers, platforms' words) before anybody shows or stores them."""

from __future__ import annotations

import re

MOST_CHARACTERS = 2000  # of a text that is kept
_REPLACED = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 (left out)"),
    (re.compile(r"(?<=://)[^\s/@'\"<>]+@"), "(left out)@"),
    (re.compile(r"\?[\w.~%\[\]-]+=[^\s'\"<>)]*"), "?(left out)"),
    (re.compile(r"(?i)\b(x-(?:amz|goog)-(?:signature|credential|security-token)=)[^\s&'\"<>)]+"), r"\1(left out)"),
)


def plain(text: str, most: int = MOST_CHARACTERS) -> str:
    """Return a text that any file, table and terminal takes, with at most ``most`` characters, and without secrets.

    Queries of URLs go, because a signature may be in them; so do credentials in URLs and in ``Authorization``. What has
    no encoding (a lone surrogate) and what a terminal obeys (control characters but tab and line feed) is spelt out.

    Examples
    --------
    >>> plain("cannot PUT https://me:pw@store/x?X-Goog-Signature=ab12: no answer")
    'cannot PUT https://(left out)@store/x?(left out) no answer'
    >>> plain(chr(0xD800) + chr(27) + "[2J")
    '\\\\ud800\\\\x1b[2J'
    """
    text = text[: 4 * most]  # a huge one is not searched to its end
    for pattern, instead in _REPLACED:
        text = pattern.sub(instead, text)
    spelt = text.encode("utf-8", "backslashreplace").decode("utf-8")
    shown = "".join(
        it if it in "\t\n" or it.isprintable() or (it.isspace() and ord(it) > 159) else _spelt(it) for it in spelt
    )
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
