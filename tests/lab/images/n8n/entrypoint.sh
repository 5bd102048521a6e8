#!/bin/sh
# `n8n` alone, or n8n with a command such as `worker`, as the official image takes it.
if [ "$#" -gt 0 ] && [ "$1" = n8n ]; then shift; fi
exec n8n "$@"
