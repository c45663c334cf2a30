"""Windlass beside other tools on one machine, in one run: what counts is the ratio, not the seconds."""
