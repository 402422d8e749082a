"""What was done to a picture, in order, so that others can check it and do it again."""
