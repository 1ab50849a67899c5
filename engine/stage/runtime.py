"""What a stage needs to know of the process it runs in: JAX settings, signals, time, device."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

log = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
CACHE_EVENTS = {
    "/jax/compilation_cache/cache_hits": "loaded",
    "/jax/compilation_cache/cache_misses": "compiled",
}
_compile_seconds = 0.0
_programs = {"loaded": 0, "compiled": 0}


def configure() -> None:
    """Sets JAX up: 64-bit available, exact float32 products, persistent compilation cache.

    The cache is kept where `JAX_COMPILATION_CACHE_DIR` says; all twists of a material find
    the same programs there.
    """
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    if not getattr(configure, "listening", False):
        jax.monitoring.register_event_duration_secs_listener(_on_duration)
        jax.monitoring.register_event_listener(_on_event)
        configure.listening = True


def _on_duration(event: str, seconds: float, **_) -> None:
    global _compile_seconds
    if event.startswith("/jax/core/compile/"):
        _compile_seconds += seconds


def _on_event(event: str, **_) -> None:
    if event in CACHE_EVENTS:
        _programs[CACHE_EVENTS[event]] += 1


def compilation() -> dict[str, Any]:
    """Returns what this process has spent on programs, for the attributes of a stage's file.

    `compile_seconds` is tracing, compiling and loading; `programs_compiled` and
    `programs_loaded` count programs made and programs found in the persistent cache.
    """
    counts = {f"programs_{name}": count for name, count in _programs.items()}
    return {"compile_seconds": compile_seconds(), **counts}


def compile_seconds() -> float:
    """Returns the seconds this process has spent tracing, compiling or loading programs."""
    return _compile_seconds


def device() -> str:
    """Returns the device kind, e.g. "cpu" or "NVIDIA H200"."""
    return jax.devices()[0].device_kind


def commit() -> str:
    """Returns the short commit of the source tree, "-dirty" where it was edited, or ""."""
    folder = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=folder,
            text=True,
            capture_output=True,
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def stop_requests():
    """Yields a function that tells whether a stop signal has arrived; the handlers only note it."""
    received: list[int] = []

    def note(number, frame):
        received.append(number)
        log.warning(
            "signal %d received: the step is finished and saved, then the stage stops", number
        )

    try:
        wanted = [n for n in STOP_SIGNALS if signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, note) for number in wanted}
    except ValueError:  # not the main thread: signals are somebody else's business
        yield lambda: None
        return
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Clock:
    """Wall seconds since the last reading."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def lap(self) -> float:
        """Returns the seconds since the previous lap."""
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        return seconds
