"""Machine-learned Hamiltonians: equivariant networks that predict a mean field."""
