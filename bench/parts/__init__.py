"""One file a part: `run()` measures and prints. With `ASKED_FOR = True` it runs when it is named only."""
