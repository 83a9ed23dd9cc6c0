"""`python -m shelfcheck`."""

from shelfcheck.cli.main import main

if __name__ == "__main__":
    main()
