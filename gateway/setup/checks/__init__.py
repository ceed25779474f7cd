"""What `setup` and `doctor` look at, one subject each."""
