"""`python -m fovea` is the console script `fovea`."""

from fovea.cli import main

if __name__ == "__main__":
    main()
