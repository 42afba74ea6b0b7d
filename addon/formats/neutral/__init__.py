"""What every format is read into and written from: requests, turns, deltas."""
