"""``python -m bullherd`` is the same as ``bullherd``."""

from bullherd.cli import main

main()
