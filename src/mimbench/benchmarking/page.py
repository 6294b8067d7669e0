"""Results as Markdown: docs/benchmarks.md, and what the command prints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_HEAD = """# Benchmarks

Made from `benchmarks/results/` by `mimbench bench report --results benchmarks/results --output docs/benchmarks.md`; the
results by `mimbench bench all --output benchmarks/results`. Candidates take turns, ours in one process, and ratios are
medians of a round's, so that what else the machine does meets all alike; absolute figures are those of the machine
named. A rate counts the operations of encoder and decoders, forward and backward, and no target; "utilisation" is its
share of the measured rate of square matrix products on the same device in the same precision, in the same minutes.
"""
_NO_GPU = """No GPU was at hand. On one, `mimbench bench all` measures the papers' sizes in bf16 with compiled blocks,
searches the batch, tells the allocator's peak and how often a step waits for the host, and compares gradient
checkpointing. These parts, and `make test-gpu`, were not run.
"""


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page, of results by the names of their files.

    Raises:
        ValueError: A file's name is not one of ours.
        KeyError: Its content is not.
    """
    order = list(SECTIONS)
    names = sorted(results, key=lambda name: (order.index(name.split("_")[0]), name))
    devices = {result["machine"]["device"] for result in results.values() if "machine" in result}
    head = [_HEAD] if devices - {"CPU"} else [_HEAD, _NO_GPU]
    return "\n".join([*head, *sections({name: results[name] for name in names})]).rstrip() + "\n"


