import json
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sits_data.errors import OutputExists
from sits_data.ledger import Row, Unit, Written, open_ledger, read_ledger

units = st.dictionaries(
    st.builds(Unit, st.integers(0, 99), st.integers(0, 9), st.integers(0, 9)), st.integers(1, 10**6)
)


def row(unit: Unit, size: int) -> Row:
    return Row(unit, "ok", {"qa": Written(size, "")})


@given(units, st.integers(0, 60))
def test_torn_last_line_does_not_count(
    tmp_path_factory: pytest.TempPathFactory, sizes: dict[Unit, int], torn: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "ledger.jsonl"
    path.unlink(missing_ok=True)
    with open_ledger(path) as ledger:
        for unit, size in sizes.items():
            ledger.record(row(unit, size))
    text = path.read_text()
    path.write_text(text[: len(text) - torn])
    last = path.read_text().rpartition("\n")[2]
    kept = path.read_text().count("\n") + (Row.from_json(last) is not None)
    whole = list(sizes.items())[:kept]
    with open_ledger(path) as ledger:
        assert ledger.done == {unit for unit, _ in whole}
        assert ledger.bytes_written == sum(size for _, size in whole)
        ledger.record(row(Unit(100, 0, 0), 7))
    with open_ledger(path) as ledger:
        assert ledger.done == {unit for unit, _ in whole} | {Unit(100, 0, 0)}


def test_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with (
        open_ledger(path),
        pytest.raises(OutputExists, match="another process"),
        open_ledger(path),
    ):
        pass
    with open_ledger(path) as ledger:
        assert not ledger.done


def test_threads_share_it(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger.jsonl") as ledger:
        threads = [
            Thread(target=lambda t=t: [ledger.record(row(Unit(t, i, 0), 1)) for i in range(50)])
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ledger.bytes_written == 200
    rows = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert len({tuple(row["unit"]) for row in rows}) == 200


def test_clear_forgets_everything(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.record(row(Unit(0, 0, 0), 5))
        ledger.clear()
        ledger.record(row(Unit(1, 0, 0), 3))
    with open_ledger(tmp_path / "ledger.jsonl") as ledger:
        assert ledger.done == {Unit(1, 0, 0)}
        assert ledger.bytes_written == 3


def test_last_row_of_a_unit_counts(tmp_path: Path) -> None:
    unit = Unit(3, 0, 1)
    with open_ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.record(Row(unit, "failed", why="HTTP 503"))
        assert [one.why for one in ledger.failed] == ["HTTP 503"]
        assert not ledger.done
        ledger.record(Row(unit, "ok", {"qa": Written(9, "77"), "scl": Written(1, "2")}))
        assert not ledger.failed
    assert read_ledger(tmp_path / "ledger.jsonl") == {
        unit: Row(unit, "ok", {"qa": Written(9, "77"), "scl": Written(1, "2")})
    }


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"unit": [0], "status": "ok"}', "7", '{"unit": [0, 0, 0], "status": "lost"}'],
)
def test_other_lines_are_no_rows(line: str) -> None:
    assert Row.from_json(line) is None
