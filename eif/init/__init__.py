"""PID 1 of the image: `init.c`, and how it is built."""
