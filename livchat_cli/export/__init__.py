"""Folders for AWX and Semaphore, written from the list of operations."""
