"""The tiers of the competition: specimens, simulation, blind views."""
