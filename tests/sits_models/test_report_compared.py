"""The report of benches and of what a classifier looked at."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from html_pages import read
from numpy.typing import NDArray

from sits_data.store import open_store
from sits_models.bench.cells import Cell, save_cell
from sits_models.bench.rows import BenchRow, Span
from sits_models.errors import NotARun
from sits_models.report import report
from sits_models.report.compared import compare_bench
from sits_models.report.errors_on_land import wrong_on_land
from sits_models.report.looked_at import looked_at


def write_bench(
    folder: Path, store: Path, *, budgets: tuple[str, ...] = ("all",), low: float = 0.1
) -> Path:
    """A net and a floor that it is above by `low` to `low` + 0.2; every fourth name is wrong."""
    labels = open_store(store).labels
    true = labels[labels >= 0].astype(np.int64)
    (folder / "cells").mkdir(parents=True)
    rows = []
    for budget in budgets:
        for entry, reader, floor, step in (("net", "fine-tuned", False, 4), ("raw", "ridge", True, 2)):
            cells = []
            for seed in range(2):
                number = np.arange(len(true))
                named = np.where(number % step == 0, (true + 1) % 11, true)
                chances = np.full((len(true), 11), 0.02)
                chances[number, named] = 0.8
                kept = chances if not floor else np.zeros((len(true), 0))
                name = f"{entry}-{budget}-{seed}.npz"
                save_cell(
                    Cell(number, number * 0, true, named, number % 10, kept.astype(np.float16),
                         np.array(3.0)),
                    folder / "cells" / name,
                )  # fmt: skip
                cells.append(name)
            span = Span(value=1 - 1 / step, low=0.6 - 0.2 * floor, high=0.9)
            above = {} if floor else {"raw, ridge": Span(value=low + 0.1, low=low, high=low + 0.2)}
            rows.append(
                BenchRow(
                    store=str(store), entry=entry, reader=reader, budget=budget, floor=floor, seeds=2,
                    samples=len(true), blocks=10, macro_f1=span, oa=span, miou=span, kappa=span,
                    change_f1=None, ece=None if floor else span, by_seed=(0.7, 0.8), above=above,
                    seconds=6.0, cells=tuple(cells),
                )
            )  # fmt: skip
    told = {"rows": [row.model_dump() for row in rows], "notes": ["a note"], "config": {"unit": None}}
    (folder / "bench.json").write_text(json.dumps(told))
    return folder


def test_a_bench_has_every_part(tmp_path: Path, parcels: Path) -> None:
    bench = write_bench(tmp_path / "bench", parcels, budgets=("5 shots", "all"))
    out = report([bench], tmp_path / "page.html")
    page, html = read(out), out.read_text()
    assert page.wrong == page.open == []
    for part in ("Models compared", "Calibration", "Labels", "Where names are wrong", "a note"):
        assert part in page.text
    assert "net, fine-tuned is above its floor, raw, ridge." in page.text
    assert "Runs and data" not in page.text
    assert html.count('role="row"') == 2 * 3  # two tables of a head, a model and a floor
    assert html.count("data:image/png") == 2


@pytest.mark.parametrize(
    ("low", "kind", "said"),
    [
        (0.1, "above", "above its floor, raw, ridge"),
        (
            -0.1,
            "level",
            "level with “raw, ridge”, as the interval of the difference holds 0",
        ),
        (-0.5, "below", "below “raw, ridge”. A null result"),
    ],
)
def test_floors_are_told_in_words(
    low: float, kind: str, said: str, tmp_path: Path, parcels: Path
) -> None:
    found = compare_bench(write_bench(tmp_path / "bench", parcels, low=low))
    (table,) = found.tables
    (finding,) = table.findings
    assert (finding.kind, said in finding.text) == (kind, True)
    assert [line.row.entry for line in table.lines] == ["net", "raw"]
    assert table.lines[0].cost == "3 s"
    assert found.budgets == ()


def test_a_store_that_is_gone_leaves_its_errors_out(tmp_path: Path, parcels: Path) -> None:
    moved = tmp_path / "parcels.planar"
    shutil.copytree(parcels, moved)
    bench = write_bench(tmp_path / "bench", moved)
    shutil.rmtree(moved)
    found = compare_bench(bench)
    assert found.errors == ()
    assert found.missing == ("where models are wrong on parcels.planar: the store is not where it was",)


def painted(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    seen: list[NDArray[np.float32]] = []

    def keep(share: NDArray[np.float32]) -> NDArray[np.uint8]:
        seen.append(share)
        return np.zeros((*share.shape, 4), np.uint8)

    monkeypatch.setattr("sits_models.report.errors_on_land.paint_errors", keep)
    return seen


def test_errors_lie_where_their_samples_are(parcels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = open_store(parcels), painted(monkeypatch)
    labelled = np.flatnonzero(store.labels >= 0)
    wrong_on_land(store, np.arange(len(labelled)) / 1000, "net", unit=None)
    (image,) = seen
    places = [store.region(int(one)).yx for one in labelled]
    corner = np.concatenate(places).min(0)
    for number, yx in enumerate(places):
        assert (image[tuple((yx - corner).T)] == np.float32(number / 1000)).all()
    assert np.isfinite(image).sum() == sum(map(len, places))


def test_errors_of_pixels_lie_on_them(chips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = open_store(chips), painted(monkeypatch)
    regions = [store.region(int(one)) for one in np.flatnonzero(store.labels >= 0)]
    places = np.concatenate([one.yx[one.labels >= 0] for one in regions])  # type: ignore[operator]
    share = np.random.default_rng(0).random(len(places))
    wrong_on_land(store, share, "net", unit=None)
    image = seen[0]
    np.testing.assert_array_equal(image[tuple((places - places.min(0)).T)], share.astype(np.float32))


def test_damaged_benches_are_told_in_a_line(tmp_path: Path, parcels: Path) -> None:
    bench = write_bench(tmp_path / "bench", parcels)
    (bench / "cells/net-all-0.npz").unlink()
    with pytest.raises(NotARun, match="lacks the cell net-all-0"):
        compare_bench(bench)
    for damage in ("{", "{}", '{"rows": [{}], "notes": [], "config": {"unit": null}}'):
        (bench / "bench.json").write_text(damage)
        with pytest.raises(NotARun, match="run sits-models bench again"):
            compare_bench(bench)


def test_explanations_that_are_not_whole_are_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "explain.json").write_text("{}")
    with pytest.raises(NotARun, match="run sits-models explain again"):
        looked_at(tmp_path)
