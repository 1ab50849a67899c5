"""Makes kfac-jax 0.0.8 run with JAX >= 0.9.2.

`Primitive.get_bind_params` used to return (subfunctions, params) and now returns params
alone; kfac-jax unpacks two values when it re-evaluates an equation of a jaxpr. The one
function that does so is replaced here, for either form.
"""

from __future__ import annotations

from jax.extend import source_info_util
from kfac_jax._src import tag_graph_matcher


def eval_jaxpr_eqn(eqn, in_values: list) -> list:
    """Returns the outputs of one jaxpr equation on `in_values`, always as a list."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    subfunctions, params = bound if isinstance(bound, tuple) else ((), bound)
    with source_info_util.user_context(eqn.source_info.traceback):
        out = eqn.primitive.bind(*subfunctions, *in_values, **params)
    return list(out) if eqn.primitive.multiple_results else [out]


def apply() -> None:
    """Installs the replacement; harmless to call twice or with an older JAX."""
    tag_graph_matcher.eval_jaxpr_eqn = eval_jaxpr_eqn
