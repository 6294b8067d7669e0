"""The comparison table as LaTeX."""

import pandas as pd

from mimbench.reporting.render import formatting, tables
from mimbench.reporting.summary import Summary, num_comparisons

_SYMBOLS = {
    "±": r"$\pm$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "≈": r"$\approx$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "–": "--",
    "·": r"$\cdot$",
    "×": r"$\times$",
}
_LEFT_OUT = (tables.IMAGES_PER_SECOND, tables.DEVICE_HOURS, tables.NOT_FINISHED)
_HEAD = "% Needs \\usepackage{booktabs,amssymb,graphicx}.\n"


def latex(summaries: list[Summary]) -> str:
    """A `table` with booktabs rules, as wide as the text; ends with a newline."""
    rows = tables.rows(summaries)
    table = pd.DataFrame([{name: text for name, text in row.items() if name not in _LEFT_OUT} for row in rows])
    body = _replace_symbols(table.to_latex(index=False, escape=True))
    caption = _replace_symbols(_escape(f"{formatting.LEGEND} {num_comparisons(summaries)} comparisons."))
    published = [_replace_symbols(_escape(f"{mark} {origin}.")) for origin, mark in tables.sources(summaries).items()]
    note = " Published numbers are from the papers: " + " ".join(published) if published else ""
    return (
        f"{_HEAD}\\begin{{table}}\n\\centering\n\\caption{{{caption}{note}}}\n"
        f"\\resizebox{{\\textwidth}}{{!}}{{%\n{body.rstrip()}\n}}\n\\end{{table}}\n"
    )


def _escape(text: str) -> str:
    return "".join(f"\\{character}" if character in "&%$#_{}" else character for character in text)


def _replace_symbols(text: str) -> str:
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    return text
