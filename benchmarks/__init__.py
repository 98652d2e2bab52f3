"""Side by side with the peers, in one run: ratios first, with the memory's own speed beside them."""
