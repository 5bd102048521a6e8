"""A stand-in for Portainer, for where its image cannot be had."""
