"""What this control node keeps of its runs: records, proofs, rehearsals, evidence."""
