"""One run at a time in an output folder: a lock on a file, or a lease in object storage."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serve_app.errors import NotReady, RunRefused
from serve_app.storage.byte_store import ByteStore, storage_errors

NAME = "run.lock"
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
_TRIES = 10  # to lock a file that others remove
_RENEWALS = 4  # of a lease, in the time after which it may be taken over
_TAKEN = (
    "Another bulk run is writing to this folder. Wait for it to end, or choose another output "
    "folder."
)


class Held(Protocol):
    """An output folder that is this run's."""

    def check(self) -> None:
        """Raise ``RunRefused`` if it is not any more, or ``NotReady`` if a folder is away.

        Takes no time: of a folder one file is looked at, and object storage isn't asked.
        """


@contextmanager
def hold(store: ByteStore, silent_s: float) -> Iterator[Held]:
    """Keep other runs from writing to ``store`` until the end of the block.

    A folder is free as soon as its holder has died; a run whose lock file is removed or replaced
    has lost it. In object storage another run may take over what was silent for ``silent_s``
    seconds, and a run that was cut off for nearly so long has lost it. ``check`` tells.

    Raises:
        RunRefused: Another run has it.
        NotReady: Storage is away.
    """
    if store.local is not None:
        with _locked(store.local / NAME) as lock:
            yield lock
        return
    lease = Lease(store, silent_s)
    lease.take()
    with lease.renewed():
        yield lease


# A folder: the system gives the lock back when its holder dies.


@dataclass(frozen=True, slots=True)
class _Locked:
    """``file`` is the descriptor of what was locked at ``path``."""

    path: Path
    file: int

    def check(self) -> None:
        """Raise ``RunRefused`` if the file was removed or replaced: another run locks its own."""
        if not self.is_at_its_path():
            raise RunRefused(
                f"This run has lost its hold on the output folder: `{NAME}` was removed or "
                "replaced, so that another one may have begun. Leave that file alone, and start "
                "this run again; it goes on where it was."
            )

    def is_at_its_path(self) -> bool:
        """Whether what is locked is what others would lock; raises ``NotReady``."""
        with storage_errors("look at a lock", OSError):
            try:
                return os.path.samestat(os.fstat(self.file), self.path.stat())
            except OSError as error:
                if error.errno not in _GONE:
                    raise
                return False


@contextmanager
def _locked(path: Path) -> Iterator[_Locked]:
    for _ in range(_TRIES):
        with storage_errors("open a lock", OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not inherited, or a child that outlives this process would keep the lock.
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            with storage_errors("lock", OSError):
                _lock(file)
            lock = _Locked(path, file)
            # Removed between the two calls it would keep nobody out.
            if lock.is_at_its_path():
                yield lock
                return
        finally:
            os.close(file)
    raise RunRefused(f"`{NAME}` in the output folder is removed again and again. Leave it alone.")


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunRefused(_TAKEN) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise RunRefused(
            "The file system of the output folder has no locks, so nothing would keep two runs "
            "from writing to it. Choose another output folder."
        ) from error


# Object storage: a lease dies of silence.


class Lease:
    """An object that its holder writes again and again.

    Silence is told by the store's own clock: that of no machine matters. Where two find a
    silent lease at the same moment, both may take it over, and the first to do so learns it
    from ``check`` after its next renewal.
    """

    def __init__(
        self, store: ByteStore, silent_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._silent_s = silent_s
        self._clock = clock
        self._token = secrets.token_hex(16)
        self._renewed_at = -math.inf
        self._lost = False

    def take(self) -> None:
        """Take the lease, or raise ``RunRefused``."""
        at = self._clock()
        if not self._store.create(NAME, self._document()):
            self._refuse_if_alive()
            at = self._clock()
            self._store.put(NAME, self._document())
        self._renewed_at = at

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lease in a thread while the block runs, and erase it at the end."""
        over = threading.Event()
        thread = threading.Thread(
            target=self._keep, args=(over,), name="lease of a bulk run", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            # It may be held up by a store that is away: then the lease ends by itself.
            thread.join(self._silent_s)
            if not thread.is_alive():
                with suppress(NotReady):
                    self.give_back()

    def renew(self) -> None:
        """Write the lease again, if it is still ours; lost once, it is lost for good.

        Raises:
            NotReady: Storage is away. This may be tried again.
        """
        at = self._clock()
        self._lost = self._lost or self._is_due(at) or self._holder() != self._token
        if not self._lost:
            self._store.put(NAME, self._document())
            self._renewed_at = at

    def check(self) -> None:
        """Raise ``RunRefused`` if another run has taken over, or soon may."""
        if self._lost or self._is_due(self._clock()):
            self._lost = True
            raise RunRefused(
                "This run has lost its hold on the output folder: another one has taken over, or "
                "storage did not answer for too long. Start it again; it goes on where it was."
            )

    def give_back(self) -> None:
        """Erase the lease, if it is ours."""
        if self._holder() == self._token:
            self._store.erase(NAME)

    def _is_due(self, now: float) -> bool:
        # One renewal early: what is begun after a check takes time too.
        return now - self._renewed_at >= self._silent_s * (1 - 1 / _RENEWALS)

    def _keep(self, over: threading.Event) -> None:
        while not self._lost and not over.wait(self._silent_s / _RENEWALS):
            with suppress(NotReady):  # ``check`` knows for how long
                self.renew()

    def _document(self) -> bytes:
        said = {"token": self._token, "renewed_at": time.time(), "silent_s": self._silent_s}
        return json.dumps(said).encode()

    def _holder(self) -> str:
        return self._read()[0]

    def _refuse_if_alive(self) -> None:
        """Raise unless the lease has been silent for as long as its holder and this run say."""
        now = self._now()
        allowed_s = max(self._silent_s, self._read()[1])
        # Last, so that little can happen between this look and taking over. There is no time
        # where it was erased in between or the store tells none: that refuses too.
        wait_s = allowed_s - (now - (self._store.written_at(NAME) or math.nan))
        if not wait_s <= 0:
            known = math.isfinite(wait_s)
            more = f" If it has died, try again in {math.ceil(wait_s)} s." if known else ""
            raise RunRefused(_TAKEN + more)

    def _now(self) -> float:
        """What time it is for the store, seconds since 1970."""
        name = f"{NAME}.{self._token}"
        self._store.put(name, b"")
        try:
            return self._store.written_at(name) or math.nan
        finally:
            self._store.erase(name)

    def _read(self) -> tuple[str, float]:
        """Whose the lease is and what silence its holder allows; of a broken one nothing."""
        try:
            said = json.loads(self._store.get(NAME) or b"")
            return str(said["token"]), float(said["silent_s"])
        except (ValueError, TypeError, KeyError):
            return "", 0.0
