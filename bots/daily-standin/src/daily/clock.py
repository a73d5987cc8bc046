# SPDX-License-Identifier: Apache-2.0
"""Audio takes as long as it takes: one thread that calls back when its time has come."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Clock:
    """Calls back later, in order of time, on a thread of its own that starts with the first use."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._started = False

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Calls at that time of `time.monotonic()`."""
        with self._changed:
            heapq.heappush(self._due, (when, next(self._order), call))
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="daily-clock", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due:
                    self._changed.wait()
                when, _, call = self._due[0]
                if (left := when - time.monotonic()) > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._due)
            try:
                call()
            except RuntimeError:
                pass  # whoever waited has gone, and its event loop with it


clock = Clock()
