#!/bin/sh
# An interpreter that knows no package but its own.
unset PYTHONPATH
exec /usr/bin/python3 -S "$@"
