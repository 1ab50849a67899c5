"""Where jobs run: the site, what each job asks for, and questions to SLURM. Imports no JAX."""
