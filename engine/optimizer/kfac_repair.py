"""What kfac-jax 0.0.8 needs to run with JAX >= 0.9.2 and with 64-bit types enabled.

`Primitive.get_bind_params` used to return (subfunctions, params) and now returns params
alone; kfac-jax unpacks two values when it re-evaluates an equation of a jaxpr. The one
function that does so is replaced here, for either form.

Its tracer passes the variables of the layers through a set, whose order follows memory
addresses: every process would compile a program of its own and never find it in the
persistent cache. Inside that module `set` keeps insertion order.

Its steps compile without options of XLA; a subclass takes some.

With `jax_enable_x64` the repeated-dense block turns its repeat count, and with it every
float32 update, into float64; a subclass keeps the block's own type.
"""

from __future__ import annotations

import jax
import kfac_jax
from jax.extend import source_info_util
from kfac_jax._src import tag_graph_matcher, tracer


class RepeatedDense(kfac_jax.RepeatedDenseKroneckerFactored):
    """Kronecker factors of a dense layer applied to every particle or pair."""

    def update_curvature_matrix_estimate(self, *args, **kwargs):
        """Returns the updated state, all of it in the block's type."""
        state = super().update_curvature_matrix_estimate(*args, **kwargs)
        repeats = state.average_repeats
        repeats.value, repeats.weight = (
            x.astype(self.dtype) for x in (repeats.value, repeats.weight)
        )
        return state


class Optimizer(kfac_jax.Optimizer):
    """kfac-jax's optimizer, its step compiled with options of XLA."""

    def __init__(self, *args, compiler_options: dict, **kwargs):
        super().__init__(*args, **kwargs)
        self._compiled = jax.jit(
            kfac_jax.Optimizer._step.__wrapped__,
            static_argnums=(0, 9, 10),
            donate_argnums=(1, 2, 5),
            compiler_options=compiler_options,
        )

    def _step(self, *args):
        with self.staging_context():
            return self._compiled(self, *args)

    def lower(self, params, state, key, batch, *, momentum, damping) -> jax.stages.Lowered:
        """Returns the program of a step, which takes what `step` does, before it is compiled."""
        args = (params, state, key, batch, None, None, momentum, damping, True, False)
        with self.staging_context():
            return self._compiled.lower(self, *args)


BLOCKS = {"repeated_dense": RepeatedDense}
"""Layer tag -> curvature block, where kfac-jax's own will not do."""


def eval_jaxpr_eqn(eqn, in_values: list) -> list:
    """Returns the outputs of one jaxpr equation on `in_values`, always as a list."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    subfunctions, params = bound if isinstance(bound, tuple) else ((), bound)
    with source_info_util.user_context(eqn.source_info.traceback):
        out = eqn.primitive.bind(*subfunctions, *in_values, **params)
    return list(out) if eqn.primitive.multiple_results else [out]


class InsertionOrderedSet(set):
    """A set that iterates in the order its members were given to the constructor."""

    def __init__(self, members=()):
        self._members = dict.fromkeys(members)
        super().__init__(self._members)

    def __iter__(self):
        return iter(self._members)


def apply() -> None:
    """Installs the replacements; harmless to call twice or with an older JAX."""
    tag_graph_matcher.eval_jaxpr_eqn = eval_jaxpr_eqn
    tracer.set = InsertionOrderedSet
