"""The comparison table for a paper."""

import pandas as pd

from mimbench.reporting import numbers, tables
from mimbench.reporting.summary import Summary, num_comparisons

_SYMBOLS = {
    "±": r"$\pm$",
    "▲": r"$\blacktriangle$",
    "▼": r"$\blacktriangledown$",
    "≈": r"$\approx$",
    "†": r"\dag{}",
    "–": "--",
    "·": r"$\cdot$",
    "×": r"$\times$",
}
_LEFT_OUT = ("images/s", "device-hours", "not finished")
_HEAD = "% Needs \\usepackage{booktabs,amssymb,graphicx}.\n"


def latex(summaries: list[Summary]) -> str:
    """A `table` with booktabs rules, as wide as the text; ends with a newline."""
    rows = tables.rows(summaries)
    table = pd.DataFrame([{name: text for name, text in row.items() if name not in _LEFT_OUT} for row in rows])
    body = _symbols(table.to_latex(index=False, escape=True))
    caption = _symbols(_escaped(f"{numbers.LEGEND} {num_comparisons(summaries)} comparisons."))
    published = [_symbols(_escaped(f"{mark} {origin}.")) for origin, mark in tables.sources(summaries).items()]
    note = " Published numbers are the papers', not ours: " + " ".join(published) if published else ""
    return (
        f"{_HEAD}\\begin{{table}}\n\\centering\n\\caption{{{caption}{note}}}\n"
        f"\\resizebox{{\\textwidth}}{{!}}{{%\n{body.rstrip()}\n}}\n\\end{{table}}\n"
    )


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "&%$#_{}" else character for character in text)


def _symbols(text: str) -> str:
    for symbol, command in _SYMBOLS.items():
        text = text.replace(symbol, command)
    return text
