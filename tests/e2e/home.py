"""`python -m tests.e2e.home FOLDER`: a home of livchat.setup for the running lab."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.story import Story
from tests.lab import config

if __name__ == "__main__":
    Story(config.load(), Path(sys.argv[1])).init()
