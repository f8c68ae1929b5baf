"""Deadlines on a second thread, and memory that a thread uses again."""

import threading
import time

import numpy as np
import pytest

from sits_data.errors import DeadlinePassed
from sits_data.memory import WindowMemory, memory_of_this_thread
from sits_data.patience import within


def test_work_in_time_stays_on_one_thread() -> None:
    threads = {within(5, threading.get_ident) for _ in range(20)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_thread_that_was_given_up_on_is_replaced() -> None:
    before = within(5, threading.get_ident)
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match="not read within"):
        within(0.05, lambda: time.sleep(0.5))
    assert time.monotonic() - began < 0.4
    assert within(0.3, threading.get_ident) != before


def test_error_of_the_work_is_raised_and_its_thread_kept() -> None:
    before = within(5, threading.get_ident)
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)
    assert within(5, threading.get_ident) == before


def test_memory_is_used_again_but_not_after_an_error() -> None:
    def address(memory: WindowMemory) -> int:
        values = memory.zeros("reflectance", (3, 700, 700), np.uint16)
        assert not values.any()
        values[:] = 7
        return int(values.ctypes.data)

    with memory_of_this_thread() as first:
        place = address(first)
    with memory_of_this_thread() as again:
        assert again is first
        assert address(again) == place
        with memory_of_this_thread() as nested:
            assert nested is not again
    with pytest.raises(ZeroDivisionError), memory_of_this_thread():
        _ = 1 // 0
    with memory_of_this_thread() as other:
        assert other is not first
