"""The protocol: features, the readers that judge them, the floors they must beat, and the scores."""
