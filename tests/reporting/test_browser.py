"""The page in a real browser: rendering, filters, a narrow screen and the dark theme."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimbench.reporting import report
from mimbench.reporting.collect import collect
from mimbench.reporting.summary import summarize

pytestmark = pytest.mark.browser
MakeRun = Callable[..., Path]
LOSSES = "step,metric,value\n" + "".join(
    f"{s},train/loss,{1 / (s + 1)}\n{s},val/loss,{1.1 / (s + 1)}\n{s},throughput,{400 + s % 7}\n" for s in range(60)
)
GAINS = {"untrained": 0.0, "mae": 0.08, "mirl": 0.14}


@pytest.fixture(scope="module")
def report_page(
    tmp_path_factory: pytest.TempPathFactory,
    make_runs_in: Callable[[Path], MakeRun],
    write_reconstructions: Callable[..., None],
) -> Path:
    """Three methods, two seeds, two depths of one dataset and one of another; one run failed."""
    make_run = make_runs_in(tmp_path_factory.mktemp("browser"))
    rng = np.random.default_rng(0)
    for data, depth in (("photos", 4), ("photos", 8), ("digits", 8)):
        for method, gain in GAINS.items():
            for seed in range(2):
                knn, linear = (0.3 + gain * depth / 6 + 0.01 * rng.normal() + add for add in (0, 0.1))
                right = rng.random(1000) < knn
                config = {"method": {"name": method}, "encoder": {"depth": depth}, "seed": seed, "same": 1}
                analysis = {"depths": [0, depth], "rank": [9.0, 12.0 + gain], "cka_to_last": [0.2, 1.0]}
                failed = (data, depth, method, seed) == ("digits", 8, "mae", 1)
                failure: dict[str, Any] = {"status": "failed", "error": {"type": "ValueError", "message": "NaN <b>"}}
                directory = make_run(
                    method,
                    seed,
                    data=data,
                    depth=depth,
                    knn=float(right.mean()),
                    linear=linear,
                    config=config,
                    correct={"knn-v1": right.tolist()},
                    losses=LOSSES if method != "untrained" else "",
                    analysis=analysis if data == "photos" else None,
                    cost={"training_flops": (1e13 + 1e14 * gain) * depth * (gain > 0)},
                    **(failure if failed else {}),
                )
                if method != "untrained":
                    write_reconstructions(directory, {f"depth{depth}": 120}, mask=seed, side=48, num_images=6)
    sweep = collect(directory.parent)
    return report.write(sweep, summarize(sweep), directory.parent / "report", draw=False)


@pytest.fixture
def opened(browser: Any, report_page: Path) -> Iterator[Callable[..., Any]]:
    """A function that opens the page; the test fails on console messages and on requests for other files."""
    messages: list[str] = []
    contexts = []

    def open_page(width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or messages.append(request.url))
        page.goto(report_page.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert messages == []


def draw(page: Any, sections: str = "section.figure") -> None:
    """Scrolls to every panel of these figures, which draws them."""
    plots = f"{sections} .plot"
    for plot in page.query_selector_all(plots):
        plot.scroll_into_view_if_needed()
    page.wait_for_function(
        "(plots) => [...document.querySelectorAll(plots)].every((plot) => plot.panel === null)", arg=plots
    )
    page.evaluate("window.scrollTo(0, 0)")


def visible(page: Any, selector: str) -> list[str]:
    return [element.inner_text() for element in page.query_selector_all(selector) if element.is_visible()]


def traces(page: Any, section: str) -> list[str]:
    """The names of all traces of a figure."""
    return page.evaluate(
        "(id) => [...document.querySelectorAll(`#${id} .plot`)].flatMap((p) => p.data.map((t) => t.name || ''))",
        section,
    )


def test_the_page_draws_every_figure(opened: Callable[..., Any], screenshot: Callable[[Any, str], None]):
    page = opened()
    assert "MIRL leads" in page.inner_text("#headline")
    draw(page)
    for section in ("accuracy", "cost", "depth", "layerwise", "loss", "throughput"):
        assert page.eval_on_selector_all(f"#{section} .main-svg", "elements => elements.length") > 0
    titles = visible(page, "#layerwise h3")
    for quantity in ("kNN", "linear", "rank", "CKA to the last depth"):
        assert f"photos · vit_demo · depth 8: {quantity}" in titles
    assert page.eval_on_selector_all(".strip img", "all => all.every((i) => i.complete && i.naturalWidth)")
    screenshot(page, "wide")


def test_filters_act_on_cards_tables_and_figures(opened: Callable[..., Any], screenshot: Callable[[Any, str], None]):
    page = opened()
    draw(page, "#cost")
    assert "MAE" in traces(page, "cost")
    for axis, value in (("method", "MAE"), ("data", "digits"), ("depth", "4")):
        page.click(f'#filters [data-axis="{axis}"] label:has(input[value="{value}"])')
    draw(page)
    names = visible(page, ".comparison tbody td.stick")
    assert [name.split("\n")[0] for name in names] == ["untrained", "MIRL"]
    assert all("photos" in name and name.endswith("8") for name in names)
    assert visible(page, ".card h3") == ["photos · vit_demo · depth 8"]
    assert visible(page, "#unfinished tbody tr") == []
    for section in ("accuracy", "cost", "layerwise", "loss"):
        assert "MAE" not in traces(page, section)
        assert "MIRL" in traces(page, section)
        assert all("photos" in title for title in visible(page, f"#{section} .panel h3"))
    screenshot(page, "filtered")
    page.click("#reset")
    draw(page, "#cost")
    assert len(visible(page, ".comparison tbody tr")) == 9
    assert "MAE" in traces(page, "cost")


def test_the_pareto_front_is_right_for_each_kind_of_cost(opened: Callable[..., Any]):
    page = opened()
    draw(page, "#cost")
    for cost in ("flops", "time"):
        page.click(f'#costs button[value="{cost}"]')
        draw(page, "#cost")
        for data in page.evaluate("() => [...document.querySelectorAll('#cost .plot')].map((plot) => plot.data)"):
            front, points = data[0], [(trace["x"][0], trace["y"][0]) for trace in data[1:]]
            assert front["name"] == "Pareto front"
            found = list(zip(front["x"], front["y"], strict=True))
            assert found == sorted(
                p for p in points if not any(q != p and q[0] <= p[0] and q[1] >= p[1] for q in points)
            )


def test_two_configurations_are_compared_key_by_key(opened: Callable[..., Any]):
    page = opened()
    page.select_option("#first", "mae-d4-photos-s0")
    page.select_option("#second", "mirl-d8-photos-s0")
    assert visible(page, "#differences tbody tr") == ["encoder.depth\t4\t8", "method.name\tmae\tmirl"]
    assert page.inner_text("#difference-count") == "2 of 4 keys differ."
    page.select_option("#second", "mae-d4-photos-s0")
    assert page.inner_text("#difference-count") == "The configurations are equal."


def test_a_click_on_a_column_sorts_by_it(opened: Callable[..., Any]):
    page = opened()
    page.click(".comparison thead th:nth-child(2) button")
    means = [float(text.split()[0]) for text in visible(page, ".comparison tbody td:nth-child(2)")]
    assert means == sorted(means, reverse=True)


def test_tables_can_be_taken_as_text(opened: Callable[..., Any]):
    page = opened()
    with page.expect_download() as download:
        page.click('[data-save="csv"]')
    assert Path(download.value.path()).read_text().startswith("data,encoder,depth,method")
    page.click('[data-copy="latex"]')
    page.wait_for_function("() => document.querySelector('[data-copy=\"latex\"]').textContent === 'copied'")


def test_failed_runs_show_their_error_as_text(opened: Callable[..., Any]):
    assert "ValueError: NaN <b>" in opened().inner_text("#unfinished")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_horizontal_scrolling(
    opened: Callable[..., Any], screenshot: Callable[[Any, str], None], scheme: str
):
    page = opened(width=390, scheme=scheme)
    draw(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.evaluate(
        "() => [...document.querySelectorAll('main section, .plot, .card, .strip img')]"
        ".filter((e) => e.getBoundingClientRect().right > 391).length"
    )
    assert wide == 0
    screenshot(page, f"phone-{scheme}")


def test_text_has_contrast_in_light_and_dark(opened: Callable[..., Any], screenshot: Callable[[Any, str], None]):
    for scheme in ("light", "dark"):
        page = opened(scheme=scheme)
        draw(page, "#cost")
        for selector in (".answer", "p.dim", ".verdict", ".protocol", "thead th", "td small"):
            assert contrast(*page.evaluate(COLORS, selector)) >= 4.5, (scheme, selector)
        axis = page.evaluate("() => document.querySelector('#cost .plot').layout.font.color")
        assert (axis == "#e7eaee") == (scheme == "dark")
        if scheme == "dark":
            screenshot(page, scheme)
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") != scheme


COLORS = """(selector) => {
  const element = document.querySelector(selector);
  let back = element;
  while (getComputedStyle(back).backgroundColor === "rgba(0, 0, 0, 0)") back = back.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(back).backgroundColor];
}"""


def contrast(first: str, second: str) -> float:
    """Contrast ratio (WCAG 2.1) of two CSS colors "rgb(r, g, b)"."""
    luminances = []
    for color in (first, second):
        channels = np.array([float(part) for part in color.strip("rgb()").split(",")]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        luminances.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)
