"""Docker's package repository, simulated: the distribution's Docker under the names that Docker's own packages have."""
