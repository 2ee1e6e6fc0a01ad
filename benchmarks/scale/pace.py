"""What the machine's cores are worth just now: on a shared host that changes by the minute."""

from __future__ import annotations

import statistics
import threading
import time

import numpy as np

_EVERY_S = 0.5
_SIDE = 512


class Pace:
    """CPU seconds that a fixed piece of work takes, sampled from now on until ``stop``.

    Fourier transforms, which compute on one thread and go through the caches as a step does.
    They take a hundredth of a core.
    """

    def __init__(self) -> None:
        self._work = np.random.default_rng(0).random((_SIDE, _SIDE))
        self._ended = threading.Event()
        self._samples: list[float] = []
        self._thread = threading.Thread(target=self._run, name="pace", daemon=True)
        self._sample_s()  # not counted: the first one has cold caches and code
        self._thread.start()

    def stop(self) -> float:
        """The mean of the samples."""
        self._ended.set()
        self._thread.join()
        return statistics.mean(self._samples)

    def _run(self) -> None:
        self._samples.append(self._sample_s())
        while not self._ended.wait(_EVERY_S):
            self._samples.append(self._sample_s())

    def _sample_s(self) -> float:
        before = time.thread_time()
        np.fft.rfft2(self._work)
        return time.thread_time() - before
