"""Results as Markdown."""

import json
from pathlib import Path

import pytest

from mimbench.benchmarking.markdown import page, sections
from mimbench.cli import main

ROOT = Path(__file__).parents[2]
ROW = {
    "name": "mae vit depth 2",
    "images_per_second": 100.0,
    "flops_per_image": 2e9,
    "flops_per_second": 2e11,
    "flops_per_second_of_first": 1.0,
    "mfu": 0.5,
    "memory": 2**31,
    "memory_kind": "peak",
    "targets_share": 0.031,
    "synchronizations": 0,
    "parts": {"mask": 0.001, "forward": 0.01},
}
STEP = {
    "arguments": "method=mae",
    "batch": 8,
    "precision": "32-true",
    "matrix_flops_per_second": 4e11,
    "rows": [ROW],
    "baselines": [{"name": "in a process of its own", "images_per_second": 80.0, "speedup": 1.25}],
    "transformers": "9.8",
    "machine": {
        "date": "2026-01-01",
        "processor": "Z80",
        "cores": 2,
        "threads": 1,
        "clock": "processor",
        "device": "CPU",
        "load": 0.1,
        "torch": "2",
        "timm": "1",
        "python": "3",
    },
}


def test_a_step_has_its_numbers_and_its_machine() -> None:
    [text] = sections({"step_vit": STEP})
    for word in (
        "100",
        "2.00 GiB",
        "50%",
        "3.1%",
        "process of its own |       80 |    1.25",
        "transformers 9.8",
        "Z80",
        "bench step method=mae",
        "ViT",
    ):
        assert word in text


def test_the_page_says_if_no_gpu_was_available() -> None:
    on_gpu = STEP | {"machine": STEP["machine"] | {"device": "NVIDIA H100"}}
    assert "No GPU was available" in page({"step_vit": STEP})
    assert "No GPU was available" not in page({"step_vit": STEP, "step_gpu": on_gpu})


def test_the_committed_page_is_made_from_the_committed_results() -> None:
    results = {path.stem: json.loads(path.read_text()) for path in (ROOT / "benchmarks" / "results").glob("*.json")}
    expected = page(results)
    assert (ROOT / "docs" / "about" / "benchmarks.md").read_text() == expected


def test_the_command_writes_what_it_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["method=mae", "data=digits", "encoder.depth=1", "method.dim=16", "method.num_blocks=1"]
    result = tmp_path / "step.json"
    assert main(["bench", "step", "--batch", "2", "--rounds", "1", "--output", str(result), *words]) == 0
    assert json.loads(result.read_text())["rows"][0]["name"] == "mae vit_micro depth 1"
    printed = capsys.readouterr().out
    assert main(["bench", "report", "--results", str(tmp_path)]) == 0
    assert printed.strip() in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["step", "method=untrained"], "has no training step"),
        (["step", "trainer.precision=64-true"], "trainer.precision is 64-true"),
        (["step", "--transformers", "method=mirl", "data=digits"], "make method=mae the first method"),
        (["memory"], "GPU"),
        (["all"], "--output DIR"),
        (["report", "--results", "nowhere"], "a folder of JSON"),
    ],
)
def test_errors_are_one_line(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words, "--device", "cpu"]) == 2
    printed = capsys.readouterr().err
    assert why in printed
    assert printed.count("\n") == 1
