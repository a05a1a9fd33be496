"""A participant's own folder: made by `init`, read by `validate`, put into an archive by `pack`."""
