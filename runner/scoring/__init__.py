"""Judging a result: metrics, the two scores, and the published leaderboard."""
