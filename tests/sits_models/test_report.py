import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from html_pages import read
from hypothesis import given
from hypothesis import strategies as st
from runs_on_disk import write_classifier_card, write_map, write_pretraining, write_scores

from sits_data.errors import InvalidRequest, NotACube, OutputNotWritable
from sits_data.store import open_store
from sits_models.bench.scores import Scores
from sits_models.errors import NotARun
from sits_models.report import report
from sits_models.report.cards import shown_path
from sits_models.report.embedding import project
from sits_models.report.judgement import judge
from sits_models.report.land import explained

LOADS = ("src", "href", "xlink:href", "srcset", "poster", "data", "action")


@pytest.fixture(scope="module")
def runs(land: Path, parcels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """simclr with a probe in it, finetune that began with it and drew a map."""
    folder = tmp_path_factory.mktemp("runs")
    simclr = write_pretraining(folder / "simclr", parcels)
    write_scores(simclr / "probe", parcels, gain=-0.1)
    finetune = write_scores(folder / "finetune", parcels, task="finetune", gain=0.1)
    write_classifier_card(finetune, parcels, simclr)
    write_map(finetune, folder / "map.tif", land / "field.zarr", open_store(parcels).manifest.classes)
    return folder


@pytest.fixture(scope="module")
def page(runs: Path) -> Path:
    return report([runs / "finetune"], runs / "page.html")


def test_page_loads_nothing(page: Path) -> None:
    found, html = read(page), page.read_text()
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in found.tags}
    for name in LOADS:
        assert all(one.startswith(("#", "data:image/png;base64,")) for one in found.values(name)), name
    assert "@import" not in html
    assert all(one.startswith("#") for one in re.findall(r"url\(['\"]?([^)'\"]*)", html))
    assert not [name for _, given in found.tags for name in given if name.startswith("on")]
    (policy,) = (given["content"] for _, given in found.tags if "http-equiv" in given)
    assert policy.startswith("default-src 'none'")


def test_page_is_well_formed(page: Path) -> None:
    found = read(page)
    assert found.wrong == found.open == []
    ids, anchors = found.values("id"), [one[1:] for one in found.values("href")]
    assert len(ids) == len(set(ids))
    assert set(anchors) <= set(ids)
    used = re.findall(r"url\(#([^)]*)\)", page.read_text())
    assert set(used) | {one[1:] for one in found.values("xlink:href")} <= set(ids)
    assert all(given.get("alt") for tag, given in found.tags if tag == "img")


def test_page_has_every_part(page: Path) -> None:
    found = read(page)
    sections = [given["id"] for tag, given in found.tags if tag == "section"]
    assert sections == ["runs", "clear", "views", "training", "scores", "map", "embedding"]
    contents = [one[1:] for one in found.values("href") if one[1:] in sections]
    assert contents == sections
    for text in (
        "simclr on parcels.planar", "simclr/probe", "Card of finetune", "16 dates", "Region 3, view 2",
        "RankMe", "Who is taken for whom", "The land on 20", "How sure", "82 regions, 16 dimensions",
    ):  # fmt: skip
        assert text in found.text
    assert "Left out" not in found.text


def test_local_paths_are_shown_by_their_end(page: Path, land: Path) -> None:
    assert str(land) not in page.read_text()
    assert "--store …/" in read(page).text
    assert "catalogue …/catalogue/catalog.json" in read(page).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ada/land/field.zarr", "…/land/field.zarr"),
        ("/field.zarr", "…/field.zarr"),
        ("file:///home/ada/land/field.zarr", "…/land/field.zarr"),
        (r"C:\Users\ada\field.zarr", "…/ada/field.zarr"),
        ("../land/field.zarr", "../land/field.zarr"),
        ("https://earth.example/stac/v1/", "https://earth.example/stac/v1/"),
        ("s3://bucket/a/b/c.zarr", "s3://bucket/a/b/c.zarr"),
        ("sentinel-2-l2a", "sentinel-2-l2a"),
    ],
)
def test_shown_path(text: str, shown: str) -> None:
    assert shown_path(text) == shown


@given(st.lists(st.text("abc.", min_size=1).filter(lambda part: part != "."), min_size=1))
def test_shown_path_ends_like_the_path(parts: list[str]) -> None:
    assert shown_path("/" + "/".join(parts)) == "…/" + "/".join(parts[-2:])


