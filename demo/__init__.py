"""Two small services under brakit, and people who use them: `python -m demo`."""
