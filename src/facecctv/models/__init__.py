"""Model files: what they say of themselves, where they are found, how they are run."""
