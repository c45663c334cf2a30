"""The gate to an environment: what has to be true of a plan before it may run there."""
