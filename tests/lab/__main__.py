"""python -m tests.lab up|down|status|clean"""

from __future__ import annotations

import sys

from . import supervisor
from .engine import LabError


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        if wanted == "up":
            supervisor.up()
            supervisor.say("up")
        elif wanted == "down":
            supervisor.down()
        elif wanted == "status":
            return 0 if supervisor.status() else 1
        elif wanted == "clean":
            supervisor.clean()
        elif wanted == "serve":
            supervisor.serve()
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
