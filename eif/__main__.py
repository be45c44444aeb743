"""`python -m eif` is `chancery-eif`."""

from eif.cli import main

if __name__ == "__main__":
    main()
