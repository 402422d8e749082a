"""Who somebody may be: calibrated decisions, watch-lists, sightings, and the log of searches."""
