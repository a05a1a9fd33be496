"""What people look at: figures, file summaries, and the contract's records as a page."""
