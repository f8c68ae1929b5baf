import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from html_pages import read
from runs_on_disk import write_map, write_pretraining, write_scores

from sits_data.errors import SitsDataError
from sits_data.store import open_store
from sits_models.errors import NotACheckpoint, NotARun
from sits_models.predict.notes import note_map
from sits_models.report import report
from sits_models.report.files import read_metrics
from sits_models.runs import RunRecord, read_run


def test_missing_parts_are_named(tmp_path: Path, parcels: Path) -> None:
    probe = write_scores(tmp_path / "probe", parcels)
    found = read(report([probe], tmp_path / "page.html"))
    ending = found.text.partition("Left out, as there is nothing to show")[2]
    for title in ("What the model sees", "Training", "Map", "Embeddings"):
        assert f"{title}: " in ending
    assert "Scores:" not in ending
    assert not {"views", "training", "map", "embedding"} & set(found.values("id"))


def test_moved_store_and_cube_are_left_out(tmp_path: Path, land: Path, parcels: Path) -> None:
    store = Path(shutil.copytree(parcels, tmp_path / "elsewhere/store.planar"))
    classes = open_store(store).manifest.classes
    run = write_pretraining(tmp_path / "run", store)
    out = write_map(run, tmp_path / "map.tif", land / "field.zarr", classes)
    note_map(run, out, cube=tmp_path / "gone.zarr", classes=classes)
    out.with_suffix(".prob.tif").unlink()
    shutil.rmtree(store)
    found = read(report([run], tmp_path / "page.html"))
    ending = found.text.partition("Left out")[2]
    assert (
        "How clear the dates are: the planar store lies neither where it was nor near a run." in ending
    )
    assert "map.tif: the land: its cube is not where it was, give it with --cube." in ending
    assert "map.tif: how sure it is: map.prob.tif is not beside it." in ending
    assert "class 3" in found.text
    shown = [given["alt"] for tag, given in found.tags if tag == "img" and "planar" not in given["alt"]]
    assert shown == ["Map of 11 classes"]


def test_store_is_found_where_the_command_says(tmp_path: Path, parcels: Path) -> None:
    found = read(
        report([write_pretraining(tmp_path / "a/b/c/d/e/run", parcels)], tmp_path / "page.html")
    )
    assert "clear" in found.values("id")
    assert "class 3" not in found.text


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _garbage(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00nothing" * 9)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [_cut, _garbage, _empty])
@pytest.mark.parametrize(
    ("name", "error", "mend"),
    [
        ("run.json", NotARun, "give what --out named"),
        ("card.json", NotACheckpoint, "export the checkpoint again"),
        ("scores.json", NotARun, "run probe or finetune again"),
        ("views.npz", NotARun, "delete it, or train again"),
        ("embedding.npz", NotARun, "delete it, or train again"),
    ],
)
def test_damaged_file_is_one_line(
    tmp_path: Path,
    parcels: Path,
    damage: Callable[[Path], None],
    name: str,
    error: type[SitsDataError],
    mend: str,
) -> None:
    run = write_pretraining(tmp_path / "run", parcels, steps=1)
    write_scores(tmp_path / "probe", parcels)
    shutil.copy(tmp_path / "probe/scores.json", run)
    damage(run / name)
    with pytest.raises(error) as raised:
        report([run], tmp_path / "page.html")
    message = str(raised.value)
    assert name in message
    assert mend in message
    assert "\n" not in message
    assert len(message) < 300
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("metrics", "why"),
    [(b"\xff\xfe\x00" * 9, "can't decode"), (b"a,b\n1,2\n", "it has no column step")],
)
def test_damaged_metrics_are_one_line(tmp_path: Path, parcels: Path, metrics: bytes, why: str) -> None:
    run = write_scores(tmp_path / "probe", parcels)
    (run / "metrics.csv").write_bytes(metrics)
    with pytest.raises(NotARun, match=why):
        report([run], tmp_path / "page.html")


