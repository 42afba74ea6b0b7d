"""Properties are checked on the same examples everywhere; `HYPOTHESIS_PROFILE=search` looks
for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