@pytest.mark.parametrize(
    ("gain", "said", "kind"),
    [
        (-0.1, "raw features, random forest (0.500): −0.100 macro-F1, worse in 5 of 5 folds", "below"),
        (0.003, "raw features, random forest (0.500): +0.003 macro-F1, less than the 0.005", "level"),
        (0.1, "raw features, random forest (0.500): +0.100 macro-F1, better in 5 of 5 folds", "above"),
    ],
)  # fmt: skip
def test_floors_are_told_in_words(
    tmp_path: Path, parcels: Path, gain: float, said: str, kind: str
) -> None:
    run = write_scores(tmp_path / "probe", parcels, gain=gain)
    found = read(report([run], tmp_path / "page.html"))
    told = f"is {kind}{' with' if kind == 'level' else ''} the floor {said}"
    assert found.text.count(told) == 2  # at the top, and beside the scores
    assert ("A null result" in found.text) == (kind != "above")
    assert ("All 4 floors are below it" in found.text) == (kind == "above")
    scores = judge(Scores.model_validate_json((run / "scores.json").read_bytes()))
    assert scores is not None
    assert scores.findings[0].kind == kind


def test_confusion_adds_up(page: Path) -> None:
    rows = [row for row in read(page).cells if len(row) == 13 and row[-1].isdecimal()]
    assert len(rows) == 2 * 11  # the probe's, then the fine-tuned
    for _, *percent, tested in rows:
        assert sum(map(int, percent)) == pytest.approx(100, abs=6)
        assert int(tested) in (19, 23)


def test_legend_names_classes_and_no_data(page: Path, parcels: Path) -> None:
    rows = {row[0]: row[1:] for row in read(page).cells if len(row) == 3}
    names = {one.name for one in open_store(parcels).manifest.classes}
    assert set(rows) == names | {"class", "no data"}
    # 84 × 84 pixels of 10 m, five rows of them without data, stripes of 7 columns.
    assert rows["no data"] == ["–", "4.2"]
    assert rows["Spelt"] == ["8.3 %", "5.5"]


def test_cube_of_another_grid_is_told(tmp_path: Path, land: Path, runs: Path) -> None:
    classes = open_store(land / "parcels.planar").manifest.classes
    other = tmp_path / "other.tif"
    run = shutil.copytree(runs / "finetune", tmp_path / "run")
    write_map(run, other, land / "field.zarr", classes)
    with rasterio.open(other, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as raster:
        raster.transform = raster.transform * raster.transform.translation(1, 0)
    found = read(report([run], tmp_path / "page.html", cube=land / "field.zarr"))
    assert "other.tif: the land: the cube has another grid than the map." in found.text


def test_text_from_outside_is_escaped(tmp_path: Path, parcels: Path) -> None:
    run = write_scores(tmp_path / "a & <b>", parcels)
    scores = Scores.model_validate_json((run / "scores.json").read_bytes())
    first, *others = scores.classes
    evil = first.model_copy(update={"name": "<script>alert(1)</script>"})
    text = scores.model_copy(update={"classes": (evil, *others)}).model_dump_json()
    (run / "scores.json").write_text(text)
    page = report([run], tmp_path / "page.html")
    assert "<script>" not in page.read_text()
    found = read(page)
    assert found.wrong == []
    assert "<script>alert(1)</script>" in found.text
    assert "a & <b>" in found.text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"runs": ["nothing"]},
            NotARun,
            "neither a run (run.json, card.json or scores.json) nor",
        ),
        ({"runs": ["map.tif"]}, NotARun, "give what --out named"),
        ({"runs": []}, InvalidRequest, "a report shows at least one run"),
        ({"out": "page.txt"}, InvalidRequest, "use --out NAME.html"),
        ({"maps": ["simclr/card.json"]}, InvalidRequest, "card.json"),
        ({"maps": ["nothing.tif"]}, InvalidRequest, "nothing.tif"),
        ({"cube": "simclr"}, NotACube, "simclr"),
        ({"out": "map.tif/page.html"}, OutputNotWritable, "choose another place"),
    ],
)
def test_refusals(
    runs: Path, tmp_path: Path, arguments: dict[str, list[str] | str],
    error: type[Exception], message: str,
) -> None:  # fmt: skip
    given = {
        name: runs / value if isinstance(value, str) else [runs / one for one in value]
        for name, value in arguments.items()
    }
    with pytest.raises(error, match=re.escape(message)) as raised:
        report(**({"runs": [runs / "simclr"], "out": tmp_path / "page.html"} | given))
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_runs_side_by_side(tmp_path: Path, parcels: Path) -> None:
    for name, gain in (("simclr", -0.1), ("dino", 0.1)):
        write_scores(write_pretraining(tmp_path / name, parcels) / "probe", parcels, gain=gain)
    page = report(
        [tmp_path / "simclr", tmp_path / "dino", tmp_path / "simclr/probe"], tmp_path / "p.html"
    )
    found = read(page)
    assert len(set(found.values("id"))) == len(found.values("id"))
    rows = [row for row in found.cells if row and row[0].endswith("probe of parcels.planar")]
    assert [(row[0].split("/")[0], row[3]) for row in rows] == [("dino", "+0.100"), ("simclr", "−0.100")]
    assert "Best of 2, dino/probe: Pretrained, linear (0.600) is above" in found.text
    assert "All were judged on the same samples and folds." in found.text


