"""A local server that speaks the Hetzner Cloud API and makes a real machine for each server."""
