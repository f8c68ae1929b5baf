"""What the speed claims rest on: each script measures both sides in the same run."""
