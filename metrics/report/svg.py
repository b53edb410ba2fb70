"""Pictures of Matplotlib as parts of a page: small, with names of their own, in colours that follow the page's."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable

_COLOUR = re.compile(r"(?<=fill: |roke: )#([0-9a-f]{6})")
_NAMED = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_HEAD = re.compile(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"')
_GREY = 0.12  # saturation, below which a colour is a grey
_DARKEST, _RANGE = 0.11, 0.82  # lightness of white paper in the dark, and from there to ink
_LIGHT_ENOUGH, _MILDER = 0.58, 0.75  # lightness, and a share of the saturation, of other colours in the dark


def embed(picture: str, name: str) -> str:
    """Return an SVG file as an element of a page.

    Parameters
    ----------
    name
        Goes before the names in the picture, so that those of two pictures differ. Colours become variables of CSS.
    """
    element = _HEAD.sub("", picture[picture.index("<svg") :])
    element = _SIZE.sub(r"\1", element, count=1)
    element = _NAMED.sub(rf"\g<1>{name}-", element)
    return re.sub(r"\s*\n\s*", " ", _COLOUR.sub(r"var(--c\1)", element)).replace("> <", "><").strip()


def colours(elements: Iterable[str]) -> dict[str, str]:
    """Return the colours of embedded pictures, each with the one in its place on dark paper."""
    found = sorted({name for element in elements for name in re.findall(r"var\(--c([0-9a-f]{6})\)", element)})
    return {name: in_the_dark(name) for name in found}


def in_the_dark(colour: str) -> str:
    """Return a colour for dark paper: greys are turned around, other colours become light enough to be seen.

    Examples
    --------
    >>> in_the_dark("ffffff"), in_the_dark("000000"), in_the_dark("332288")
    ('1c1c1c', 'ededed', '7464c4')
    """
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    if saturation < _GREY:
        lightness = _DARKEST + _RANGE * (1 - lightness)
    else:
        lightness, saturation = max(lightness, _LIGHT_ENOUGH), _MILDER * saturation
    return "".join(f"{round(part * 255):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))
