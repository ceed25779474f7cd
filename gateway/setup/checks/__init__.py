"""The checks of `setup` and `doctor`, one subject each."""
