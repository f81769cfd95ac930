"""Draws the biggest pages as an SVG bar chart: one self-contained file, no script, no outside font."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, MARGIN, HEAD, ROW, FOOT = 760, 28, 86, 30, 46  # pixels
LABELS, VALUES = 150, 84  # room left and right of the bars
LONGEST_LABEL = 19  # characters
INK, FAINT, GRID, BAR, BIGGEST_BAR = "#1b2733", "#66788a", "#e3e9ef", "#7fb2dd", "#1f6fb2"
FONT = "ui-sans-serif, system-ui, 'Helvetica Neue', Arial, sans-serif"


def bar_chart(title: str, subtitle: str, bars: Sequence[tuple[str, int]], footer: str) -> str:
    """An SVG document with one horizontal bar per `(name, bytes)`, drawn in the given order."""
    height = HEAD + ROW * max(len(bars), 1) + FOOT
    longest = max((size for _, size in bars), default=0) or 1
    rows = [_bar(index, name, size, longest) for index, (name, size) in enumerate(bars)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" font-family="{FONT}" role="img" aria-labelledby="title">',
            f'<title id="title">{escape(title)}</title>',
            f'<rect width="{WIDTH}" height="{height}" rx="12" fill="#ffffff"/>',
            _text(MARGIN, 40, title, size=21, fill=INK, weight=600),
            _text(MARGIN, 63, subtitle, size=13, fill=FAINT),
            *_grid(height),
            *(rows or [_text(MARGIN, HEAD + 20, "No page could be read.", size=13, fill=FAINT)]),
            _text(MARGIN, height - 18, footer, size=11, fill=FAINT),
            "</svg>\n",
        ]
    )


def _bar(index: int, name: str, size: int, longest: int) -> str:
    top = HEAD + ROW * index
    left = MARGIN + LABELS
    length = max(round(_room() * size / longest, 1), 1)
    fill = BIGGEST_BAR if index == 0 else BAR
    return "".join(
        [
            f"<g><title>{escape(name)}: {size:,} bytes</title>",
            _text(left - 10, top + 19, _short(name), size=13, fill=INK, anchor="end"),
            f'<rect x="{left}" y="{top + 5}" width="{length}" height="{ROW - 10}" rx="3" fill="{fill}"/>',
            _text(left + length + 8, top + 19, _readable(size), size=12, fill=FAINT),
            "</g>",
        ]
    )


def _grid(height: int) -> list[str]:
    quarters = [round(MARGIN + LABELS + _room() * part / 4) + 0.5 for part in range(5)]
    return [f'<line x1="{x}" y1="{HEAD - 4}" x2="{x}" y2="{height - FOOT + 4}" stroke="{GRID}"/>' for x in quarters]


def _text(x: float, y: float, text: str, *, size: int, fill: str, weight: int = 400, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _readable(size: int) -> str:
    return f"{size / 1_000_000:.2f} MB" if size >= 1_000_000 else f"{size / 1000:.1f} kB"


def _room() -> int:
    return WIDTH - 2 * MARGIN - LABELS - VALUES
