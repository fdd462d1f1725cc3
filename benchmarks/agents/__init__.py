"""How the agents' deciding functions do, unchanged, on generated data and on folders of others'."""

from __future__ import annotations

import sys
from collections.abc import Callable

from world import folders


def run(main: Callable[[], None]) -> None:
    """Run a script: what was set aside is told, and what it cannot use said in a line."""
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{error}")
    finally:
        print("\n".join(folders.told(folders.aside)), end="\n" if folders.aside else "")
