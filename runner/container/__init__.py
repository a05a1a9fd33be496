"""What `docker run` starts: read the challenge, run the algorithm, write the result."""
