"""The reading process: `python -m actors.readers LIMITS`, a file on stdin, its text on stdout."""

from actors.readers.child import main

main()
