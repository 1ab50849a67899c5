"""Options of XLA that there may not be."""

import jax

from engine import compiling


def test_options_that_xla_does_not_know_are_left_out():
    options = {"xla_backend_optimization_level": 0, "xla_no_such_option": True}
    assert compiling.known(options) == {"xla_backend_optimization_level": 0}


def test_other_devices_than_cpus_get_none(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compiling.known(compiling.QUICK) == {}
