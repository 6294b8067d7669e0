"""Results as Markdown, for docs/about/benchmarks.md and the output of `mimbench bench`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_HEAD = """# Benchmarks

Generated from `benchmarks/results/` by
`mimbench bench report --results benchmarks/results --output docs/about/benchmarks.md`; the results are written by
`mimbench bench all --output benchmarks/results`. The candidates of a comparison run in turns, those of mimbench in one
process, and ratios are medians over rounds, so that other load on the machine affects all candidates equally. Absolute
figures hold for the machine named. Rates count the operations of encoder and decoders, forward and backward, without
targets. "Utilization" is the rate divided by the rate of square matrix products, measured within the same minutes on
the same device in the same precision.
"""
_NO_GPU = """No GPU was available. On a GPU, `mimbench bench all` measures the papers' sizes in bf16 with compiled
blocks, searches the fastest batch, reports the allocator's peak and how often the host waits for the GPU in a step, and
compares gradient checkpointing. These parts, and `make test-gpu`, were not run.
"""


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page.

    Args:
        results: By the names of their files without extension, such as `step_vit`.

    Raises:
        ValueError: A name does not start with a key of `SECTIONS`.
        KeyError: A result lacks a key.
    """
    order = list(SECTIONS)
    names = sorted(results, key=lambda name: (order.index(_kind(name)), name))
    devices = {result["machine"]["device"] for result in results.values() if "machine" in result}
    head = [_HEAD] if devices - {"CPU"} else [_HEAD, _NO_GPU]
    return "\n".join([*head, *sections({name: results[name] for name in names})]).rstrip() + "\n"


def sections(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One section per result; names as in `page`."""
    texts = []
    for name, result in results.items():
        title, section = SECTIONS[_kind(name)]
        arguments = result.get("arguments")
        command = f"`mimbench bench {_kind(name)}{f' {arguments}' if arguments else ''}`"
        texts.append(
            "\n".join([f"## {title}{_suffix(name)}", "", *section(result), "", f"{command}. {_machine(result)}", ""])
        )
    return texts


def _kind(name: str) -> str:
    return name.partition("_")[0]


def _suffix(name: str) -> str:
    """The models in the title of a section, `: ViT` for `step_vit`."""
    models = {"vit": "ViT", "swin": "Swin", "base": "ViT-B/16", "large": "ViT-L/16", "deep": "deep ViTs"}
    suffix = name.partition("_")[2]
    return f": {models.get(suffix, suffix)}" if suffix else ""


def _step(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("run", "images/s", "GFLOP/image", "GFLOP/s", "of the first", "utilization", "memory", "targets")
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
        f'Batch {result["batch"]}, {result["precision"]}; square matrices: {square}. "Of the first": FLOP/s relative '
        'to the first row. "Targets": their share of the time of a step. '
        f"Memory: {_memory(result['rows'][0]['memory_kind'])}."
    )
    if (waits := [row["synchronizations"] for row in result["rows"]]) and None not in waits:
        yield f"Number of times that the host waits for the GPU in a step: {', '.join(map(str, waits))}."
    yield ""
    parts = list(result["rows"][0]["parts"])
    shares = [(row["name"], *(f"{row['parts'][part] * 1e3:.3g}" for part in parts)) for row in result["rows"]]
    yield from _table(("milliseconds", *parts), shares)
    if result["baselines"]:
        yield ""
        yield (
            f"ViTMAEForPreTraining of transformers {result['transformers']} with the sizes, images and optimizer of "
            "the first row, and the speed of the first row relative to it:"
        )
        yield ""
        baselines = [(b["name"], f"{b['images_per_second']:.3g}", f"{b['speedup']:.2f}") for b in result["baselines"]]
        yield from _table(("ViTMAEForPreTraining", "images/s", "speedup"), baselines)
        if len(baselines) > 1:
            yield ""
            yield "The two differ in page faults, whose cost depends on the state of the machine."


def _memory(kind: str) -> str:
    if kind == "peak":
        return "the allocator's peak"
    return "weights, gradients, optimizer moments and tensors that the forward pass saves for the backward pass"


def _data(result: Mapping[str, Any]) -> Iterable[str]:
    columns = ("run", "data", "loader images/s", "step images/s", "workers", "waiting", "")
    rows = [
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
    yield from _table(columns, rows)
    yield ""
    yield "Loader and step, each measured alone. Without workers they alternate; with workers the slower one decides."


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
        f"Measured from the start of the process. The last process, `{result['run']}`, also validates after its first "
        "optimizer step and writes its checkpoint, weights and record."
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
        (row["name"], str(row["blocks"]), f"{row['first_step_seconds']:.1f}", f"{row['speedup']:.2f}")
        for row in result["rows"]
    ]
    yield from _table(("run", "blocks", "seconds of the first step", "speedup afterwards"), rows)


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
    clock = {"gpu": "the GPU's clock", "processor": "processor time of one thread", "wall": "wall time"}
    return (
        f"{m['date']}: {m['device'] if m['device'] != 'CPU' else m['processor']}, {m['cores']} cores, {m['threads']} "
        f"threads, {clock[m['clock']]}, load {m.get('load', '?')} at the start; torch {m['torch']}, timm {m['timm']}, "
        f"Python {m['python']}."
    )
