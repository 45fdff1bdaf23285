#!/bin/sh
# Finds a Python that fits and lets it make .venv (scripts/setup.py). PYTHON=/path/to/python3 chooses another.
cd "$(dirname "$0")/.." || exit 1

fits='import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3.11 python3.12 python3.13 python3 python
fi
for candidate in "$@"; do
    if "$candidate" -I -c "$fits" >/dev/null 2>&1; then
        exec "$candidate" -I scripts/setup.py
    fi
done
if [ -n "${PYTHON:-}" ]; then
    echo "make: PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 with the venv module; give the path of one that is" >&2
else
    echo "make: no Python 3.11, 3.12 or 3.13 with the venv module was found; install one (Debian, Ubuntu: apt install python3 python3-venv) or name it: make run PYTHON=/path/to/python3" >&2
fi
exit 2
