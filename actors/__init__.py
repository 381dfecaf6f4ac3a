"""What holds state: plain classes that run in this process or as Ray actors."""
