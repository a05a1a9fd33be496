"""The ledger: every submission, what happened to it, and its one verdict."""

from runner.scoring.ledger.ledger import Claim, Ledger, new_id
from runner.scoring.ledger.queries import leaderboard_cards

__all__ = ["Claim", "Ledger", "leaderboard_cards", "new_id"]
