"""Signals: the first is a wish, the second ends at once, and afterwards all is as before."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from serve_app.bulk.interrupting import Interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Told(Exception):
    """What the handlers of these tests raise."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handlers of our own, so that no test is ended by a signal."""

    def told(number: int, _frame: object) -> None:
        raise Told(number)

    before = {number: signal.signal(number, told) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_wish(number: signal.Signals) -> None:
    interrupt = Interrupt()
    with interrupt.watched():
        assert not interrupt.wished
        signal.raise_signal(number)
        assert interrupt.wished


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_one_ends_at_once(second: signal.Signals) -> None:
    with Interrupt().watched():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_signals_go_where_they_went(number: signal.Signals) -> None:
    interrupt = Interrupt()
    with pytest.raises(ValueError, match="broken"), interrupt.watched():
        raise ValueError("broken")
    with pytest.raises(Told):
        signal.raise_signal(number)
    assert not interrupt.wished
