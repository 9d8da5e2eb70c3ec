"""Author's side: make everything a learner gets from its one source in `solutions/`."""
