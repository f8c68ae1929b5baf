from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_catalogue import GRID, Product, daily, request, write_catalogue

from sits_data.errors import EmptySearch, InvalidRequest, NotACube
from sits_data.mask import Refinement
from sits_data.plan import CubePlan, make_plan
from sits_data.planning import plan_cube
from sits_data.scenes import Dropped, Scene

numbers = st.none() | st.floats(0, 360, allow_nan=False)
scenes = st.builds(
    Scene,
    id=st.text(min_size=1),
    datetime=st.datetimes(timezones=st.just(UTC)),
    hrefs=st.dictionaries(st.sampled_from(["B04", "scl"]), st.text()),
    cloud_pct=numbers,
    sun_azimuth=numbers,
    version=st.tuples(st.text(), st.text(), st.text()),
)


def frozen(found: list[Scene], searched: datetime) -> CubePlan:
    days = [(date(2020, 1, 1 + i), [scene]) for i, scene in enumerate(found)]
    return make_plan(request("catalog.json"), days, [Dropped("x", "cloud cover")], searched)


@given(st.lists(scenes, max_size=3))
def test_plan_survives_its_file(tmp_path_factory: pytest.TempPathFactory, found: list[Scene]) -> None:
    path = tmp_path_factory.getbasetemp() / "plan.json"
    plan = frozen(found, datetime.now(UTC))
    plan.write(path)
    again = CubePlan.read(path)
    assert again == plan
    assert again.hash == plan.hash


def test_hash_names_the_work_and_not_the_hour() -> None:
    plan = frozen([], datetime(2020, 1, 1, tzinfo=UTC))
    assert plan.hash == frozen([], datetime(2021, 1, 1, tzinfo=UTC)).hash
    other = plan.request.model_copy(update={"refinement": Refinement(dilate_m=60)})
    assert plan.model_copy(update={"request": other}).hash != plan.hash


def test_every_day_counts_its_scenes(tmp_path: Path) -> None:
    twin = Product(id="twin", when="2020-01-02T10:50:20Z", properties={"grid:code": "MGRS-31UFR"})
    plan = plan_cube(request(write_catalogue(tmp_path, [*daily(3), twin])))
    assert [len(day.scenes) for day in plan.days] == [1, 2, 1]
    assert [plan.first_scene(i) for i in range(3)] == [0, 1, 3]
    assert plan.needs_scene_index


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"request": 3}', "\0"])
def test_other_files_are_no_plan(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(NotACube, match="--overwrite"):
        CubePlan.read(tmp_path / "plan.json")


def test_cloudy_scenes_and_duplicates_are_reported(tmp_path: Path) -> None:
    old, new = (Product(id=f"{b}", baseline=b, offset_applied=True) for b in ("02.13", "05.00"))
    cloudy = Product(id="cloudy", when="2020-02-01T10:50:00Z", properties={"eo:cloud_cover": 90})
    unknown = Product(id="unknown", when="2020-03-01T10:50:00Z", properties={"eo:cloud_cover": None})
    catalog = write_catalogue(tmp_path, [old, new, cloudy, unknown])
    plan = plan_cube(request(catalog, max_cloud_pct=50))
    assert [scene.id for scene in plan.scenes] == ["05.00", "unknown"]
    assert plan.dropped == (
        Dropped("02.13", "reprocessed as 05.00"),
        Dropped("cloudy", "cloud cover 90 %"),
    )


@pytest.mark.parametrize(("start", "end", "days"), [(1, 1, 1), (1, 3, 3), (2, 3, 2), (3, 31, 1)])
def test_first_and_last_day_are_included(start: int, end: int, days: int, tiny: Path) -> None:
    span = {"start": date(2020, 1, start), "end": date(2020, 1, end)}
    assert len(plan_cube(request(tiny / "catalog.json", **span)).days) == days


def test_empty_search_says_what_was_asked(tiny: Path) -> None:
    catalog = tiny / "catalog.json"
    with pytest.raises(EmptySearch, match="2019-01-01 to 2019-12-31"):
        plan_cube(request(catalog, start=date(2019, 1, 1), end=date(2019, 12, 31)))
    with pytest.raises(EmptySearch, match="all 3 scenes"):
        plan_cube(request(catalog, max_cloud_pct=1))
    away = GRID.model_copy(update={"left": GRID.left + 6000, "right": GRID.right + 6000})
    with pytest.raises(EmptySearch, match="no scenes"):
        plan_cube(request(catalog, away))


def test_end_before_start_is_refused(tiny: Path) -> None:
    with pytest.raises(InvalidRequest, match="swap"):
        plan_cube(request(tiny / "catalog.json", start=date(2020, 2, 1), end=date(2020, 1, 1)))
