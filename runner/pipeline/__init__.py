"""The main job, end to end: challenge file in, submission run, result validated, scored, drawn."""
