"""What work by the clock leaves behind, on a control node or a target: results, metrics, and word to others."""
