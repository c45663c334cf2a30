"""The rules, one a file: each has ``NAME``, ``SEVERITY`` and ``check``, which yields (script, line, message, hint)."""

from windlass.lint.rules import bulk_change, endless_wait, implicit_algorithm, long_lock, no_verify, silent_drop

ALL = (bulk_change, endless_wait, implicit_algorithm, long_lock, no_verify, silent_drop)
