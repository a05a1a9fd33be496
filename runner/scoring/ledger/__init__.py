"""The ledger: every submission, what happened to it, and its one verdict."""

from runner.scoring.ledger.ledger import Claim, Ledger
from runner.scoring.ledger.queries import leaderboard_cards

__all__ = ["Claim", "Ledger", "leaderboard_cards"]
