"""The LaTeX table fits a paper: few columns, the best in bold, caption, label, booktabs."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mimbench.reporting.collect import collect
from mimbench.reporting.render.latex import escape, latex
from mimbench.reporting.summary import summarize

MakeRun = Callable[..., Path]


def a_table(make_run: MakeRun, datasets: tuple[str, ...] = ("photos",), **settings: float) -> str:
    values = {"untrained": 0.3, "mae": 0.4, "mirl": 0.5} | settings
    for data in datasets:
        for method, knn in values.items():
            for seed in range(2):
                directory = make_run(method, seed, data=data, knn=knn + 0.01 * seed, sweep="first_look")
    return latex(summarize(collect(directory.parent)))


def body(text: str) -> list[list[str]]:
    """Headings and rows as cells."""
    inner = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0]
    return [line.removesuffix(" \\\\").split(" & ") for line in inner.splitlines() if "&" in line]


def test_columns_are_the_methods_their_results_and_their_cost(make_run: MakeRun) -> None:
    text = a_table(make_run)
    assert body(text) == [
        ["method", "kNN", "linear", "FLOPs"],
        ["untrained", r"30.5 $\pm$ 0.7", r"50.0 $\pm$ 0.0", "0"],
        ["MAE", r"40.5 $\pm$ 0.7", r"\textbf{50.0 $\pm$ 0.0}", r"$2 \times 10^{13}$"],
        ["MIRL", r"\textbf{50.5 $\pm$ 0.7}", r"\textbf{50.0 $\pm$ 0.0}", r"$2 \times 10^{13}$"],
    ]
    assert r"\begin{tabular}{lrrr}" in text
    assert "resizebox" not in text


def test_columns_can_be_chosen_by_title_name_or_family(make_run: MakeRun) -> None:
    for method in ("untrained", "mae"):
        run = make_run(method, 0, knn=0.5, linear=0.6)
    summaries = summarize(collect(run.parent))
    for asked, headings in {
        ("linear", "minutes"): ["method", "linear", "minutes"],
        ("KNN-v1", "kNN", "hours"): ["method", "kNN", "device hours"],
        ("flops", "knn"): ["method", "FLOPs", "kNN"],
    }.items():
        text = latex(summaries, asked)
        assert body(text)[0] == headings
        assert {len(row) for row in body(text)} == {len(headings)}
    assert body(latex(summaries, ["linear"]))[2] == ["MAE", "\\textbf{60.0}"]
    with pytest.raises(
        ValueError, match=r"no column 'knnn'\. Did you mean knn.*Choose from knn-v1, linear-v1, published"
    ):
        latex(summaries, ["knnn"])


def test_what_all_rows_share_is_in_the_caption_and_what_differs_is_a_column(make_run: MakeRun) -> None:
    one, two = a_table(make_run), a_table(make_run, ("photos", "digits"))
    assert "(photos, vit\\_demo, depth 4): mean $\\pm$ standard deviation over 2 seeds." in one
    assert "(vit\\_demo, depth 4)" in two
    assert body(two)[0][0] == "data"
    assert two.count("\\addlinespace") == 1


def test_the_environment_has_a_caption_a_label_and_the_rules_of_booktabs(make_run: MakeRun) -> None:
    text = a_table(make_run)
    order = ["booktabs", "\\begin{table}", "\\caption{", "\\label{tab:first-look}", "\\begin{tabular}"]
    order += ["\\toprule", "\\midrule", "\\bottomrule", "\\end{tabular}", "\\end{table}"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "\\hline" not in text


def test_no_method_below_the_untrained_encoder_is_bold(make_run: MakeRun) -> None:
    rows = {row[0]: row[1] for row in body(a_table(make_run, untrained=0.9))}
    assert not any("textbf" in cell for cell in rows.values())


def test_rows_with_fewer_seeds_say_so(make_run: MakeRun) -> None:
    make_run("deepmim", 0)
    text = a_table(make_run)
    assert "over $n$ seeds" in text
    rows = {row[0]: row[1] for row in body(text)}
    assert rows["DeepMIM"] == "40.0 (n=1)"
    assert rows["MAE"] == r"40.5 $\pm$ 0.7 (n=2)"


def test_names_cannot_contain_commands() -> None:
    assert escape("a\\input{x}_%&#$^~\nb") == (
        "a\\textbackslash{}input\\{x\\}\\_\\%\\&\\#\\$\\textasciicircum{}\\textasciitilde{} b"
    )


def test_braces_and_environments_match_and_every_row_has_all_cells(make_run: MakeRun) -> None:
    text = a_table(make_run, ("photos", "digits"))
    plain = re.sub(r"\\[{}]", "", text)
    assert plain.count("{") == plain.count("}")
    assert {len(row) for row in body(text)} == {5}
    assert text.count("$") % 2 == 0


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(make_run: MakeRun, tmp_path: Path) -> None:
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "paper.tex").write_text(head + a_table(make_run, ("photos", "digits")) + "\\end{document}\n")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
