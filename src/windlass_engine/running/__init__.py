"""The inside of a run: how one step of a plan is carried out, watched, retried and described."""
