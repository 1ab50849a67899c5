"""Psilattice engine: neural-network quantum Monte Carlo from a mean-field file to an energy.

Reading order: `types` (the contracts), `system` (what exists), `hamiltonian` and
`wavefunction` (the physics), `sampler`, `optimizer`, `estimator` (the algorithms), and
`stage` (one module per rule of the workflow). `config` and `campaign` import no JAX.
"""

__version__ = "0.1.0"
