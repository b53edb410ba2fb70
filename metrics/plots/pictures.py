"""Figures written as pictures: laid out once, then drawn in each format."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from machine.files import write_whole

PNG, SVG = "png", "svg"
# What says when or by which version a picture was made, and is left out: equal tables give equal files.
_LEFT_OUT: dict[str, dict[str, str | None]] = {
    PNG: {"Software": None},
    "pdf": {"CreationDate": None},
    SVG: {"Date": None},
}
_PACKED = {"compress_level": 3}  # half the time of the default, and smaller files: few colours, large areas
FORMATS = tuple(_LEFT_OUT)
_DIGITS = 6  # of a position, as a share of the figure: below a hundredth of a pixel


_CANVAS: dict[str, type[FigureCanvasBase]] = {PNG: FigureCanvasAgg, "pdf": FigureCanvasPdf, SVG: FigureCanvasSVG}


def write_pictures(figure: Figure, pictures: Iterable[Path]) -> None:
    """Draw a figure into files, each whole or not at all; the suffix of each is one of :data:`FORMATS`."""
    FigureCanvasAgg(figure)
    _lay_out(figure)
    for picture in pictures:
        name = picture.suffix.removeprefix(".")
        # savefig would go through the figure twice, the first time for a layout that it has already
        write = getattr(_CANVAS[name](figure), f"print_{name}")
        drawn = io.BytesIO()
        write(drawn, metadata=_LEFT_OUT[name], **({"pil_kwargs": _PACKED} if name == PNG else {}))
        write_whole(picture, drawn.getvalue(), durable=False)


def _lay_out(figure: Figure) -> None:
    """Give the axes their places, once for all formats: it takes as long as drawing.

    The places are rounded, because the solver's last digits differ from one time to the next.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(_DIGITS)))
