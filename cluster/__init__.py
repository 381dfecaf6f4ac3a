"""Where the system runs, the command line, and the loop that joins its parts."""
