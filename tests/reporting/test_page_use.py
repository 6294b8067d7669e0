"""How the page is used: first screen, contents, keyboard, screen readers, filters and copies, and paper."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.render.sentences import answer
from mimbench.reporting.summary import summarize

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]
# Plotly may stop to adjust margins when all panels change their width at once; the tests look at the result.
REDRAWS = "WARN: Too many auto-margin redraws."
GAINS = {"untrained": 0.0, "mae": 0.08, "deepmim": 0.1, "localmim": 0.12, "mirl": 0.2}
PROTOCOLS = ("knn-v1", "linear-v1", "attentive-v1", "fewshot-v1", "finetune-v1")


@pytest.fixture(scope="module")
def sweep_dir(tmp_path_factory: pytest.TempPathFactory, make_runs_in: Callable[[Path], MakeRun]) -> Path:
    """Five methods under five protocols on three datasets: a wide table and more than 12 panels a figure."""
    make_run = make_runs_in(tmp_path_factory.mktemp("page"))
    rng = np.random.default_rng(1)
    losses = "step,metric,value\n" + "".join(f"{s},train/loss,{1 / (s + 1)}\n" for s in range(20))
    for data in ("photos", "digits", "shapes"):
        for method, gain in GAINS.items():
            for seed in range(2):
                results = {
                    name: {
                        "accuracy": 0.4 + gain + 0.004 * rng.normal() - 0.03 * (data == "digits") * number,
                        "num_test": 500,
                    }
                    for number, name in enumerate(PROTOCOLS)
                }
                directory = make_run(
                    method,
                    seed,
                    data=data,
                    metrics=results,
                    losses=losses if method != "untrained" else "",
                    cost={"training_flops": 1e13 * (1 + gain) * (gain > 0), "device_seconds": 900.0 * (gain > 0)},
                    environment={"device": "CPU, 2 cores"},
                )
    return directory.parent


@pytest.fixture(scope="module")
def report_page(sweep_dir: Path) -> Path:
    sweep = collect(sweep_dir)
    return report.write(sweep, summarize(sweep), sweep_dir / "report", draw=False)


@pytest.fixture
def page(browser: Any, report_page: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: message.text == REDRAWS or messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(report_page.as_uri())
    page.wait_for_function("() => document.querySelector('.plot[data-drawn]')")
    yield page
    context.close()
    assert messages == []


def toggle(page: Any, axis: str, value: str) -> None:
    page.click(f'#filters [data-axis="{axis}"] label:has(input[value="{value}"])')


def headline(page: Any) -> list[str]:
    return page.eval_on_selector_all("#headline .answer", "all => all.map((p) => p.textContent)")


def test_the_first_screen_has_the_answer_a_figure_and_the_cost(
    page: Any, screenshot: Callable[[Any, str], None]
) -> None:
    screenshot(page, "first")
    bottom = "(e) => e.getBoundingClientRect().bottom"
    for selector in ("#spent", "#headline", "#accuracy .plot", "#cost .plot"):
        assert page.eval_on_selector(selector, bottom) <= 800, selector
    assert page.inner_text("#spent") == "Pre-training took 6 CPU hours, 2 cores, in 24 runs."


def test_the_contents_lead_to_every_section(page: Any) -> None:
    links = page.eval_on_selector_all("#contents a", "all => all.map((a) => a.getAttribute('href').slice(1))")
    sections = page.eval_on_selector_all("main section", "all => all.filter((s) => !s.hidden).map((s) => s.id)")
    assert links == sections
    page.click('#contents a[href="#method"]')
    assert page.eval_on_selector("#method", "(e) => e.getBoundingClientRect().top") < 800


def test_the_headline_of_the_script_is_the_one_of_the_report(page: Any, sweep_dir: Path) -> None:
    written = answer(summarize(collect(sweep_dir)))
    assert headline(page) == written
    toggle(page, "method", "MIRL")
    assert headline(page) != written
    page.click("#reset")
    assert headline(page) == written


@pytest.mark.parametrize(("axis", "value", "pattern"), [("method", "MIRL", "mirl-*"), ("data", "photos", "*-photos-*")])
def test_headline_cards_and_copies_follow_the_filters(
    page: Any, sweep_dir: Path, axis: str, value: str, pattern: str, tmp_path: Path
) -> None:
    toggle(page, axis, value)
    # The same as in a sweep without these runs, but for noise, which counts the hidden comparisons, too.
    rest = tmp_path / "sweep"
    for run in sweep_dir.iterdir():
        if (run / "record.json").is_file() and not run.match(pattern):
            (rest / run.name).mkdir(parents=True)
            (rest / run.name / "record.json").write_bytes((run / "record.json").read_bytes())
    without_noise = re.compile(r"(, (beyond noise|its lead)[^;.]*)|( in \d of \d and| in \d of \d(?=\.))")
    expected = answer(summarize(collect(rest)))
    assert [s.split(",")[0] for s in headline(page)] == [s.split(",")[0] for s in expected]
    assert without_noise.search(expected[0])
    copied = page.evaluate("() => document.querySelectorAll('.comparison tbody tr:not([hidden])').length")
    with page.expect_download() as download:
        page.click('[data-save="csv"]')
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + copied
    hidden_name = {"MIRL": "mirl"}.get(value, value)
    assert not any(f",{hidden_name}," in f",{line}," for line in lines[1:])
    for kind in ("markdown", "latex"):
        text = copied_text(page, kind)
        rows = [line for line in text.splitlines() if re.match(r"\|? *(photos|digits|shapes)\b", line)]
        assert len(rows) == copied
        assert value not in text.partition("midrule")[2]
        if kind == "latex":
            assert text.count("\\textbf{") == {"method": 15, "data": 10}[axis]  # one per setting and protocol
    leaders = page.eval_on_selector_all(
        ".leader", "all => all.filter((e) => e.offsetParent).map((e) => e.querySelector('strong').textContent)"
    )
    assert set(leaders) == {"LocalMIM" if axis == "method" else "MIRL"}
    assert page.is_visible("#hidden-best") == (axis == "method")


def copied_text(page: Any, kind: str) -> str:
    page.evaluate("() => (document.execCommand = () => ((window.copied = document.activeElement.value), true))")
    page.click(f'[data-copy="{kind}"]')
    return page.evaluate("window.copied")


def test_tables_are_sorted_with_the_keyboard(page: Any) -> None:
    head = ".comparison thead th:nth-child(2)"
    assert page.eval_on_selector_all(".comparison thead th:not(:has(button))", "all => all.length") == 0
    page.focus(f"{head} button")
    for key, order in (("Enter", "descending"), ("Space", "ascending")):
        page.keyboard.press(key)
        assert page.get_attribute(head, "aria-sort") == order
        cells = page.eval_on_selector_all(
            ".comparison tbody td:nth-child(2)", "all => all.map((c) => Number(c.dataset.sort))"
        )
        assert cells == sorted(cells, reverse=order == "descending")
    assert page.eval_on_selector_all("th[aria-sort]", "all => all.length") == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "sort"


def test_figures_say_their_numbers_to_those_who_do_not_see_them(page: Any) -> None:
    plots = page.eval_on_selector_all(
        ".plot", "all => all.map((p) => [p.getAttribute('role'), p.getAttribute('aria-label')])"
    )
    assert plots
    assert all(role == "img" and label for role, label in plots)
    first = plots[0][1]
    row = page.eval_on_selector('tr[data-method="MIRL"][data-data="digits"] td:nth-child(2)', "c => c.dataset.sort")
    assert f"MIRL {100 * float(row):.4g} (" in first
    loss = page.get_attribute("#loss .plot", "aria-label")
    assert re.search(r"from 1 at 0 to 0\.05 at 19", loss)
    assert page.eval_on_selector_all("img:not([alt])", "all => all.length") == 0


def test_nothing_leads_out_of_the_page(page: Any) -> None:
    page.hover("#accuracy .plot")
    buttons = page.eval_on_selector_all(".modebar-btn", "all => all.map((b) => b.dataset.title)")
    assert set(buttons) == {"Download plot", "Zoom", "Pan", "Reset axes"}
    addresses = page.eval_on_selector_all("a[href], form, iframe", "all => all.map((a) => a.getAttribute('href'))")
    assert all(address.startswith("#") for address in addresses)
    policy = page.get_attribute('meta[http-equiv="Content-Security-Policy"]', "content")
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_paper_has_every_panel_with_a_legend_and_no_cut_column(
    page: Any, screenshot: Callable[[Any, str], None]
) -> None:
    panels = page.eval_on_selector_all(".plot", "all => all.length")
    text = page.pdf(prefer_css_page_size=True)
    assert set(re.findall(rb"/MediaBox *\[([^\]]*)\]", text)) == {b"0 0 841.91998 594.95996"}  # A4 landscape
    # While the paper was prepared, every panel was drawn, those behind "show all" too.
    assert page.eval_on_selector_all(".plot", "all => all.length") == panels
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1047, "height": 718})
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    everything = page.eval_on_selector_all(
        ".plot", "all => [all.length, all.filter((p) => p.querySelector('.main-svg')).length]"
    )
    assert everything[0] == everything[1] > panels
    for section in page.query_selector_all("section.figure"):
        assert section.query_selector(".key").is_visible()
        assert "LocalMIM" in section.query_selector(".key").inner_text()
    cut = """() => [...document.querySelectorAll('main table, .panel, .card, .plot')]
      .filter((e) => e.getBoundingClientRect().right > 1041).length"""
    assert page.evaluate(cut) == 0
    assert not page.is_visible("#filters")
    screenshot(page, "paper")
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.eval_on_selector_all(".plot", "all => all.length") == panels
    assert page.evaluate("document.querySelector('.comparison').style.zoom") == ""


def test_paper_is_light_in_the_dark_theme_too(page: Any) -> None:
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
