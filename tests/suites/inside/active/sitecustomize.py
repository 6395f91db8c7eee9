"""What every Python of a run with us imports first, the children of the tests too."""

import brakit  # noqa: F401
