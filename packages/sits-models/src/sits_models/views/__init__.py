"""What a method contrasts: several planar images of the same region."""
