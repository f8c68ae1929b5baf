"""Datasets that turn artifacts of sits-data into samples."""