def test_confusion_of_other_classes_is_damage(tmp_path: Path, parcels: Path) -> None:
    run = write_scores(tmp_path / "probe", parcels)
    said = json.loads((run / "scores.json").read_text())
    said["rows"][0]["confusion"] = [[1]]
    (run / "scores.json").write_text(json.dumps(said))
    with pytest.raises(NotARun, match="a confusion matrix is not one of 11 classes"):
        report([run], tmp_path / "page.html")


def test_npz_without_an_array_is_damage(tmp_path: Path, parcels: Path) -> None:
    run = write_pretraining(tmp_path / "run", parcels, steps=1)
    np.savez(run / "embedding.npz", embedding=np.zeros((3, 2)))
    with pytest.raises(NotARun, match="it lacks label, yx"):
        report([run], tmp_path / "page.html")


def test_metrics_leave_out_what_a_kill_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,step,train_loss,rankme\n0,0,2.5,\n0,1,nan,4\n0,2,1.5,\n0,")
    found = read_metrics(file)
    assert found["rankme"].step.tolist() == [1]
    np.testing.assert_equal(found["train_loss"].value, [2.5, np.nan, 1.5])
    file.write_text("")
    assert read_metrics(file) == {}


def test_page_that_is_there_is_replaced_or_kept(tmp_path: Path, parcels: Path) -> None:
    run, page = write_scores(tmp_path / "probe", parcels), tmp_path / "page.html"
    page.write_text("yesterday's")
    report([run], page)
    whole = page.read_text()
    assert whole.endswith("</html>\n")
    _cut(run / "scores.json")
    with pytest.raises(NotARun):
        report([run], page)
    assert page.read_text() == whole
    assert {one.name for one in tmp_path.iterdir()} == {"probe", "page.html"}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("running", "It is still running, or was killed"),
        ("interrupted", "It was interrupted"),
        ("failed", "It failed"),
    ],
)
def test_unfinished_run_is_told(tmp_path: Path, parcels: Path, status: str, said: str) -> None:
    run = write_pretraining(tmp_path / "run", parcels)
    for name in ("card.json", "embedding.npz", "views.npz"):
        (run / name).unlink()
    record = read_run(run).model_copy(update={"status": status, "finished": None})
    (run / "run.json").write_text(record.model_dump_json())
    found = read(report([run], tmp_path / "page.html"))
    assert f"{said}: what is shown of it is not all that was asked for." in found.text
    assert found.values("class").count("tag bad") == 1
    sections = [given["id"] for tag, given in found.tags if tag == "section"]
    assert sections == ["runs", "clear", "training"]


def test_run_that_only_began(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    record = RunRecord(kind="pretrain", command=("a",), started="2026-01-05", seed=0, versions={})
    (run / "run.json").write_text(record.model_dump_json())
    found = read(report([run], tmp_path / "page.html"))
    assert [given["id"] for tag, given in found.tags if tag == "section"] == ["runs"]
    assert "Nothing is judged yet" in found.text


def test_folds_are_drawn_together(tmp_path: Path, parcels: Path) -> None:
    run = write_scores(tmp_path / "finetune", parcels, task="finetune")
    for place in ("", "folds/pretrained-1", "folds/pretrained-2", "folds/from-scratch-1"):
        (run / place).mkdir(parents=True, exist_ok=True)
        (run / place / "metrics.csv").write_text("epoch,step,train_loss\n0,0,2\n0,1,1\n")
    found = read(report([run], tmp_path / "page.html"))
    for title in ("on all labels", "folds, pretrained", "folds, from scratch"):
        assert title in found.text
    assert "mean 1 at the end" in found.text


def test_collapse_is_told(tmp_path: Path, parcels: Path) -> None:
    run = write_scores(tmp_path / "run", parcels)
    rows = "\n".join(f"0,{step},1,{int(step > 7)}" for step in range(12))
    (run / "metrics.csv").write_text(f"epoch,step,train_loss,collapsed\n{rows}\n")
    assert "The collapse alarm went off at step 8" in read(report([run], tmp_path / "page.html")).text
