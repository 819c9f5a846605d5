"""`python -m embedtune`: the same as the command `embedtune`."""

from embedtune.cli.main import main

if __name__ == "__main__":
    main()
