"""What runs by the clock: which jobs there are, what the inventory says of them, and how one of them is run."""
