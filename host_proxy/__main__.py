"""`python -m host_proxy` is `chancery`."""

from host_proxy.cli import main

if __name__ == "__main__":
    main()
