"""Windlass on the control node: what stands between an operator and the playbooks."""
