from pathlib import Path

import pytest

from sits_models.errors import NotARun, RunExists
from sits_models.runs import check_free, new_run, read_run


def run(out: Path, *, fail: type[BaseException] | None = None, **settings: bool) -> None:
    with new_run(out, kind="pretrain", command=["pretrain", "--seed=3"], seed=3, **settings) as folder:
        (folder / "result").write_text("1")
        if fail:
            raise fail


def test_record_tells_how_it_went(tmp_path: Path) -> None:
    out = tmp_path / "runs/a"
    with new_run(out, kind="pretrain", command=["pretrain", "--seed=3"], seed=3) as folder:
        during = read_run(out)
    after = read_run(folder)
    assert (during.status, during.finished) == ("running", None)
    assert (after.status, after.seed, after.command) == ("finished", 3, ("pretrain", "--seed=3"))
    assert after.finished is not None
    assert after.started <= after.finished
    assert {"sits-models", "torch", "python"} <= set(after.versions)


@pytest.mark.parametrize(
    ("fail", "status"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")]
)
def test_unfinished_run_is_resumed_or_replaced(
    tmp_path: Path, fail: type[BaseException], status: str
) -> None:
    with pytest.raises(fail):
        run(tmp_path / "a", fail=fail)
    assert read_run(tmp_path / "a").status == status
    with pytest.raises(RunExists, match="is an unfinished run; continue it with --resume"):
        run(tmp_path / "a")
    began = read_run(tmp_path / "a")
    run(tmp_path / "a", resume=True)
    ended = read_run(tmp_path / "a")
    assert (ended.status, ended.resumed, ended.started) == ("finished", 1, began.started)
    assert ended.seconds >= began.seconds


def test_overwrite_removes_what_was_there(tmp_path: Path) -> None:
    run(tmp_path / "a")
    (tmp_path / "a/old").touch()
    run(tmp_path / "a", overwrite=True)
    assert not (tmp_path / "a/old").exists()
    assert read_run(tmp_path / "a").status == "finished"


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    run(tmp_path / "a")
    assert read_run(tmp_path / "a").status == "finished"


@pytest.mark.parametrize(
    ("before", "settings", "error", "message"),
    [
        ("finished", {}, RunExists, "is a finished run; --overwrite begins again"),
        ("finished", {"resume": True}, RunExists, "there is nothing to resume"),
        ("nothing", {"resume": True}, NotARun, "a run is a folder with a run.json"),
        ("thesis", {}, RunExists, "exists and is not a run; choose another place"),
        ("thesis", {"overwrite": True}, RunExists, "exists and is not a run; choose another place"),
        ("file", {"overwrite": True}, RunExists, "exists and is not a run; choose another place"),
    ],
)
def test_refusals(
    tmp_path: Path, before: str, settings: dict[str, bool], error: type[Exception], message: str
) -> None:
    out = tmp_path / "a"
    match before:
        case "finished":
            run(out)
        case "thesis":
            out.mkdir()
            (out / "thesis.tex").write_text("years of work")
        case "file":
            out.write_text("years of work")
    with pytest.raises(error) as raised:
        run(out, **settings)
    assert message in str(raised.value)
    if before == "thesis":
        assert (out / "thesis.tex").read_text() == "years of work"


def test_only_pretraining_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path / "a", kind="probe", command=[], seed=0):
        raise KeyboardInterrupt
    with pytest.raises(RunExists) as raised:
        check_free(tmp_path / "a", overwrite=False, resume=False)
    assert str(raised.value).endswith(
        "is an unfinished run; --overwrite begins again, --out chooses another place"
    )


@pytest.mark.parametrize("reads", ["a", "a/card.json", "a/../a/field.planar"])
def test_nothing_is_deleted_that_the_run_reads(tmp_path: Path, reads: str) -> None:
    run(tmp_path / "a")
    with pytest.raises(RunExists, match="which this run reads and --overwrite would delete; choose"):
        check_free(tmp_path / "a", overwrite=True, resume=False, reads=[tmp_path / reads])
    for beside in ("ab", "", "b/a"):
        assert (
            check_free(tmp_path / "a", overwrite=True, resume=False, reads=[tmp_path / beside]) is None
        )
