"""Looks at a database and changes nothing: checks, known queries, probes, evidence, the doctor."""
