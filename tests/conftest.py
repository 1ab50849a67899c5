"""Suite-wide settings: double precision available, one compilation cache for all processes."""

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version

QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=1"
"""A third less and more to compile on CPUs; programs run a fifth slower."""

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # as in a rule; two processes of as many threads as cores wait for one another in PySCF
os.environ.setdefault(
    "NPROC", "1"
)  # as in a rule; XLA's CPU threads can block one another in LAPACK
if version("jaxlib").startswith("0.10."):  # others may not know it, and would stop
    os.environ.setdefault("XLA_FLAGS", QUICK)
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    folder = tempfile.mkdtemp(prefix="psilattice-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
