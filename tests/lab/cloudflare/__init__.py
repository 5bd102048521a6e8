"""A stand-in for Cloudflare's API v4, for the lab: zones, DNS records and tokens."""
