"""What any picture of ours needs: a page measured in inches, fonts that have the letters, a file that is whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..utils.errors import UsageError
from ..utils.files import atomic_write

WIDTH, DPI = 12.0, 144
"""Inches, and dots in each."""

INK, MUTED, GRID = "#1a1a1a", "#555555", "#dddddd"
"""Colours of text, of what is said beside it, and of lines behind it."""

STYLE = {
    "font.size": 9,
    "axes.edgecolor": "#999999",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "xtick.labelsize": 8,
    "ytick.labelsize": 9,
    "figure.dpi": DPI,
    "svg.hashsalt": "imbalance-trainer",
}
"""Settings of matplotlib that do not depend on the user's."""

# DejaVu Sans, which matplotlib brings, has no Chinese, Japanese or Korean: these are asked where they are installed.
_MORE_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "Yu Gothic",
    "Microsoft YaHei",
    "Arial Unicode MS",
)


def draw(figure: Callable[[], Any], path: str | Path) -> Path:
    """Draw in our style, whatever the user's is, and write the file, which appears whole or not at all.

    Args:
        figure: makes the figure.
        path: its suffix says the format, png where it has none.

    Returns:
        The path.

    Raises:
        UsageError: matplotlib is missing, a format that it does not write, or a file that cannot be written.
    """
    path = Path(path)
    try:
        import matplotlib.style
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise UsageError("A picture needs matplotlib: pip install matplotlib") from None
    format_ = path.suffix[1:].lower() or "png"
    known = FigureCanvasAgg.get_supported_filetypes()
    if format_ not in known:
        raise UsageError(f"{path}: no picture format {format_!r}; expected one of {', '.join(sorted(known))}.")
    with matplotlib.style.context(["default", {**STYLE, "font.family": fonts()}]):
        save_figure(figure(), path, format_)
    return path


def save_figure(figure: Any, path: Path, format_: str) -> None:
    """Write a figure beside its path and move it there: it appears whole or not at all."""
    try:
        with atomic_write(path) as unfinished:
            figure.savefig(unfinished, format=format_)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error}).") from None


class Page:
    """A figure measured in inches from its top left corner."""

    def __init__(self, height: float) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.height = height
        self.figure = Figure(figsize=(WIDTH, height))
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        self._probe = self.figure.text(0, 0, "", parse_math=False, visible=True)

    def axes(self, left: float, top: float, width: float, height: float, **settings: Any) -> Any:
        """A panel."""
        box = (left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(box, **settings)

    def text(self, x: float, y: float, text: str, **settings: Any) -> Any:
        """A text, taken as it is."""
        settings = {"color": INK, "parse_math": False, **settings}
        return self.figure.text(x / WIDTH, 1 - y / self.height, text, **settings)

    def head(self, left: float, top: float, title: str, *below: str) -> None:
        """A panel's title and up to two lines under it, all of them above `top`."""
        for line, text in enumerate((title, *below)):
            y = top - 0.5 + 0.17 * line + (2 - len(below)) * 0.17
            settings = {"size": 10, "weight": "bold"} if line == 0 else {"size": 8, "color": MUTED}
            self.text(left, y, text, **settings)

    def width_of(self, text: str, size: float = 9) -> float:
        """Inches that a text is wide."""
        self._probe.set(text=text, size=size)
        width = self._probe.get_window_extent(self.renderer).width / DPI
        self._probe.set_text("")
        return width


def fonts() -> list[str]:
    """Fonts to take letters from, first the one that matplotlib brings."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _MORE_FONTS if name in installed)]


def printable(name: str, otherwise: Any) -> str:
    """The name where the fonts have its letters, else the name that its metrics have."""
    import matplotlib
    from matplotlib.font_manager import FontProperties, findfont, get_font

    name = " ".join(name.split())
    fonts = [get_font(findfont(FontProperties(family=f))) for f in matplotlib.rcParams["font.family"]]
    drawn = all(any(font.get_char_index(ord(letter)) for font in fonts) for letter in set(name))
    return name if drawn else otherwise()
