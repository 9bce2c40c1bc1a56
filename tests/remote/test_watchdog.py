"""Limits on waits that have none."""

from __future__ import annotations

import threading
import time

from edgeprune.remote.watchdog import Watchdog


def test_work_in_time_is_left_alone_and_the_thread_ends() -> None:
    fired = threading.Event()
    watchdog = Watchdog(fired.set)
    for _ in range(100):
        with watchdog.limit(5):
            pass
    time.sleep(0.05)
    watchdog.close()
    watchdog.close()
    assert not watchdog.expired
    assert not fired.is_set()


def test_late_work_is_interrupted_after_an_earlier_longer_limit() -> None:
    fired = threading.Event()
    watchdog = Watchdog(fired.set)
    with watchdog.limit(60):
        pass
    with watchdog.limit(0.05):
        assert fired.wait(5)
    assert watchdog.expired
    watchdog.close()


def test_a_closed_watchdog_starts_no_thread() -> None:
    before = threading.active_count()
    watchdog = Watchdog(lambda: None)
    watchdog.close()
    with watchdog.limit(0.01):
        time.sleep(0.05)
    assert threading.active_count() == before
    assert not watchdog.expired
