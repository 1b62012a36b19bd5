"""A local WeChat Official Account platform: the same HTTP, the same refusals, the same pushes, a phone to look at."""
