"""`python -m worker` is `consent-worker`."""

from worker.cli.entry_point import main

if __name__ == "__main__":
    main()
