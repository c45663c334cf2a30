"""The part of Windlass that ships to the target: it plans, journals, executes, verifies and undoes schema changes.

Standard library plus one database driver, which is imported only inside ``connect``. Nothing here prints or prompts.
"""
