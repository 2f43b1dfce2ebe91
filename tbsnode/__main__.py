"""``python -m tbsnode``."""

from tbsnode.cli import main

if __name__ == "__main__":
    main()
