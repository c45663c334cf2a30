"""The front door: one documented task a verb, a file for each heading of `invoke --list`."""
