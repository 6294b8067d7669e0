"""The results of a run in one line."""

from pathlib import Path

from mimbench.reporting.protocol_names import titles
from mimbench.runs.directory import RECORD
from mimbench.runs.records import headline, read


def format_scores(directory: Path) -> str:
    """The headline numbers of a run, such as "kNN 79.0 %, linear 81.2 %"; empty without results.

    Raises:
        ValueError: Its record cannot be read.
    """
    headlines = {name: headline(result) for name, result in read(directory / RECORD).metrics.items()}
    values = {name: number.value for name, number in headlines.items() if number is not None}
    return ", ".join(f"{title} {100 * values[name]:.1f} %" for name, title in titles(values).items())
