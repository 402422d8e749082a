"""Video: frames in and out, faces followed, every person once, covered where asked."""