def test_runs_judged_in_different_ways_are_not_compared(tmp_path: Path, parcels: Path) -> None:
    runs = [write_scores(tmp_path / name, parcels) for name in "ab"]
    said = json.loads((runs[0] / "scores.json").read_text())
    (runs[0] / "scores.json").write_text(json.dumps(said | {"labels": "10 %"}))
    found = read(report(runs, tmp_path / "page.html"))
    assert "compare each with its own floor, not with each other" in found.text


def test_classes_explain_what_they_made() -> None:
    draw = np.random.default_rng(0)
    group = np.arange(400) % 4
    noise = draw.normal(0, 1, (400, 8))
    assert explained(noise, group) == pytest.approx(0, abs=0.02)
    apart = noise + 2 * np.eye(4, 8)[group] * np.sqrt(8)
    # Between classes 4 · 8 · (1/4 · 3/4) = 6 in each of 4 of 8 dimensions, within 1 in all of them.
    assert explained(apart, group) == pytest.approx(24 / 32, abs=0.03)
    assert explained(noise, np.zeros(400, int)) is None


@pytest.mark.parametrize("embedding", [np.zeros((2, 4)), np.full((9, 4), np.nan), np.zeros((9, 1))])
def test_too_few_embeddings_are_not_drawn(embedding: np.ndarray) -> None:
    count = len(embedding)
    arrays = {"embedding": embedding, "label": np.zeros(count, int), "yx": np.zeros((count, 2))}
    assert project(arrays, ()) is None


def test_command_prints_the_place(runs: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "sits-models"), "report"]
    words = [str(runs / "simclr"), "--map", str(runs / "map.tif"), "--out", str(tmp_path / "page.html")]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'page.html'}\n"), done.stderr
    assert "Winter wheat" in read(tmp_path / "page.html").text
    done = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "is neither a run (run.json" in done.stderr


MEASURE = """
<script>
const wide = [...document.body.querySelectorAll("*")].filter(one => {
  const box = one.getBoundingClientRect();
  return box.width && !one.closest(".scroll") && (box.right > innerWidth + 1 || box.left < -1);
}).map(one => one.tagName + "." + one.getAttribute("class"));
document.title = JSON.stringify({inner: innerWidth, page: document.documentElement.scrollWidth, wide});
</script>
</body>"""


@pytest.fixture(scope="module")
def long_names(runs: Path, land: Path) -> Path:
    """A page on which a run, a class and a map have names that nothing breaks."""
    run = runs / "long" / ("finetune" * 12)
    shutil.copytree(runs / "finetune", run)
    scores = Scores.model_validate_json((run / "scores.json").read_bytes())
    first, *others = scores.classes
    classes = (first.model_copy(update={"name": "Sommerweizen" * 8}), *others)
    (run / "scores.json").write_text(scores.model_copy(update={"classes": classes}).model_dump_json())
    write_map(run, runs / "long" / f"{'map' * 30}.tif", land / "field.zarr", classes)
    return report([run], runs / "long/page.html")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("made", ["page", "long_names"])
def test_nothing_is_wider_than_the_screen(
    request: pytest.FixtureRequest, tmp_path: Path, made: str, width: int
) -> None:
    page: Path = request.getfixturevalue(made)
    # A window of headless chromium has a least width, a frame has none.
    policy = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
    html = policy.sub("", page.read_text()).replace("<details>", "<details open>")
    (tmp_path / "copy.html").write_text(html.replace("</body>", MEASURE))
    (tmp_path / "frame.html").write_text(
        f'<iframe src="copy.html" style="width:{width}px;height:900px;border:0" '
        'onload="document.title = this.contentDocument.title"></iframe>'
    )
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'chromium'}",
         f"--window-size={width + 60},900", "--dump-dom", (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found = re.search(r"<title>(.*)</title>", done.stdout)
    assert found is not None, done.stdout[:500]
    measured = json.loads(found[1].replace("&lt;", "<").replace("&amp;", "&"))
    assert measured == {"inner": width, "page": width, "wide": []}