def sections(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One section per result."""
    found = []
    for name, result in results.items():
        title, section = SECTIONS[name.split("_")[0]]
        words = result.get("words")
        command = f"`mimbench bench {name.split('_')[0]}{f' {words}' if words else ''}`"
        found.append(
            "\n".join([f"## {title}{_of(name)}", "", *section(result), "", f"{command}. {_machine(result)}", ""])
        )
    return found


def _of(name: str) -> str:
    kinds = {"vit": "ViT", "swin": "Swin", "base": "ViT-B/16", "large": "ViT-L/16", "deep": "deep ViTs"}
    suffix = name.partition("_")[2]
    return f": {kinds.get(suffix, suffix)}" if suffix else ""


def _step(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("run", "images/s", "GFLOP/image", "GFLOP/s", "of the first", "utilisation", "memory", "targets")
    rows = [
        (
            row["name"],
            f"{row['images_per_second']:.3g}",
            f"{row['flops_per_image'] / 1e9:.3g}",
            f"{row['flops_per_second'] / 1e9:.3g}",
            f"{row['flops_per_second_of_first']:.0%}",
            f"{row['mfu']:.0%}",
            f"{row['memory'] / 2**30:.2f} GiB",
            f"{row['targets_share']:.1%}",
        )
        for row in result["rows"]
    ]
    yield from _table(columns, rows)
    yield ""
    square = f"{result['matrix_flops_per_second'] / 1e9:.3g} GFLOP/s"
    yield (
        f'Batch {result["batch"]}, {result["precision"]}; square matrices: {square}. "Of the first": its FLOP/s over '
        'those of the first row. "Targets": their share of a step. '
        f"Memory: {_memory(result['rows'][0]['memory_kind'])}."
    )
    if (waits := [row["synchronisations"] for row in result["rows"]]) and None not in waits:
        yield f"Waits of the host in a step: {', '.join(map(str, waits))}."
    yield ""
    parts = list(result["rows"][0]["parts"])
    shares = [(row["name"], *(f"{row['parts'][part] * 1e3:.3g}" for part in parts)) for row in result["rows"]]
    yield from _table(("milliseconds", *parts), shares)
    if result["peers"]:
        yield ""
        yield (
            f"ViTMAEForPreTraining of transformers {result['transformers']} with the sizes, images and optimiser of "
            "the first row, and how many times as fast the first row is:"
        )
        yield ""
        peers = [(p["name"], f"{p['images_per_second']:.3g}", f"{p['times_as_fast']:.2f}") for p in result["peers"]]
        yield from _table(("ViTMAEForPreTraining", "images/s", "times as fast"), peers)
        if len(peers) > 1:
            yield ""
            yield "What separates the two are page faults, whose price changes with the state of the machine."


def _memory(kind: str) -> str:
    if kind == "peak":
        return "the allocator's peak"
    return "weights, gradients, moments and what the forward pass keeps for the backward pass"


def _data(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("run", "data", "loader images/s", "step images/s", "workers", "waiting", "")
    for_rows = [
        (
            row["name"],
            row["data"],
            f"{row['loader_images_per_second']:.0f}",
            f"{row['step_images_per_second']:.0f}",
            str(row["workers"]),
            f"{row['waiting_share']:.0%}",
            row["bound"],
        )
        for row in result["rows"]
    ]
    yield from _table(columns, for_rows)
    yield ""
    yield "Loader and step each alone. Without workers they take turns; with workers the slower one decides."


def _startup(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("process", "seconds to the first step", "seconds to the end", "CPU seconds")
    rows = [
        (
            row["name"],
            "" if row["first_step"] is None else f"{row['first_step']:.1f}",
            f"{row['seconds']:.1f}",
            f"{row['cpu_seconds']:.1f}",
        )
        for row in result["rows"]
    ]
    yield from _table(columns, rows)
    yield ""
    yield (
        f"From the start of the process. The last, `{result['run']}`, after its first optimiser step also validates "
        "and writes its checkpoint, weights and record."
    )


def _counts(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("run", "GFLOP/image", "of which targets", "operators per step")
    rows = [
        (name, f"{row['flops'] / 1e9:.4g}", f"{row['target_flops'] / 1e9:.3g}", str(row["operations"]))
        for name, row in result["rows"].items()
    ]
    yield from _table(columns, rows)
    yield ""
    yield (
        "Forward and backward, counted on the meta device. `tests/benchmarking` fails when a count rises 10 % above "
        "`benchmarks/counts.json`, which `mimbench bench counts --output benchmarks/counts.json` writes."
    )


def _compile(result: Mapping[str, Any]) -> Iterable[str]:
    rows = [
        (row["name"], str(row["blocks"]), f"{row['first_step_seconds']:.1f}", f"{row['times_as_fast']:.2f}")
        for row in result["rows"]
    ]
    yield from _table(("run", "blocks", "seconds of the first step", "times as fast then"), rows)


def _memory_table(result: Mapping[str, Any]) -> Iterable[str]:
    rows = [
        (
            row["name"],
            *(f"{row[f'{kind}_bytes'] / 2**30:.2f}" for kind in ("plain", "checkpointed")),
            *(f"{row[f'{kind}_seconds'] * 1e3:.3g}" for kind in ("plain", "checkpointed")),
        )
        for row in result["rows"]
    ]
    yield from _table(("run", "GiB", "GiB checkpointed", "ms", "ms checkpointed"), rows)
    yield ""
    yield f"Batch {result['batch']}."


SECTIONS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Iterable[str]]]] = {
    "step": ("Training steps", _step),
    "data": ("Loader against step", _data),
    "startup": ("Start-up", _startup),
    "counts": ("Operations per step", _counts),
    "compile": ("Compiled blocks", _compile),
    "memory": ("Gradient checkpointing", _memory_table),
}


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True))]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'|'.join(['-' * (widths[0] + 2), *('-' * (w + 1) + ':' for w in widths[1:])])}|"


def _machine(result: Mapping[str, Any]) -> str:
    if "machine" not in result:
        return "The same on every machine."
    m = result["machine"]
    clock = {"gpu": "the GPU's clock", "processor": "processor time of one thread", "wall": "time on the wall"}
    return (
        f"{m['date']}: {m['device'] if m['device'] != 'CPU' else m['processor']}, {m['cores']} cores, {m['threads']} "
        f"threads, {clock[m['clock']]}, load {m.get('load', '?')} at the start; torch {m['torch']}, timm {m['timm']}, "
        f"Python {m['python']}."
    )
