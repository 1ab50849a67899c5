"""Suite-wide settings: double precision available, strict warnings from our own code."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

jax.config.update("jax_enable_x64", True)
